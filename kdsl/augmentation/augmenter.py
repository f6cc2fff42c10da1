"""Changed copies of labelled samples, for a classifier to learn from."""

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kdsl.augmentation.balance import copies_per_sample
from kdsl.augmentation.draft import ChangedTurn, Draft, Picture
from kdsl.augmentation.guard import Guard
from kdsl.augmentation.plan import REENCODED, draw_plan
from kdsl.augmentation.text import AGENT, USER, change_text
from kdsl.augmentation.words import Span, families
from kdsl.fields.table import FieldTable, SampleFields
from kdsl.mining.proposer import label_texts
from kdsl.rules.rule import Rule
from kdsl.sample import Task, Turn

PARAPHRASED = "paraphrased"
_TRIES = 3
"""How often a text is changed anew that came out as it was."""


@dataclass(frozen=True)
class Copies:
    """Changed copies of rows of a table."""

    table: FieldTable
    """Copies have ids such as `s7+1`, which no other row has, and the pages of their images in their sidecars."""
    labels: NDArray[np.int64]
    """[n_copies]"""
    sources: NDArray[np.int64]
    """[n_copies]: rows of the table that was copied."""
    operations: tuple[Counter[str], ...] = ()
    """For each copy how often what was done."""
    pictures: dict[str, Picture] = field(default_factory=dict)
    """Image name of the copies → how it is made; images without a plan are the originals."""
    reverted: int = 0
    """Texts and images left as they were, since rules for the label would not have hit the copy."""
    strayed: int = 0
    """Paraphrases that ask for something else, each counted once; no copy has them."""

    def __len__(self) -> int:
        return len(self.table)

    def renamed(self, images: Mapping[str, str]) -> "Copies":
        """The same with other names for the images in `images` (name → new name), in samples and sidecars."""
        rows = [_renamed(row, images) for row in self.table.rows]
        pictures = {images.get(name, name): picture for name, picture in self.pictures.items()}
        return replace(self, table=FieldTable.of_rows(rows), pictures=pictures)


@dataclass(frozen=True, slots=True)
class Rewording:
    """Other words for a sample, as a small model gives them."""

    dialogues: tuple[tuple[Turn, ...], ...] = ()
    """The sample's turns in other words, once for each of its first copies."""
    synonyms: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Word → other words."""
    strayed: tuple[str, ...] = ()
    """What was offered in place of the sample's words, but asks for something else."""


Reword = Callable[[Sequence[SampleFields], Sequence[int]], Sequence[Rewording]]
"""Asks a small model about rows with these labels; one answer a row."""


@dataclass(frozen=True)
class Augmenter:
    """Makes copies of rows of one task. A copy depends on seed, sample and number alone, not on the other samples (but
    for its id, which must be its own)."""

    task: Task
    average: int
    """Copies a sample; rare labels get more: see `copies_per_sample`."""
    seed: int = 0
    rules: Sequence[Rule] = ()
    """Active rules of the task: copies still show what those for their label see in the original."""
    text: bool = True
    images: bool = True
    reword: Reword | None = None

    def copies(self, table: FieldTable, labels: NDArray[np.int64]) -> Copies:
        """Copies of the rows of `table` with `labels` [n_samples], indices into the task's labels.

        A sample that offers nothing to change has none. Nothing but these rows is looked at.
        """
        ids = [row.sample.id for row in table.rows]
        numbers = copies_per_sample(labels, ids, self.average, self.seed).tolist()
        guard = Guard(self.rules, self.task.label_names, table, labels)
        taken = set(ids)
        drafts = [
            Draft(index, number, _free_id(row.sample.id, number, taken), row.sample, row.sidecars)
            for index, row in enumerate(table.rows)
            for number in range(1, numbers[index] + 1)
        ]
        strayed: set[str] = set()
        if self.text:
            rewordings = (
                [Rewording()] * len(table) if self.reword is None else self.reword(table.rows, labels.tolist())
            )
            strayed.update(text for rewording in rewordings for text in rewording.strayed)
            self._change_texts(drafts, guard, rewordings)
        if self.images:
            self._change_images(drafts, guard)
        drafts = [draft for draft in drafts if draft.operations]
        sources = np.array([draft.row for draft in drafts], dtype=np.int64)
        return Copies(
            FieldTable.of_rows([draft.fields() for draft in drafts]),
            labels[sources],
            sources,
            tuple(draft.operations for draft in drafts),
            {name: picture for draft in drafts for name, picture in draft.pictures.items()},
            sum(draft.reverted for draft in drafts),
            len(strayed),
        )

    @cached_property
    def _telling(self) -> dict[str, frozenset[str]]:
        """Label → the words of its name and description, no form of which is left out of what has it."""
        return dict(zip(self.task.label_names, map(families, label_texts(self.task)), strict=True))

    def _random(self, draft: Draft, what: str) -> random.Random:
        return random.Random(f"{self.seed}\n{draft.original.id}\n{draft.number}\n{what}")

    def _change_texts(self, drafts: list[Draft], guard: Guard, rewordings: Sequence[Rewording]) -> None:
        """First freely, then with all spared that rules found, then only the turns that do no harm."""
        waiting = [draft for draft in drafts if any(turn.text for turn in draft.original.turns)]
        for attempt in ("text", "text, spared"):
            for draft in waiting:
                spared = {} if attempt == "text" else guard.spans(draft.row)
                draft.turns = self._changed_turns(draft, attempt, spared, rewordings[draft.row])
            waiting = _not_kept(waiting, guard)
        for draft in waiting:
            _keep_harmless_turns(draft, guard)

    def _changed_turns(
        self, draft: Draft, attempt: str, spared: Mapping[int, Sequence[Span]], rewording: Rewording
    ) -> tuple[ChangedTurn, ...]:
        source = self._random(draft, attempt)
        turns = draft.original.turns
        telling = self._telling.get(draft.original.label or "", ())
        if not spared and draft.number <= len(rewording.dialogues):
            turns = rewording.dialogues[draft.number - 1]
        changed: tuple[ChangedTurn, ...] = ()
        for _ in range(_TRIES):
            done = [
                change_text(
                    turn.text,
                    source,
                    USER if turn.role == "user" else AGENT,
                    spared.get(index, ()),
                    rewording.synonyms,
                    telling,
                )
                for index, turn in enumerate(turns)
            ]
            changed = tuple(
                ChangedTurn(replace(turn, text=text.text), text.operations + (PARAPHRASED,) * (turn != original))
                for turn, text, original in zip(turns, done, draft.original.turns, strict=True)
            )
            if any(turn.operations for turn in changed):
                break
        return changed

    def _change_images(self, drafts: list[Draft], guard: Guard) -> None:
        """First with everything, then without what moves or hides lines, then with nothing but another JPEG."""
        waiting = [draft for draft in drafts if draft.original.images]
        for geometry in (True, False):
            for draft in waiting:
                spared = guard.lines(draft.row)
                draft.plan(
                    {
                        image: draw_plan(self._random(draft, image), page, sorted(spared.get(image, ())), geometry)
                        for image, page in draft.pages().items()
                    }
                )
            waiting = _not_kept(waiting, guard)
        for draft in waiting:
            draft.plan(dict.fromkeys(draft.pages(), REENCODED))
            draft.reverted += 1


def _free_id(source: str, number: int, taken: set[str]) -> str:
    """`s7+1` for the first copy of `s7`, `s7++1` where that is somebody's id already; it is taken from now on."""
    mark = "+"
    while (identity := f"{source}{mark}{number}") in taken:
        mark += "+"
    taken.add(identity)
    return identity


def _renamed(row: SampleFields, images: Mapping[str, str]) -> SampleFields:
    def name(image: str) -> str:
        return images.get(image, image)

    sample, known = row.sample, row.sidecars
    turns = tuple(replace(turn, images=tuple(map(name, turn.images))) for turn in sample.turns)
    own = dict.fromkeys(sample.images)
    sidecars = replace(
        known,
        ocr={name(image): replace(known.ocr[image], image=name(image)) for image in own if image in known.ocr},
        captions={name(image): known.captions[image] for image in own if image in known.captions},
        answers={name(image): known.answers[image] for image in own if image in known.answers},
        pictures=known.pictures and known.pictures.renamed({name(image): image for image in own}),
    )
    return SampleFields(replace(sample, turns=turns, images=tuple(map(name, sample.images))), sidecars)


def _not_kept(drafts: list[Draft], guard: Guard) -> list[Draft]:
    kept = guard.kept([draft.fields() for draft in drafts], [draft.row for draft in drafts])
    return [draft for draft, is_kept in zip(drafts, kept.tolist(), strict=True) if not is_kept]


def _keep_harmless_turns(draft: Draft, guard: Guard) -> None:
    wanted = draft.turns
    draft.turns = tuple(ChangedTurn(turn) for turn in draft.original.turns)
    for index, turn in enumerate(wanted):
        before = draft.turns
        draft.turns = (*before[:index], turn, *before[index + 1 :])
        if turn.operations and _not_kept([draft], guard):
            draft.turns = before
    draft.reverted += 1
