"""Sentence vectors by text: each text is encoded once."""

from collections.abc import Sequence

import numpy as np

from kdsl.embeddings.encoder import Encoder, Vectors32


class SentenceVectors:
    """The vectors that one encoder gives, kept by text."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        self._known: dict[str, Vectors32] = {}

    @property
    def name(self) -> str:
        """The encoder's name, as rules say it."""
        return self.encoder.name

    @property
    def identity(self) -> str:
        """See `Encoder.identity`."""
        return self.encoder.identity

    @property
    def size(self) -> int:
        return self.encoder.size

    def of(self, texts: Sequence[str]) -> Vectors32:
        """[n_texts, size], of unit length; zeros for a text without a visible character."""
        missing = list(dict.fromkeys(text for text in texts if text not in self._known and text.strip()))
        if missing:
            self._known.update(zip(missing, self.encoder.encode(missing), strict=True))
        nothing = np.zeros(self.size, dtype=np.float32)
        return np.array([self._known.get(text, nothing) for text in texts], dtype=np.float32).reshape(-1, self.size)
