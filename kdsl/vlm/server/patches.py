"""In which sizes a served model sees pictures, found out by asking: from the tokens that they add to a prompt."""

import logging
import math
from collections.abc import Callable

from kdsl.vlm.pixels import FACTOR, PixelBudget, fitted_size
from kdsl.vlm.server.capabilities import about_a_picture
from kdsl.vlm.server.messages import JsonMessages

log = logging.getLogger(__name__)

PromptTokens = Callable[[JsonMessages], int | None]
"""How many tokens the prompt of these messages has; None where the server does not tell, or refuses them."""

_SIDE = 448
"""Pixels: 16 x 28, and 14 x 32. Neither too small nor too large for what servers take by default."""


def find_patch_factor(tokens: PromptTokens, budget: PixelBudget, url: str) -> int:
    """What both sides of a picture have to be divisible by: 28 for Qwen2-VL and Qwen2.5-VL, 32 for Qwen3-VL.

    Where the server does not tell it is taken for 28, and a warning says so; another warns of limits of the server
    that are narrower than the budget, for it makes such pictures smaller or larger again.
    """
    square, wide = (tokens(about_a_picture(width, _SIDE)) for width in (_SIDE, 2 * _SIDE))
    added = 0 if square is None or wide is None else wide - square
    across = math.isqrt(max(added, 0))
    if square is None or not across or across**2 != added or _SIDE % across:
        log.warning(
            "%s: the server does not tell how many tokens pictures take; they are sent in sizes for Qwen2-VL and "
            "Qwen2.5-VL, and Qwen3-VL would scale them again",
            url,
        )
        return FACTOR
    factor = _SIDE // across
    around = square - across**2
    for side in (1, 100_000):
        size = fitted_size(side, side, budget, factor)
        expected, found = math.prod(size) // factor**2, tokens(about_a_picture(*size))
        if found is not None and found - around != expected:
            log.warning(
                "%s: the server scales pictures of %d x %d pixels again (%d tokens instead of %d), so that its model "
                "does not see what a local one would; start it with the limits of `pixels` (vLLM: "
                "--mm-processor-kwargs "
                '\'{"size": {"shortest_edge": %d, "longest_edge": %d}}\')',
                url, *size, found - around, expected, budget.min_pixels, budget.max_pixels,
            )  # fmt: skip
            break
    return factor
