"""How the text of a page is laid out, as numbers: where it stands, how large it is, where its lines begin."""

import numpy as np

from kdsl.embeddings.encoder import Vectors32
from kdsl.fields.sidecar import OcrPage

_ROWS, _COLUMNS = 8, 4
_HEIGHTS = (0.02, 0.026, 0.034, 0.044, 0.058, 0.08, 0.12)
"""Line heights, as shares of the page's width, at which one bin of the histogram ends: a long page is as wide as
others."""
_LEFT_EDGES = 12
"""Bins of the same width."""
LAYOUT_SIZE = _ROWS * _COLUMNS + len(_HEIGHTS) + 1 + _LEFT_EDGES


def layout(page: OcrPage) -> Vectors32:
    """[LAYOUT_SIZE] square roots, each 0 to 1; zeros for a page without text.

    First the share of each cell of a grid of 8 rows x 4 columns that lines cover, row by row; then the shares of the
    lines by height, 8 bins; then by left edge, 12 bins.
    """
    width, height = page.size
    boxes = np.array([line.box for line in page.lines], dtype=np.float64).reshape(-1, 4)
    boxes[:, 0::2] /= width
    boxes[:, 1::2] /= height
    along_x = _overlaps(boxes[:, 0], boxes[:, 2], _COLUMNS)
    along_y = _overlaps(boxes[:, 1], boxes[:, 3], _ROWS)
    covered = (along_y.T @ along_x).clip(0, 1)
    heights = np.searchsorted(_HEIGHTS, (boxes[:, 3] - boxes[:, 1]) * height / width, side="right")
    edges = (boxes[:, 0] * _LEFT_EDGES).clip(0, _LEFT_EDGES - 1).astype(np.int64)
    counts = [np.bincount(heights, minlength=len(_HEIGHTS) + 1), np.bincount(edges, minlength=_LEFT_EDGES)]
    shares = [count / max(len(boxes), 1) for count in counts]
    return np.sqrt(np.concatenate([covered.ravel(), *shares])).astype(np.float32)


def _overlaps(begins: np.ndarray, ends: np.ndarray, n_cells: int) -> np.ndarray:
    """[n, n_cells]: how much of each of `n_cells` equal parts of [0, 1] lies between `begins` and `ends`."""
    edges = np.linspace(0, 1, n_cells + 1)
    overlap = np.minimum(ends[:, None], edges[1:]) - np.maximum(begins[:, None], edges[:-1])
    return overlap.clip(0, None) * n_cells
