"""Candidate conditions on meaning: what labels say of themselves, and what typical samples say.

The labels of samples are not looked at.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from kdsl.bitmaps import Flags
from kdsl.embeddings.encoder import Vectors32
from kdsl.fields import MEANING_FIELD
from kdsl.fields.pieces import pieces, sentences
from kdsl.fields.table import FieldTable
from kdsl.rules.condition import Condition, Meaning
from kdsl.rules.meaning import ROUNDING, similarities
from kdsl.sample import Task
from kdsl.text import normalise

SOURCES: Mapping[str, str | None] = {
    "last_user": "last_user", "user": None, "last_agent": "last_agent", "ocr": "ocr", "ocr.top": "ocr",
}  # fmt: skip
"""field → the field whose typical pieces it is compared with, beside the words of labels. Of two that hold on the same
samples the first is named: what the last turn says, and what the page says anywhere."""
MOST_CHARACTERS, MOST_WORDS = 30, 12
"""Of a wording: a longer one says several things at once."""
MOST_WORDINGS = 300
"""Typical pieces of a field that become wordings, of at most `MOST_PIECES` that are looked at."""
MOST_PIECES = 1000
_GROWTH = 3
"""Each threshold of a wording lets in so many times as many samples as the one above it: few and far apart."""


def meaning_conditions(
    table: FieldTable, fields: Sequence[str], said_of_labels: Sequence[str], least: int, most: float
) -> Iterator[tuple[Condition, Flags]]:
    """Conditions on `fields`, with the samples of `table` that they hold on; none where these have no vectors.

    `said_of_labels` are sentences that name or describe labels. A wording comes with a few thresholds, strict ones
    first, that at least `least` and at most `most` of the samples are near enough to.
    """
    vectors = table.sentence_vectors
    if vectors is None:
        return
    typical = {field: _typical(table, field) for field in dict.fromkeys(SOURCES.values()) if field is not None}
    for field, source in SOURCES.items():
        if field not in fields:
            continue
        wordings = list(dict.fromkeys([*filter(_short, said_of_labels), *typical.get(source or "", ())]))
        if not wordings or not any(table.texts(field)):
            continue
        nearness = similarities(table.rows, field, wordings)
        for wording, column in zip(wordings, nearness.T, strict=True):
            for at in _thresholds(column, least, most):
                meaning = Meaning(field=field, wordings=(wording,), at=at, encoder=vectors.name)
                yield Condition(field=MEANING_FIELD, meaning=meaning), column >= at - ROUNDING


def label_sentences(task: Task) -> list[str]:
    """The names of labels, and the sentences of their descriptions, normalised."""
    said = [text for label in task.labels for text in (label.name.replace("_", " "), *sentences(label.description))]
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


def _typical(table: FieldTable, field: str) -> list[str]:
    """The short pieces of a field that stand for the others best; of pages the lines that several samples have."""
    holders: Counter[str] = Counter()
    for row in table.rows:
        said = {_bare(piece.text) for piece in pieces(row.text(field))}
        holders.update(text for text in said if text and _short(text))
    least = 2 if field == "ocr" else 1
    texts = sorted((text for text, n in holders.items() if n >= least), key=lambda text: (-holders[text], text))
    vectors, texts = table.sentence_vectors, texts[:MOST_PIECES]
    if vectors is None or not texts:
        return []
    weights = np.array([holders[text] for text in texts], dtype=np.float64)
    return [texts[index] for index in representatives(vectors.of(texts), weights, MOST_WORDINGS)]


def _bare(text: str) -> str:
    """Without the punctuation at its end, which says hardly anything."""
    return text.rstrip(" 。.!?;,~…")


def _short(text: str) -> bool:
    return len(text.split()) <= MOST_WORDS if text.isascii() else len(text) <= MOST_CHARACTERS


def _thresholds(nearness: NDArray[np.float32], least: int, most: float) -> Iterator[float]:
    """Of two decimals, the highest first: what the nearest `least` samples, three times as many and so on have."""
    ranked = np.sort(nearness)[::-1]
    n, last = least, 2.0
    while n <= min(most, len(ranked)):
        at = np.floor(float(ranked[n - 1]) * 100) / 100
        near = int((ranked >= at - ROUNDING).sum())
        if 0 < at < last and near <= most:
            yield float(round(at, 2))
            last = at
        n = max(n, near) * _GROWTH
