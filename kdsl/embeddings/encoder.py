"""The face of every sentence encoder."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Vectors32 = NDArray[np.float32]


class Encoder(Protocol):
    """Turns texts into vectors of unit length, whose cosine says how near two texts are in meaning."""

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

    def encode(self, texts: Sequence[str]) -> Vectors32:
        """[n_texts, size]; no text is empty. The vector of a text does not depend on the texts beside it."""
        ...
