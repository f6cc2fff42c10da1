"""One pixel budget for training, evaluation and prediction: the size in which a model sees a picture."""

import math
import sys
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kdsl.data.images import MAX_RATIO, decoded, open_image, with_margin
from kdsl.errors import KdslError

if TYPE_CHECKING:
    from PIL.Image import Image

FACTOR = 28
"""Qwen2-VL and Qwen2.5-VL merge 2 x 2 patches of 14 pixels into one token; Qwen3-VL has patches of 16."""


@dataclass(frozen=True, slots=True)
class PixelBudget:
    """The area in pixels of a picture as a model sees it; each token covers `FACTOR`² pixels."""

    min_pixels: int = 56 * 56
    max_pixels: int = 768 * 28 * 28
    processor: tuple[int, int] | None = None
    """For adapters that LLaMA-Factory trained, which scales a picture to the area above without regard to tokens, and
    leaves the rest to the model's own processor: the area that this one allows."""

    def __post_init__(self) -> None:
        if not FACTOR * FACTOR <= self.min_pixels <= self.max_pixels:
            raise KdslError(
                f"pixel budget {self.min_pixels} to {self.max_pixels}: write {FACTOR**2} <= min_pixels <= max_pixels"
            )

    def __str__(self) -> str:
        before = f"{self.min_pixels}-{self.max_pixels}"
        return before if self.processor is None else f"{before}-{self.processor[0]}-{self.processor[1]}"


def fitted_size(width: int, height: int, budget: PixelBudget, factor: int = FACTOR) -> tuple[int, int]:
    """(width, height) nearest to the given size with both divisible by `factor` and the area within the budget.

    The `smart_resize` of Qwen2-VL. Raises ValueError when one side is over 200 times the other.
    """
    if max(width, height) > MAX_RATIO * min(width, height):
        raise ValueError(f"{width} x {height} pixels: one side is more than {MAX_RATIO} times the other")
    if budget.processor is not None:
        width, height = _scaled(width, height, budget)
        budget = PixelBudget(*budget.processor)
    fitted = [max(factor, round(side / factor) * factor) for side in (width, height)]
    if math.prod(fitted) > budget.max_pixels:
        shrink = math.sqrt(width * height / budget.max_pixels)
        fitted = [max(factor, math.floor(side / shrink / factor) * factor) for side in (width, height)]
    elif math.prod(fitted) < budget.min_pixels:
        grow = math.sqrt(budget.min_pixels / (width * height))
        fitted = [math.ceil(side * grow / factor) * factor for side in (width, height)]
    return fitted[0], fitted[1]


def _scaled(width: int, height: int, budget: PixelBudget) -> tuple[int, int]:
    """What LLaMA-Factory 0.9.5 hands to the processor of a Qwen model (`Qwen2VLPlugin` in its data/mm_plugin.py)."""
    if width * height > budget.max_pixels:
        width, height = _of_area(budget.max_pixels, width, height)
    if width * height < budget.min_pixels:
        width, height = _of_area(budget.min_pixels, width, height)
    return max(width, FACTOR), max(height, FACTOR)


def _of_area(area: int, width: int, height: int) -> tuple[int, int]:
    factor = math.sqrt(area / (width * height))
    return int(width * factor), int(height * factor)


def load_picture(path: Path, budget: PixelBudget, factor: int = FACTOR) -> "Image":
    """The picture upright, in RGB on white, resized to `fitted_size`: by qwen-vl-utils where it can be imported.

    One that is too long and narrow gets a white margin first. Raises KdslError for a file that is missing, not an
    image or too large to decode.
    """
    from PIL import Image

    try:
        with open_image(path) as file:
            image = with_margin(decoded(file))
        size = fitted_size(*image.size, budget, factor)
        utils = _qwen_vl_utils()
        # It shrinks long and narrow pictures to nothing, and knows one way of sizing.
        if utils is not None and min(size) > factor and budget.processor is None:
            element = {"image": image, "min_pixels": budget.min_pixels, "max_pixels": budget.max_pixels}
            return utils.fetch_image(element, image_patch_size=factor // 2)
        return image.resize(size, Image.Resampling.BICUBIC)
    except FileNotFoundError as error:
        raise KdslError(f"{path}: no such image file") from error
    except Exception as error:  # decoders of broken files raise anything: OSError, SyntaxError, struct.error, …
        raise KdslError(f"{path}: not an image that a model can take ({str(error).splitlines()[0]})") from error


def resized_by() -> str:
    """What resizes pictures in `load_picture`, with its version."""
    package = "pillow" if _qwen_vl_utils() is None else "qwen-vl-utils"
    return f"{package} {_installed(package)}"


_installed = cache(version)
"""Is read from a file, and asked for with every picture."""
_found = cache(find_spec)


def _qwen_vl_utils() -> Any | None:
    """None where it is missing or, as often, the torchvision that it imports."""
    try:
        if "torchvision" not in sys.modules and _found("torchvision") is None:
            return None  # sooner than by the import, which is tried for every picture
        return import_module("qwen_vl_utils")
    except Exception:  # a torchvision that does not fit torch raises RuntimeError and others
        return None
