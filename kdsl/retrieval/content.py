"""Whether two samples are one and the same: such never retrieve each other. Ids tell nothing: files number alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdsl.data.duplicates import SIMILAR_IMAGE, SIMILAR_TEXT, dialogue_words, shingles
from kdsl.fields.table import SampleFields


@dataclass(frozen=True)
class Content:
    """What tells a sample from others."""

    id: str
    """What a person knows it by: the sample's id, of a changed copy that of the sample it was made of."""
    copy_of: str | None
    """As in `Sample`."""
    words: str
    """What is said, normalised."""
    page: str
    """What is read on its images, normalised."""
    files: tuple[str, ...]
    """Names of images and sounds."""
    hashes: tuple[int, ...] = ()
    """Difference hashes of the images as 256-bit numbers; empty where not all of them are known."""

    @classmethod
    def of(cls, row: SampleFields, hashes: tuple[int, ...] = ()) -> "Content":
        sample = row.heard
        words, page = dialogue_words(sample), row.text("ocr").text
        return cls(sample.source, sample.copy_of, words, page, (*sample.images, *sample.audio), hashes)

    def same(self, other: "Content") -> bool:
        """Whether it is the other sample, a copy of it, or a near-duplicate (as `kdsl.data.duplicates` has it).

        Samples with words, typed or spoken, are compared by their words, samples without words by their images and
        sounds: the same files, the same text on images, or, where these are known, the same looks. A copy says itself
        what it is a copy of.
        """
        if self.copy_of is not None and self.copy_of == other.id:
            return True
        if (self.words, self.page, self.files) == (other.words, other.page, other.files):
            return True
        if self.words or other.words:
            return _similar(self._words, other._words)
        if self.files and self.files == other.files:
            return True
        if _similar(self._page, other._page):
            return True
        if not self.hashes or len(self.hashes) != len(other.hashes):
            return False
        pairs = zip(self.hashes, other.hashes, strict=True)
        return all((mine ^ its).bit_count() <= SIMILAR_IMAGE for mine, its in pairs)

    def record(self) -> list[Any]:
        """For JSON."""
        hashes = [f"{value:064x}" for value in self.hashes]
        return [self.id, self.copy_of, self.words, self.page, list(self.files), hashes]

    @classmethod
    def of_record(cls, record: Any) -> "Content":
        """What `record` gave; ValueError or TypeError for anything else."""
        identity, copy_of, words, page, files, hashes = record
        texts = identity, *([] if copy_of is None else [copy_of]), words, page, *files, *hashes
        if not all(isinstance(value, str) for value in texts):
            raise TypeError("a sample's id, words, page and files must be texts")
        return cls(identity, copy_of, words, page, tuple(files), tuple(int(value, 16) for value in hashes))

    @cached_property
    def _words(self) -> frozenset[str]:
        return shingles(self.words)

    @cached_property
    def _page(self) -> frozenset[str]:
        return shingles(self.page)


def hash_number(bits: Sequence[bool] | NDArray[np.bool_]) -> int:
    """A difference hash, bool [256], as a number."""
    return int("".join("1" if bit else "0" for bit in bits), 2)


def _similar(first: frozenset[str], second: frozenset[str]) -> bool:
    """Jaccard similarity of at least `SIMILAR_TEXT`; nothing is like nothing."""
    smaller, larger = sorted((len(first), len(second)))
    if smaller == 0 or smaller < SIMILAR_TEXT * larger:
        return False
    common = len(first & second)
    return common >= SIMILAR_TEXT * (smaller + larger - common)
