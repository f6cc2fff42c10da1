"""Candidate conditions on meaning: what labels say of themselves, and what typical samples say.

The labels of samples are not looked at.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from kdsl.bitmaps import Flags
from kdsl.embeddings.encoder import Vectors32
from kdsl.embeddings.sentence_vectors import SentenceVectors
from kdsl.fields import MEANING_FIELD
from kdsl.fields.pieces import pieces, sentences
from kdsl.fields.table import FieldTable
from kdsl.language import holds_chinese
from kdsl.rules.condition import Condition, Meaning
from kdsl.rules.meaning import ROUNDING, similarities
from kdsl.sample import Task
from kdsl.text import normalise

SOURCES: Mapping[str, str | None] = {
    "text": "text", "last_user": "last_user", "user": None, "last_agent": "last_agent", "ocr": "ocr", "ocr.top": "ocr",
}  # fmt: skip
"""field → the field whose typical pieces it is compared with, beside the words of labels. Of two that hold on the same
samples the first is named: what the last turn says, and what the page says anywhere."""
MOST_CHARACTERS, MOST_WORDS = 30, 12
"""Of a wording: a longer one says several things at once."""
LEAST_LETTERS = 2
"""Of a wording: numbers and marks have vectors too, and these mean nothing."""
MOST_WORDINGS = 300
"""Typical pieces of a field that become wordings, of at most `MOST_PIECES` that are looked at."""
MOST_PIECES = 1000
APART = 1.0
"""Standard deviations above the mean of all pairs of texts, from where two are near: below, one holds by chance."""
_GROWTH = 3
"""Each threshold of a wording lets in so many times as many samples as the one above it: few and far apart."""


def meaning_conditions(
    table: FieldTable, fields: Sequence[str], said_of_labels: Sequence[str], least: int, most: float
) -> Iterator[tuple[Condition, Flags, Flags]]:
    """Conditions on `fields`, the samples that they hold on, and of these the one that alone says the wording itself,
    where there is one: bool [n_samples] both. None where the samples of `table` have no vectors.

    `said_of_labels` are sentences that name or describe labels. A wording comes with a few thresholds, strict ones
    first, that at least `least` and at most `most` of the samples are near enough to.
    """
    vectors = table.sentence_vectors
    if vectors is None:
        return
    for field, source in SOURCES.items():
        holders = _holders(table, source or field) if field in fields else {}
        if not holders:
            continue
        typical = _typical(holders, vectors, 2 if source == "ocr" else 1) if source is not None else []
        wordings = list(dict.fromkeys([*filter(_says_one_thing, said_of_labels), *typical]))
        if not wordings:
            continue
        nearness = similarities(table.rows, field, wordings)
        floor = _unrelated(list(holders)[:MOST_PIECES], vectors)
        for wording, column in zip(wordings, nearness.T, strict=True):
            giver = np.zeros(len(table), dtype=bool)
            giver[holders.get(wording, [])] = len(holders.get(wording, [])) == 1
            for at in _thresholds(column, least, most, floor):
                near = column >= at - ROUNDING
                meaning = Meaning(field=field, wordings=(wording,), at=at, encoder=vectors.name)
                yield Condition(field=MEANING_FIELD, meaning=meaning), near, near & giver


def label_sentences(task: Task) -> list[str]:
    """The names of labels, and the sentences of their descriptions, normalised."""
    said = [text for label in task.labels for text in (label.words, *sentences(label.description))]
    return list(dict.fromkeys(filter(None, (_bare(normalise(text)) for text in said))))


def representatives(vectors: Vectors32, weights: NDArray[np.float64], most: int) -> list[int]:
    """Indices of at most `most` of the vectors [n, size], the one that stands for the others best first.

    Greedy k-medoids: each is the one that raises the weighted sum, over all vectors, of the cosine with the nearest
    chosen one most. Source: Nemhauser et al. 1978, "An analysis of approximations for maximizing submodular set
    functions".
    """
    cosines = vectors @ vectors.T
    reached = np.full(len(vectors), -1.0, dtype=np.float32)
    chosen: list[int] = []
    while len(chosen) < min(most, len(vectors)):
        gain = np.maximum(cosines - reached, 0.0) @ weights
        best = int(gain.argmax())
        if gain[best] < 1e-4:  # all others say what chosen ones say
            break
        chosen.append(best)
        reached = np.maximum(reached, cosines[best])
    return chosen


def _holders(table: FieldTable, field: str) -> dict[str, list[int]]:
    """The samples that hold each piece of a field, end punctuation taken off."""
    holders: dict[str, list[int]] = {}
    for index, row in enumerate(table.rows):
        for text in dict.fromkeys(_bare(piece.text) for piece in pieces(row.text(field))):
            holders.setdefault(text, []).append(index)
    return holders


def _typical(holders: Mapping[str, Sequence[int]], vectors: SentenceVectors, least: int) -> list[str]:
    """The pieces of at least so many samples that say one thing and stand for the others best."""
    short = [text for text, found in holders.items() if text and len(found) >= least and _says_one_thing(text)]
    texts = sorted(short, key=lambda text: (-len(holders[text]), text))[:MOST_PIECES]
    if not texts:
        return []
    weights = np.array([len(holders[text]) for text in texts], dtype=np.float64)
    return [texts[index] for index in representatives(vectors.of(texts), weights, MOST_WORDINGS)]


def _bare(text: str) -> str:
    """Without the punctuation at its end, which says hardly anything."""
    return text.rstrip(" 。.!?;,~…")


def _says_one_thing(text: str) -> bool:
    """Whether it is short, and more than a number or a mark."""
    if sum(map(str.isalpha, text)) < LEAST_LETTERS:
        return False
    return len(text) <= MOST_CHARACTERS or (
        " " in text and not holds_chinese(text) and len(text.split()) <= MOST_WORDS
    )


def _unrelated(texts: Sequence[str], vectors: SentenceVectors) -> float:
    """The cosine below which two pieces are unrelated: the mean of all pairs and `APART` deviations, at most 1.

    How near unrelated texts are differs from encoder to encoder.
    """
    found = vectors.of(texts)
    cosines = (found @ found.T)[np.triu_indices(len(found), 1)]
    return min(float(cosines.mean() + APART * cosines.std()), 1.0) if len(cosines) else 0.0


def _thresholds(nearness: NDArray[np.float32], least: int, most: float, floor: float) -> Iterator[float]:
    """Of two decimals, the highest first: what the nearest `least` samples, three times as many and so on have.

    None is below `floor`, nor 0.
    """
    ranked = np.sort(nearness)[::-1]
    n, last = least, 2.0
    while n <= min(most, len(ranked)):
        at = np.floor(float(ranked[n - 1]) * 100) / 100
        near = int((ranked >= at - ROUNDING).sum())
        if 0 < at < last and at >= floor - ROUNDING and near <= most:
            yield float(round(at, 2))
            last = at
        n = max(n, near) * _GROWTH
