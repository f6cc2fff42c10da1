"""What the prompts of one task draw on: samples that were trained on, passages, and what lines of OCR are worth."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdsl.data.duplicates import dialogue_words
from kdsl.data.images import image_facts
from kdsl.fields.ocr_budget import LineInformation, budgeted
from kdsl.fields.table import FieldTable, SampleFields
from kdsl.npz_file import open_npz, write_npz
from kdsl.retrieval.content import hash_number
from kdsl.retrieval.embedding import Embedder
from kdsl.retrieval.knowledge import Passage
from kdsl.retrieval.passage_index import PassageIndex
from kdsl.retrieval.sample_index import SampleIndex
from kdsl.retrieval.wording import CHINESE, ShownWording, last_words
from kdsl.sample import original_rows

MEMORY_FILE = "memory.npz"
VERSION = 2

LONGEST_TURN = 60
"""Characters of the last user turn that stand for a sample."""
PAGE_TOKENS = 60
"""Of the text on its images."""


@dataclass(frozen=True)
class Neighbour:
    """A labelled sample in short."""

    text: str
    label: str


@dataclass(frozen=True)
class Memory:
    """All samples are read with cleaned OCR pages, whatever the asked row has."""

    information: LineInformation
    samples: SampleIndex
    neighbours: tuple[Neighbour, ...]
    """[n_samples]"""
    passages: PassageIndex

    @classmethod
    def fit(
        cls,
        table: FieldTable,
        labels: Sequence[str],
        passages: Sequence[Passage],
        images: Path | None = None,
        embedder: Embedder | None = None,
        wording: ShownWording = CHINESE,
    ) -> "Memory":
        """From the samples that are trained on, with their `labels`; of a sample and its changed copies one is kept.

        Pictures without words are known by their looks, too, where their folder `images` is given. Without `embedder`
        samples are alike by their texts.
        """
        rows = sorted(set(original_rows([row.sample for row in table.rows])))
        cleaned = table.select(rows).cleaned()
        pages = [(page, labels[place]) for row, place in zip(cleaned.rows, rows, strict=True) for page in row.pages]
        information = LineInformation.fit([page for page, _ in pages], [label for _, label in pages])
        vectors = None if embedder is None else embedder.vectors(cleaned)
        index = SampleIndex.fit(cleaned, [_hashes(row, images) for row in cleaned.rows], vectors)
        neighbours = tuple(
            Neighbour(excerpt(row, information, wording), labels[place])
            for row, place in zip(cleaned.rows, rows, strict=True)
        )
        return cls(information, index, neighbours, PassageIndex.fit(passages, cleaned))

    def nearest(
        self, row: SampleFields, k: int, images: Path | None = None, embedder: Embedder | None = None
    ) -> list[Neighbour]:
        """At most `k` samples, the nearest first; never the asked one, a copy of it or a near-duplicate."""
        return [neighbour for _, _, neighbour in self.nearest_known(row, k, images, embedder)]

    def nearest_known(
        self, row: SampleFields, k: int, images: Path | None = None, embedder: Embedder | None = None
    ) -> list[tuple[str, float, Neighbour]]:
        """The samples of `nearest` with their ids and their similarities, above 0 and at most 1."""
        if k == 0:
            return []
        asked = FieldTable.of_rows([row.cleaned])
        vectors = None if embedder is None else embedder.vectors(asked)
        found = self.samples.nearest(asked, k, [_hashes(row, images)], vectors)
        return [
            (self.samples.contents[place].id, float(similarity), self.neighbours[place])
            for place, similarity in zip(found.rows[0], found.similarities[0], strict=True)
            if place >= 0
        ]

    def known(self, row: SampleFields, k: int) -> list[Passage]:
        """At most `k` passages, the best first."""
        return self.passages.best(row.cleaned, k)

    @property
    def fingerprint(self) -> str:
        """Changes when prompts may. 16 hex digits."""
        digest = hashlib.sha256(json.dumps(self._header()).encode())
        for name, array in sorted(self._arrays().items()):
            digest.update(name.encode() + np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()[:16]

    def save(self, folder: Path) -> None:
        """Write `memory.npz` (arrays, and JSON for texts: no pickle); KdslError when it cannot be written."""
        write_npz(folder / MEMORY_FILE, VERSION, self._header(), self._arrays())

    @classmethod
    def load(cls, folder: Path) -> "Memory":
        """Read what `save` wrote; KdslError when it is missing, damaged or of another version."""
        with open_npz(folder / MEMORY_FILE, VERSION, "what prompts draw on") as (header, arrays):
            memory = cls(
                LineInformation({pair: float(worth) for pair, worth in header["information"].items()}),
                SampleIndex.of_record(header["index"], arrays),
                tuple(Neighbour(*texts) for texts in header["neighbours"]),
                PassageIndex.of_record(header["knowledge"], arrays),
            )
            if len(memory.neighbours) != len(memory.samples.contents):
                raise ValueError(f"{len(memory.neighbours)} texts of {len(memory.samples.contents)} samples")
            if not all(isinstance(text, str) for each in memory.neighbours for text in (each.text, each.label)):
                raise ValueError("neighbours that are no texts")
        return memory

    def _header(self) -> dict[str, Any]:
        return {
            "information": self.information.worth,
            "index": self.samples.record(),
            "neighbours": [[neighbour.text, neighbour.label] for neighbour in self.neighbours],
            "knowledge": self.passages.record(),
        }

    def _arrays(self) -> dict[str, NDArray[Any]]:
        return {**self.samples.arrays(), **self.passages.arrays()}


def excerpt(row: SampleFields, information: LineInformation, wording: ShownWording = CHINESE) -> str:
    """A sample in one line: the last thing that the user said, and what tells the most on its images."""
    said = last_words(row.heard, LONGEST_TURN)
    pages = budgeted([[line.text for line in page.lines] for page in row.pages], PAGE_TOKENS, information)
    read = " / ".join(line for lines in pages for line in lines)
    parts = [wording.said.format(said) if said else "", wording.read.format(read) if read else ""]
    return wording.between.join(filter(None, parts)) or wording.nothing


def _hashes(row: SampleFields, images: Path | None) -> tuple[int, ...]:
    """The looks of the images of a sample without words."""
    if images is None or dialogue_words(row.heard):
        return ()
    found = [image_facts(images, image).hash for image in row.shown.images]
    return tuple(hash_number(bits) for bits in found if bits is not None) if all(b is not None for b in found) else ()
