"""Filling the caption sidecar: every image once, one finished line at a time."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kdsl.fields.sidecar import read_captions
from kdsl.files import inside
from kdsl.json_file import append_jsonl
from kdsl.progress import Progress, track
from kdsl.small.picture_chunks import Unreadable, answered
from kdsl.small.wording import Wording
from kdsl.vlm.conversation import Instruction, Picture, ask
from kdsl.vlm.free_text import Strays, shortened
from kdsl.vlm.model import Generation, VisionLanguageModel

LONGEST = 128
"""Tokens in a caption."""
_AT_ONCE = 16


@dataclass
class CaptionOutcome:
    """How many images were described now and before, and what was wrong with the others: image → reason."""

    described: int = 0
    described_before: int = 0
    problems: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Described:
    """An image in words, or what is wrong with it."""

    text: str
    """Empty where there is a problem."""
    problem: str = ""
    stray: str | None = None
    """What the model said instead; None where it was not asked, and where it described the image."""


def captions_of(
    model: VisionLanguageModel, wording: Wording, images: Sequence[str], folder: Path
) -> Iterator[tuple[str, Described]]:
    """(image, what the model says of it), in the order of `images`; errors of the model pass through."""

    def ask_all(part: list[str]) -> list[Generation]:
        conversations = [ask(Picture(inside(folder, image)), Instruction(wording.describe)) for image in part]
        return list(model.generate(conversations, LONGEST))

    for image, caption in answered(images, folder, _AT_ONCE, ask_all):
        if isinstance(caption, Unreadable):
            yield image, Described("", caption.reason)
        elif caption.text:
            yield image, Described(caption.text)
        else:
            beside = f", beside {shortened(caption.aside)}" if caption.aside else ""
            yield image, Described("", f"the model's answer is empty{beside}", caption.aside)


def fill_captions(
    load: Callable[[], VisionLanguageModel],
    name: str,
    wording: Wording,
    images: Sequence[str],
    folder: Path,
    sidecar: Path,
    progress: Progress | None = None,
) -> CaptionOutcome:
    """Describe every image in `folder` that `sidecar` has no caption of, by whatever model, and append it there.

    The model is loaded only when an image is missing; `name` stands in the records. Images that cannot be read are
    counted and tried again next time, and so are those to which the answer is empty. Raises KdslError for a sidecar
    that cannot be read or written and a model that fails or answers nothing at all; KeyboardInterrupt says what is
    done. All that is done is kept.
    """
    with append_jsonl(sidecar) as append:
        known = read_captions(sidecar)
        missing = [image for image in dict.fromkeys(images) if image not in known]
        outcome = CaptionOutcome(described_before=len(set(images)) - len(missing))

        if not missing:
            return outcome
        model = load()

        strays = Strays()

        try:
            captions = captions_of(model, wording, missing, folder)
            for image, caption in track(captions, "Describing images", len(missing), progress):
                if caption.stray is not None:
                    strays.count([caption.stray])
                elif caption.text:
                    strays.count([None])
                if caption.text:
                    append({"image": image, "caption": caption.text, "model": name})
                    outcome.described += 1
                else:
                    outcome.problems[image] = caption.problem
                strays.require_any(name, "a description")
            strays.require_any(name, "a description", least=1)
        except KeyboardInterrupt:
            done = f"the captions of {outcome.described} images are in {sidecar}; run again to go on"
            raise KeyboardInterrupt(done) from None
    return outcome
