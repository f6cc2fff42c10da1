"""An encoder whose meanings are exact: it knows a few concepts, and words that stand for each."""

from collections.abc import Sequence

import numpy as np

from kdsl.embeddings.encoder import Vectors32
from kdsl.embeddings.sentence_vectors import SentenceVectors

CONCEPTS = (("退钱", "退款", "refund"), ("快递", "物流", "parcel"), ("灯", "亮度", "lamp"), ("谢谢", "thanks"))


class ConceptEncoder:
    """A text is the counts of its concepts; one without any points in a direction of its own."""

    size = len(CONCEPTS) + 1
    lacks = ""

    def __init__(self, name: str = "concepts") -> None:
        self.name = self.identity = name
        self.encoded: list[str] = []
        """Every text that was ever encoded."""

    def encode(self, texts: Sequence[str]) -> Vectors32:
        self.encoded += texts
        counts = np.array([[sum(map(text.count, words)) for words in CONCEPTS] for text in texts], dtype=np.float32)
        vectors = np.concatenate([counts, counts.sum(axis=1, keepdims=True) == 0], axis=1)
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def concept_vectors(name: str = "concepts") -> SentenceVectors:
    return SentenceVectors(ConceptEncoder(name))
