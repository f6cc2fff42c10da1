"""Samples that say nearly the same in other words: their labels should agree, and test samples be no known ones."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from kdsl.data.duplicates import near_duplicates
from kdsl.data.finding import Finding, finding
from kdsl.sample import Sample, Task
from kdsl.text import normalise

Encode = Callable[[Sequence[str]], NDArray[np.float32]]
"""Texts → their sentence vectors, of unit length or zero: [n_texts, size]"""

LIKE, SAME = 0.9, 0.95
"""Nearness of two samples from which they should have one label, and from which knowing one is knowing the other.

Of pairs of banking77 with different labels that are nearer than `LIKE` about six in seven ask for the same.
"""
_BLOCK = 1024


def check_meanings(splits: Mapping[str, Sequence[Sample]], tasks: Sequence[Task], encode: Encode) -> Iterator[Finding]:
    """For each task: samples that mean nearly the same as one of another label, and test samples that mean the same as
    a training one. What is alike word for word is found elsewhere, and what comes with other images or sounds is not
    alike.
    """
    for task in tasks:
        named = [
            (split, sample) for split, samples in splits.items() for sample in samples if sample.task == task.name
        ]
        speaking = [(split, sample) for split, sample in named if _last_user(sample)]
        if len(speaking) < 2:
            continue
        samples = [sample for _, sample in speaking]
        several = len({split for split, _ in speaking}) > 1
        pairs = list(near_pairs(samples, encode))
        odd: list[str] = []
        known: dict[int, str] = {}
        for i, j, _ in pairs:
            if None not in (samples[i].answer, samples[j].answer) and samples[i].answer != samples[j].answer:
                odd.append(" like ".join(_told(*speaking[each], several) for each in (i, j)))
        for i, j, nearness in pairs:
            of_both = (speaking[i][0], speaking[j][0]) == ("train", "test")
            if nearness >= SAME and of_both and not near_duplicates([samples[i]], [samples[j]], {}):
                known.setdefault(j, f"{samples[j].id} like {samples[i].id}")
        message = "pairs of samples mean nearly the same but have different labels; look whether both are right"
        yield from finding("like-other-label", "", task.name, odd, message)
        message = "test samples say in other words what training samples say; scores on them say little"
        yield from finding("same-meaning", "test", task.name, list(known.values()), message)


def near_pairs(samples: Sequence[Sample], encode: Encode) -> Iterator[tuple[int, int, float]]:
    """(i, j, nearness) of samples i < j, the nearest first: at least `LIKE` by what the user said last and by all that
    the user said.

    By words alone the same, and samples with other images or sounds, are none.
    """
    words = [_users(sample) for sample in samples]
    parts = [encode([_last_user(sample) for sample in samples]), encode(words)]
    usual = [usual_cosine(vectors) for vectors in parts]
    found = []
    for begin in range(0, len(samples), _BLOCK):
        cosines = [vectors[begin : begin + _BLOCK] @ vectors.T for vectors in parts]
        # As (cosine - usual) / (1 - usual) >= LIKE, which also holds where all are equal.
        near = [cosine - own >= LIKE * (1 - own) for cosine, own in zip(cosines, usual, strict=True)]
        for row, j in np.argwhere(near[0] & near[1]).tolist():
            i = begin + row
            if i < j and _files(samples[i]) == _files(samples[j]) and words[i] != words[j]:
                of_parts = zip(cosines, usual, strict=True)
                found.append((i, j, min(nearness(float(cosine[row, j]), own) for cosine, own in of_parts)))
    yield from sorted(found, key=lambda pair: -pair[2])


def nearness(cosine: float, usual: float) -> float:
    """Where a cosine lies between the usual one of two texts, 0, and that of equal ones, 1.

    Encoders differ in what they call near.
    """
    return (cosine - usual) / (1 - usual) if usual < 1 else 1.0


def usual_cosine(vectors: NDArray[np.float32]) -> float:
    """The mean cosine of two different ones of `vectors` [n_texts, size], of those that are not zero."""
    n = int(np.any(vectors, axis=1).sum())
    both = float(np.sum(vectors.sum(axis=0, dtype=np.float64) ** 2)) - n
    return both / (n * (n - 1)) if n > 1 else 0.0


def _files(sample: Sample) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return sample.images, sample.audio


def _last_user(sample: Sample) -> str:
    return next((said for said in reversed(_said(sample)) if said), "")


def _users(sample: Sample) -> str:
    return "\n".join(said for said in _said(sample) if said)


def _said(sample: Sample) -> list[str]:
    """What the user said, turn by turn, as the fields of rules have it."""
    return [normalise(turn.text) for turn in sample.turns if turn.role == "user"]


def _told(split: str, sample: Sample, several: bool) -> str:
    return f"{split} {sample.id}: {sample.answer_words}" if several else f"{sample.id}: {sample.answer_words}"
