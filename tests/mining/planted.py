"""Tiny data with rules planted in them, made from seeds."""

import random
from collections.abc import Callable, Sequence

from kdsl.embeddings.sentence_vectors import SentenceVectors
from kdsl.fields.sidecar import OcrPage, Sidecars
from kdsl.fields.table import FieldTable
from kdsl.sample import Sample, Turn

CHARACTERS = "春夏秋冬东南西北金木水火山石田土日月星云风雨花草"


def table_of(
    texts: Sequence[str], aspects: Sequence[float] = (), vectors: SentenceVectors | None = None
) -> FieldTable:
    """One user turn a sample, s0, s1 and so on; with `aspects`, an image of that height to width each."""
    pages = {f"{i}.png": OcrPage(f"{i}.png", (100, round(100 * aspect)), ()) for i, aspect in enumerate(aspects)}
    samples = [
        Sample(f"s{i}", "t", (Turn("user", text),) if text else (), (f"{i}.png",) if aspects else ())
        for i, text in enumerate(texts)
    ]
    return FieldTable(samples, Sidecars(ocr=pages, vectors=vectors))


def noise(seed: int, length: int = 8) -> Callable[[], str]:
    """Sentences of characters that say nothing about any label."""
    source = random.Random(seed)
    return lambda: "".join(source.choices(CHARACTERS, k=length))
