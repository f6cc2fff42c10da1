"""The face of every sentence encoder."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Vectors32 = NDArray[np.float32]


class Encoder(Protocol):
    """Turns texts into vectors of unit length, whose cosine says how near two texts are in meaning.

    It is loaded when it is first asked for something that needs its weights.
    """

    @property
    def name(self) -> str:
        """What people call it, such as `use`: stands in rules and messages."""
        ...

    @property
    def identity(self) -> str:
        """Name, version and hash of the weights: vectors of encoders with different identities are never compared."""
        ...

    @property
    def size(self) -> int:
        """Dimensions of a vector."""
        ...

    @property
    def lacks(self) -> str:
        """What has to be installed before it can encode, and how, as a part of a sentence; empty where nothing."""
        ...

    def encode(self, texts: Sequence[str]) -> Vectors32:
        """[n_texts, size]; no text is empty or holds half a character. The vector of a text does not depend on the
        texts beside it, beyond the last bits of half precision. Raises KdslError where something is lacking."""
        ...


def of_unit_length(vectors: Vectors32) -> Vectors32:
    """The same directions: [n, size], zeros where they are zeros."""
    lengths = np.sqrt(np.add.reduce(vectors * vectors, axis=1, keepdims=True))
    lengths[lengths == 0] = 1
    return (vectors / lengths).astype(np.float32, copy=False)
