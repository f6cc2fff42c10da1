"""Pictures cut into the patches that a vision tower of the Qwen families takes, as bytes: a twelfth of the numbers."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kdsl.vlm.pixels import FACTOR, PixelBudget, load_picture, resized_by


@dataclass(frozen=True, slots=True)
class Patches:
    """One picture. Each patch holds its red values row by row, then the green and the blue ones."""

    values: NDArray[np.uint8]
    """[rows · columns, 3 · side²], those that are merged into one token standing together."""
    rows: int
    columns: int


@dataclass(frozen=True, slots=True)
class PatchForm:
    """How pictures are resized and cut for one model."""

    budget: PixelBudget
    side: int = FACTOR // 2
    """Pixels of a patch's side."""
    merged: int = 2
    """Patches in a row, and in a column, that make one token."""

    @property
    def identity(self) -> str:
        """Everything that the patches of a file depend on, besides its content."""
        return f"{self.budget} {self.side} {self.merged} {resized_by()}"

    def patches(self, path: Path) -> Patches:
        """The picture in a file. Raises what `load_picture` raises."""
        pixels = np.asarray(load_picture(path, self.budget, self.side * self.merged))
        rows, columns = pixels.shape[0] // self.side, pixels.shape[1] // self.side
        whole = (rows // self.merged, self.merged, self.side, columns // self.merged, self.merged, self.side, 3)
        ordered = np.ascontiguousarray(pixels.reshape(whole).transpose(0, 3, 1, 4, 6, 2, 5))
        return Patches(ordered.reshape(rows * columns, 3 * self.side**2), rows, columns)
