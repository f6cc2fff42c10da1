"""The sidecars: what OCR, captioning and visual questions found on each image, one JSON line an image."""

from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

from kdsl.audio.transcript import Transcript
from kdsl.embeddings.sentence_vectors import SentenceVectors
from kdsl.errors import KdslError
from kdsl.fields.pictures import Pictures
from kdsl.files import parsing
from kdsl.result_shards import records_at
from kdsl.text import writable

_EXPECTED = (
    'expected {"image": "a.jpg", "size": [w, h], "lines": [{"text": "…", "score": 0.9, "box": [x0, y0, x1, y1]}]}'
)

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class OcrLine:
    text: str
    score: float
    box: Box
    """x0, y0, x1, y1 in pixels of the page as OCR saw it (`OcrPage.size`)."""


@dataclass(frozen=True, slots=True)
class OcrPage:
    """Text lines of one image; `size` is (width, height) in pixels of the image the boxes refer to."""

    image: str
    size: tuple[int, int]
    lines: tuple[OcrLine, ...]
    original_size: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Sidecars:
    """Everything known beside the samples: about images and sounds, keyed by file name, and the sentence
    vectors of texts."""

    ocr: dict[str, OcrPage] = field(default_factory=dict)
    captions: dict[str, str] = field(default_factory=dict)
    answers: dict[str, dict[str, float]] = field(default_factory=dict)
    """image → visual question → probability of yes."""
    vectors: SentenceVectors | None = None
    """None without an encoder."""
    pictures: Pictures | None = None
    """What is seen on images; None where nobody knows where they lie."""
    left_out: frozenset[str] = frozenset()
    """Fields that are not looked at, as `fields:` of kdsl.yaml has it: they are empty, whatever a sample holds."""
    transcripts: dict[str, Transcript] = field(default_factory=dict)
    """Sound → what is said in it."""


def read_ocr(path: Path) -> dict[str, OcrPage]:
    """Read an OCR sidecar, or a folder of results; KdslError names the place of the first record of another shape."""
    pages = {}
    for place, record in records_at(path):
        with parsing(place, "not an OCR record", _EXPECTED):
            page = page_of(record)
        pages[page.image] = page
    return pages


def read_captions(path: Path) -> dict[str, str]:
    """Read a caption sidecar `{"image", "caption", …}`, or a folder of results; an empty caption is none.

    KdslError names the first record of another shape.
    """
    captions = {}
    for place, record in records_at(path):
        image, caption = record.get("image"), record.get("caption")
        if not isinstance(image, str) or not isinstance(caption, str):
            raise KdslError(f'{place}: expected {{"image": "a.jpg", "caption": "…"}}')
        if caption.strip():
            captions[image] = writable(caption)
    return captions


def page_record(page: OcrPage) -> dict[str, Any]:
    """The JSON object that stands in an OCR sidecar; boxes in tenths of a pixel."""
    lines = [
        {"text": line.text, "score": line.score, "box": [round(value, 1) for value in line.box]} for line in page.lines
    ]
    record = {"image": page.image, "size": list(page.size), "lines": lines}
    return record if page.original_size is None else {**record, "original_size": list(page.original_size)}


def page_of(record: dict[str, Any]) -> OcrPage:
    """The page that a JSON object of an OCR sidecar stands for; raises whatever one of another shape leads to."""
    if not isinstance(record["image"], str):
        raise TypeError("image must be a file name")
    return OcrPage(record["image"], _size(record["size"]), tuple(_line(line) for line in record["lines"]),
                   _size(record["original_size"]) if record.get("original_size") else None)  # fmt: skip


def _line(line: dict[str, Any]) -> OcrLine:
    if not isinstance(line["text"], str):
        raise TypeError("text of a line must be a string")
    x0, y0, x1, y1 = (float(value) for value in line["box"])
    score = float(line.get("score", 1.0))
    if not all(map(isfinite, (score, x0, y0, x1, y1))):
        raise ValueError("score and box of a line must be numbers")
    return OcrLine(writable(line["text"]), score, (x0, y0, x1, y1))


def _size(size: Any) -> tuple[int, int]:
    width, height = size
    if int(width) <= 0 or int(height) <= 0:
        raise ValueError(f"size must be positive, not {size}")
    return int(width), int(height)
