"""Where the threshold of a meaning lies among the training samples, so that one sees where to put it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kdsl.bitmaps import Flags
from kdsl.embeddings.encoder import Vectors32
from kdsl.review.page import translate
from kdsl.review.task_index import TaskIndex
from kdsl.rules.condition import Condition, Meaning
from kdsl.rules.finding import sentence
from kdsl.rules.meaning import comparable, nearest
from kdsl.rules.rule import Rule, When
from kdsl.rules.wording import Language

BESIDE = 5
"""Samples shown on either side of a threshold."""


@dataclass(frozen=True)
class Beside:
    """A sample whose similarity lies next to the threshold."""

    id: str
    label: str | None
    """Its label, or all of several, to be read."""
    labels: tuple[str, ...]
    similarity: float
    piece: str
    """The turn, sentence or line that is nearest, as it is written."""
    wording: str
    """The wording that it is nearest to."""


@dataclass(frozen=True)
class Threshold:
    """One meaning of a rule, on the samples on which all its other conditions hold."""

    meaning: Meaning
    negated: bool
    reached: tuple[Beside, ...]
    """The farthest samples that are near enough, the farthest last."""
    missed: tuple[Beside, ...]
    """The nearest samples that are not, the nearest first."""
    right: Vectors32
    """The similarities of the samples with the rule's label: [n]."""
    wrong: Vectors32
    """Those of all others: [m]."""


def thresholds(index: TaskIndex, conditions: Sequence[Condition], label: str) -> list[Threshold]:
    """One for each meaning; none where meanings cannot be compared, which is no matter of where a threshold lies."""
    rule = Rule(id="r-0000", label=label, when=When(all=tuple(conditions)))
    if not comparable(rule, index.table.sentence_vectors):
        return []
    return [
        _threshold(index, condition.meaning, condition.negated, _others(index, conditions, place), label)
        for place, condition in enumerate(conditions)
        if condition.meaning is not None
    ]


def unlike(index: TaskIndex, conditions: Sequence[Condition], language: Language) -> list[str]:
    """Why meanings cannot be compared, or not all of them; empty where they can."""
    asked = [condition for condition in conditions if condition.meaning is not None]
    vectors = index.table.sentence_vectors
    if not asked:
        return []
    if vectors is None:
        return [sentence("no encoder", {"condition": asked[0]}, language)]
    found = [
        sentence("other encoder", {"condition": each, "encoder": each.meaning.encoder, "own": vectors.name}, language)
        for each in asked
        if each.meaning is not None and each.meaning.encoder not in (None, vectors.name)
    ]
    if not vectors.available:
        lacking = translate("Sentences that are new have no meaning here, because the encoder needs", language)
        found.append(f"{lacking} {vectors.encoder.lacks}")
    return found


def _others(index: TaskIndex, conditions: Sequence[Condition], place: int) -> Flags:
    """The samples on which all conditions but the one at `place` hold."""
    return index.flags([*conditions[:place], *conditions[place + 1 :]])


def _threshold(index: TaskIndex, meaning: Meaning, negated: bool, others: Flags, label: str) -> Threshold:
    similarities = index.training.finder.similarities(meaning)
    asked = np.flatnonzero(others & (similarities > -1))
    asked = asked[np.argsort(-similarities[asked], kind="stable")]
    within = index.flags([Condition(field="means", meaning=meaning)])[asked]
    truth = np.array([label in (index.samples[row].given_labels or ()) for row in asked], dtype=bool)
    return Threshold(
        meaning, negated,
        reached=tuple(_beside(index, meaning, row) for row in asked[within][-BESIDE:].tolist()),
        missed=tuple(_beside(index, meaning, row) for row in asked[~within][:BESIDE].tolist()),
        right=similarities[asked[truth]],
        wrong=similarities[asked[~truth]],
    )  # fmt: skip


def _beside(index: TaskIndex, meaning: Meaning, row: int) -> Beside:
    found = nearest(meaning, index.table.rows[row])
    if found is None:
        raise ValueError("a sample without a piece has no similarity")
    segment, (start, end) = found.piece.place
    sample = index.samples[row]
    labels = sample.given_labels or ()
    return Beside(sample.id, sample.answer_words, labels, found.similarity, segment.text[start:end], found.wording)
