"""A copy while it is being made."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from kdsl.augmentation.pages import moved_page
from kdsl.augmentation.plan import Plan
from kdsl.fields.sidecar import OcrPage, Sidecars
from kdsl.fields.table import SampleFields
from kdsl.sample import Sample, Turn


@dataclass(frozen=True, slots=True)
class Picture:
    """An image that is yet to be made."""

    source: str
    """The image of the original sample, relative to the project's images."""
    plan: Plan


@dataclass(frozen=True, slots=True)
class ChangedTurn:
    turn: Turn
    operations: tuple[str, ...] = ()
    """What was done to its text; none for the original."""


@dataclass
class Draft:
    """The copy `number` of a row; texts and images are changed one after the other."""

    row: int
    number: int
    id: str
    original: Sample
    known: Sidecars
    """What is known about the original's images."""
    turns: tuple[ChangedTurn, ...] = ()
    """Empty until texts are changed."""
    plans: dict[str, Plan] = field(default_factory=dict)
    """Image of the original → what is done to it, for images that are changed."""
    reverted: int = 0
    _sidecars: Sidecars | None = None

    @property
    def operations(self) -> Counter[str]:
        done = Counter(operation for turn in self.turns for operation in turn.operations)
        done.update(operation for plan in self.plans.values() for operation in plan.operations)
        return done

    @property
    def pictures(self) -> dict[str, Picture]:
        """Image name of the copy → how it is made."""
        return {self._name(image): Picture(image, plan) for image, plan in self.plans.items()}

    def pages(self) -> dict[str, OcrPage | None]:
        """What OCR found on each image of the original."""
        return {image: self.known.ocr.get(image) for image in dict.fromkeys(self.original.images)}

    def plan(self, plans: Mapping[str, Plan]) -> None:
        """Change images by `plans`, instead of what was planned before."""
        self.plans = dict(plans)
        known = self.known
        originals = {self._name(image): image for image in self.original.images}
        pictures = known.pictures and known.pictures.renamed(originals)
        new = replace(known, ocr={}, captions={}, answers={}, pictures=pictures)
        for image in self.original.images:
            name = self._name(image)
            if image in known.ocr:
                page = known.ocr[image]
                new.ocr[name] = moved_page(self.plans[image], page, name) if image in self.plans else page
            # The changes are such that what was said about the image still holds.
            if image in known.captions:
                new.captions[name] = known.captions[image]
            if image in known.answers:
                new.answers[name] = known.answers[image]
        self._sidecars = new

    def fields(self) -> SampleFields:
        """The copy as it is now."""
        turns = tuple(changed.turn for changed in self.turns) or self.original.turns
        sample = replace(
            self.original,
            id=self.id,
            copy_of=self.original.source,
            turns=tuple(replace(turn, images=tuple(map(self._name, turn.images))) for turn in turns),
            images=tuple(map(self._name, self.original.images)),
        )
        return SampleFields(sample, self.known if self._sidecars is None else self._sidecars)

    def _name(self, image: str) -> str:
        plan = self.plans.get(image)
        return image if plan is None else f"{image}+{plan.digest}"
