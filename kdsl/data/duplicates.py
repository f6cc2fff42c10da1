"""Near-duplicates between two lists of samples: what is in both splits is not unseen."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np

from kdsl.data.images import image_hashes
from kdsl.progress import Progress
from kdsl.sample import Sample
from kdsl.text import normalise

SIMILAR_TEXT = 0.8
"""Jaccard similarity of character shingles from which two texts count as the same."""
SIMILAR_IMAGE = 12
"""Hamming distance of two 256-bit difference hashes up to which two images count as the same."""

MayBe = Callable[[int, int], bool]
"""Whether a pair (index into the first, index into the second) may be near-duplicates at all."""

_SHINGLE = 4
_BLOCK = 256


def near_duplicates(
    first: Sequence[Sample],
    second: Sequence[Sample],
    hashes: Mapping[str, np.ndarray],
    sounds: Mapping[str, object] = MappingProxyType({}),
) -> list[tuple[int, int]]:
    """Pairs (index into `first`, index into `second`), one for each near-duplicate of `second`, in its order.

    Samples of the same task with words are compared by their words, samples without words by their images, of which
    every one must have a like one in the other sample. Whatever else they say or show, they must play the same sounds.
    `hashes` gives the difference hash, bool [256], of image names, `sounds` what stands for the content of sounds;
    without it their names do.
    """
    words = [dialogue_words(sample) for sample in first], [dialogue_words(sample) for sample in second]
    heard = [_heard(sample, sounds) for sample in first], [_heard(sample, sounds) for sample in second]

    def may_be(i: int, j: int) -> bool:
        return first[i].task == second[j].task and heard[0][i] == heard[1][j]

    found = _similar_texts(*words, may_be)
    found.update(_similar_images(first, second, hashes, may_be))
    found.update(_same_sounds(first, second, sounds))
    return sorted(((i, j) for j, i in found.items()), key=lambda pair: pair[1])


def dialogue_words(sample: Sample) -> str:
    """What is said in a sample, in normalised form."""
    return normalise("\n".join(turn.text for turn in sample.turns))


def _heard(sample: Sample, sounds: Mapping[str, object]) -> tuple[object, ...]:
    return tuple(sounds.get(sound, sound) for sound in sample.audio)


def _same_sounds(first: Sequence[Sample], second: Sequence[Sample], sounds: Mapping[str, object]) -> dict[int, int]:
    """Of samples that neither say nor show anything."""
    known: dict[object, int] = {}
    for i, sample in enumerate(first):
        if _only_sounds(sample):
            known.setdefault((sample.task, _heard(sample, sounds)), i)
    asked = {j: (sample.task, _heard(sample, sounds)) for j, sample in enumerate(second) if _only_sounds(sample)}
    return {j: known[key] for j, key in asked.items() if key in known}


def _only_sounds(sample: Sample) -> bool:
    return bool(sample.audio) and not sample.images and not dialogue_words(sample)


def _similar_texts(first: Sequence[str], second: Sequence[str], may_be: MayBe) -> dict[int, int]:
    """index into second → index into first. Exact: two sets with Jaccard similarity ≥ t share one of their rarest
    (1 - t) · size + 1 members (prefix filter of Bayardo et al., "Scaling up all pairs similarity search", 2007)."""
    if not any(first) or not any(second):
        return {}
    sets = _by_rarity(shingles(text) for text in (*first, *second))  # one at a time: they take 10 KB each
    prefixes = [ranks[: len(ranks) - math.ceil(SIMILAR_TEXT * len(ranks)) + 1].tolist() for ranks in sets]
    index: dict[int, list[int]] = defaultdict(list)
    for i in range(len(first)):
        for shingle in prefixes[i]:
            index[shingle].append(i)
    found = {}
    for j in range(len(second)):
        mine = sets[len(first) + j]
        candidates = {i for shingle in prefixes[len(first) + j] for i in index.get(shingle, ())}
        for i in sorted(candidates):
            if not may_be(i, j):
                continue
            smaller, larger = sorted((len(sets[i]), len(mine)))
            if smaller >= SIMILAR_TEXT * larger and _jaccard(sets[i], mine) >= SIMILAR_TEXT:
                found[j] = i
                break
    return found


def shingles(text: str) -> frozenset[str]:
    """All pieces of 4 characters, spaces left out; a shorter text is one piece."""
    text = text.replace(" ", "")
    if len(text) <= _SHINGLE:
        return frozenset([text] if text else [])
    return frozenset(text[i : i + _SHINGLE] for i in range(len(text) - _SHINGLE + 1))


def _by_rarity(texts: Iterable[frozenset[str]]) -> list[np.ndarray]:
    """The shingles of each text as numbers in ascending order, smaller for rarer shingles."""
    numbers: dict[str, int] = {}
    rows = [
        np.array([numbers.setdefault(shingle, len(numbers)) for shingle in shingles], np.int32) for shingles in texts
    ]
    frequency = np.bincount(np.concatenate(rows), minlength=len(numbers))
    rank = np.empty(len(numbers), np.int32)
    rank[np.argsort(frequency, kind="stable")] = np.arange(len(numbers))
    for place, row in enumerate(rows):
        rows[place] = np.sort(rank[row])
    return rows


def _jaccard(a: np.ndarray, b: np.ndarray) -> float:
    common = len(np.intersect1d(a, b, assume_unique=True))
    return common / (len(a) + len(b) - common)


def _similar_images(
    first: Sequence[Sample], second: Sequence[Sample], hashes: Mapping[str, np.ndarray], may_be: MayBe
) -> dict[int, int]:
    known = _comparable(first, hashes)
    asked = _comparable(second, hashes)
    if not known or not asked:
        return {}
    bits = np.stack([hashes[first[i].images[0]] for i in known]).astype(np.float32)  # [n_known, 256]
    ones = bits.sum(axis=1)
    found = {}
    for start in range(0, len(asked), _BLOCK):
        block = asked[start : start + _BLOCK]
        mine = np.stack([hashes[second[j].images[0]] for j in block]).astype(np.float32)  # [n_block, 256]
        distance = mine.sum(axis=1)[:, None] + ones - 2 * (mine @ bits.T)  # [n_block, n_known]
        for row, column in np.argwhere(distance <= SIMILAR_IMAGE):
            i, j = known[column], block[row]
            if j not in found and may_be(i, j) and _same_images(first[i], second[j], hashes):
                found[j] = i
    return found


def _comparable(samples: Sequence[Sample], hashes: Mapping[str, np.ndarray]) -> list[int]:
    return [
        index
        for index, sample in enumerate(samples)
        if sample.images and not dialogue_words(sample) and all(image in hashes for image in sample.images)
    ]


def _same_images(first: Sample, second: Sample, hashes: Mapping[str, np.ndarray]) -> bool:
    return len(first.images) == len(second.images) and all(
        np.count_nonzero(hashes[a] != hashes[b]) <= SIMILAR_IMAGE
        for a, b in zip(first.images, second.images, strict=True)
    )


def like_labelled(
    samples: Sequence[Sample], labelled: Sequence[Sample], images: Path | None, progress: Progress | None = None
) -> set[int]:
    """Indices of `samples` that are near-duplicates of any of `labelled` (`kdsl.data.duplicates`)."""
    if not samples or not labelled:
        return set()
    # Samples with words are compared by their words: their images need not be read.
    names = [i for s in (*samples, *labelled) if not any(turn.text for turn in s.turns) for i in s.images]
    return {index for _, index in near_duplicates(labelled, samples, image_hashes(names, images, progress))}
