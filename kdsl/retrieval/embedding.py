"""Samples as a vision-language model sees them: the mean of its hidden states over the dialogue and the pictures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kdsl.data.dialogue import CHINESE, Speakers, dialogue_text
from kdsl.data.images import picture_path
from kdsl.errors import KdslError
from kdsl.fields.table import FieldTable, SampleFields
from kdsl.sample import IMAGE_PLACEHOLDER
from kdsl.vlm.conversation import Conversation, Picture, ask


class EmbeddingModel(Protocol):
    """A model in this process: `kdsl.vlm.local.LocalModel`, or `kdsl.vlm.cache.CachedModel` around it."""

    def embed(self, conversations: Sequence[Conversation]) -> NDArray[np.float32]:
        """[n_conversations, n_dimensions]"""
        ...


@dataclass(frozen=True)
class Embedder:
    """`model` is asked for when the first samples come; only samples themselves are shown, never their labels."""

    model: Callable[[], EmbeddingModel]
    images: Path | None
    release: Callable[[], None] = lambda: None
    """Lets go of the model's weights until they are needed again."""
    speakers: Speakers = CHINESE
    sees: Callable[[], bool] = lambda: True
    """Whether the model takes pictures."""

    def vectors(self, table: FieldTable) -> NDArray[np.float64]:
        """[n_samples, n_dimensions], of unit length. Raises KdslError for an image that cannot be read."""
        found = self.model().embed([self._shown(row) for row in table.rows]).astype(np.float64)
        lengths = np.linalg.norm(found, axis=1, keepdims=True)
        return found / np.where(lengths > 0, lengths, 1)

    def _shown(self, row: SampleFields) -> Conversation:
        sample = row.heard
        images = sample.images if sample.images and self.sees() else ()
        if images and self.images is None:
            raise KdslError(f"sample {sample.id!r} has the image {images[0]}, but data.images is not set")
        pictures = [Picture(picture_path(self.images, image)) for image in images] if self.images else []
        text = dialogue_text(sample.turns, self.speakers).replace(IMAGE_PLACEHOLDER, "")
        return ask(*pictures, *text.splitlines(keepends=True)) if text or pictures else ask("\n")
