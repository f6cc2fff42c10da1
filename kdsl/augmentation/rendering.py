"""Making the pixels of a plan."""

import io
from statistics import NormalDist
from typing import TYPE_CHECKING

from kdsl.augmentation.pages import crop_pixels, plan_size
from kdsl.augmentation.plan import Plan

if TYPE_CHECKING:
    # Pillow is imported when the first image is made: copies for the embedded classifier need none.
    from PIL.Image import Image

_NORMAL = NormalDist()


def render(plan: Plan, image: "Image") -> "Image":
    """What `plan` makes of an upright RGB image; the same plan and image give the same pixels."""
    from PIL import Image, ImageEnhance, ImageFilter

    image = _covered(plan, image)
    image = image.crop(crop_pixels(plan, image.size))
    if plan.angle:
        corners = [image.getpixel((x, y)) for x in (0, image.width - 1) for y in (0, image.height - 1)]
        edge = tuple(sum(channel) // len(corners) for channel in zip(*corners, strict=True))
        image = image.rotate(plan.angle, Image.Resampling.BILINEAR, fillcolor=edge)
    if plan.scale != 1:
        image = image.resize(plan_size(Plan(scale=plan.scale), image.size), Image.Resampling.BICUBIC)
    for enhance, factor in (
        (ImageEnhance.Brightness, plan.brightness),
        (ImageEnhance.Contrast, plan.contrast),
        (ImageEnhance.Color, plan.saturation),
    ):
        if factor != 1:
            image = enhance(image).enhance(factor)
    if plan.tint != (1.0, 1.0, 1.0):
        levels = [min(255, round(level * factor)) for factor in plan.tint for level in range(256)]
        image = image.point(levels)
    if plan.blur:
        image = image.filter(ImageFilter.BoxBlur(plan.blur))
    return _noisy(plan, image) if plan.noise else image


def jpeg(plan: Plan, image: "Image") -> bytes:
    """The file of what `plan` makes of an upright RGB image."""
    content = io.BytesIO()
    render(plan, image).save(content, "JPEG", quality=plan.quality)
    return content.getvalue()


def _covered(plan: Plan, image: "Image") -> "Image":
    """Each region in one grey of its own."""
    import random

    from PIL import ImageDraw

    if not plan.covered:
        return image
    image = image.copy()
    draw, source = ImageDraw.Draw(image), random.Random(plan.seed)
    for x0, y0, x1, y1 in plan.covered:
        grey = source.randrange(256)
        corners = (x0 * image.width, y0 * image.height, x1 * image.width, y1 * image.height)
        draw.rectangle(corners, fill=(grey, grey, grey))
    return image


def _noisy(plan: Plan, image: "Image") -> "Image":
    import numpy as np
    from PIL import Image

    pixels = np.asarray(image, dtype=np.int16)
    # A byte a pixel, as a quantile of the normal distribution: ten times as fast as drawing from it.
    quantiles = np.array([round(plan.noise * _NORMAL.inv_cdf((byte + 0.5) / 256)) for byte in range(256)], np.int16)
    drawn = np.frombuffer(np.random.default_rng(plan.seed).bytes(image.width * image.height), np.uint8)
    noise = quantiles[drawn].reshape(image.height, image.width, 1)
    return Image.fromarray(np.clip(pixels + noise, 0, 255).astype(np.uint8))
