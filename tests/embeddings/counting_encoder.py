"""An encoder that says what it was asked, and knows no more than which characters a text holds."""

from collections.abc import Sequence

import numpy as np

from kdsl.embeddings.encoder import Vectors32, of_unit_length


class CountingEncoder:
    """Implements `Encoder`; `lacks` can be set."""

    name = "counting"
    size = 16

    def __init__(self, identity: str = "counting:1", lacks: str = "", fails_after: int | None = None) -> None:
        self.identity = identity
        self.lacks = lacks
        self.asked: list[list[str]] = []
        self._fails_after = fails_after

    def encode(self, texts: Sequence[str]) -> Vectors32:
        """See `Encoder.encode`; interrupted after so many calls."""
        if self._fails_after is not None and len(self.asked) >= self._fails_after:
            raise KeyboardInterrupt
        assert not self.lacks
        self.asked.append(list(texts))
        vectors = np.full((len(texts), self.size), 0.01, dtype=np.float32)
        for row, text in enumerate(texts):
            for character in text:
                vectors[row, ord(character) % self.size] += 1 / 3
        return of_unit_length(vectors)
