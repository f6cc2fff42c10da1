"""In which size a model that LLaMA-Factory trained sees a picture."""

import pytest

from kdsl.vlm.pixels import PixelBudget, fitted_size

PUBLISHED = (3136, 12845056)
"""What the preprocessor of Qwen2-VL allows."""


@pytest.mark.parametrize(
    ("size", "tokens"),
    [((56, 56), 4), ((112, 112), 16), ((90, 200), 18), ((300, 620), 18), ((414, 896), 18), ((640, 360), 15)],
)
def test_llama_factory_scales_to_the_area_and_the_processor_rounds(size, tokens):
    """The tokens that LLaMA-Factory 0.9.5 made with image_max_pixels: 12544, which is 16 tokens."""
    width, height = fitted_size(*size, PixelBudget(1024, 12544, PUBLISHED))
    assert width * height / 28**2 == tokens
    ours = fitted_size(*size, PixelBudget(3136, 12544))
    assert ours[0] * ours[1] / 28**2 <= 16


def test_it_enlarges_small_pictures_and_narrow_ones():
    assert fitted_size(20, 20, PixelBudget(12544, 602112, PUBLISHED)) == (112, 112)
    assert fitted_size(2000, 10, PixelBudget(1024, 602112, PUBLISHED))[1] == 28
    assert fitted_size(28, 28, PixelBudget(784, 602112, (65536, 16777216))) == (280, 280)


def test_screenshots_have_more_tokens_than_the_budget_says():
    theirs = fitted_size(1080, 1920, PixelBudget(3136, 602112, PUBLISHED))
    ours = fitted_size(1080, 1920, PixelBudget(3136, 602112))
    assert [width * height // 784 for width, height in (theirs, ours)] == [777, 720]
    assert str(PixelBudget(3136, 602112)) != str(PixelBudget(3136, 602112, PUBLISHED))
