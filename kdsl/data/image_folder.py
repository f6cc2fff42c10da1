"""The folder `data.images`, and which bytes may be a picture in it."""

import io
import sys
import warnings
from typing import Any, ClassVar

from kdsl.data.images import HUGE_PIXELS, LONGEST_SIDE, too_large
from kdsl.data.media import IMAGES, Medium
from kdsl.data.media_folder import MediaFolder, NoMedium
from kdsl.errors import first_line

LARGEST_PICTURE = 1 << 26
"""Bytes of the file of one picture."""

_SUFFIXES = {"PNG": "png", "JPEG": "jpg", "WEBP": "webp", "GIF": "gif", "BMP": "bmp", "TIFF": "tif"}
"""By the names that Pillow has for them. Its other formats are rare, or run programs of the system."""
_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")
"""What a PNG can hold as it is."""


def picture_suffix(content: bytes) -> str:
    """Of the file of a picture, of which nothing but the head is read; NoMedium for what images may not be."""
    from PIL import Image, UnidentifiedImageError

    if len(content) > LARGEST_PICTURE:
        raise NoMedium(f"have more than {LARGEST_PICTURE >> 20} MB")
    huge = f"have {HUGE_PIXELS // 1_000_000} megapixels or more, or a side of over {LONGEST_SIDE} pixels"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(content), formats=list(_SUFFIXES))
        with image:
            format, size = image.format, image.size
    except Image.DecompressionBombError as error:
        raise NoMedium(huge) from error
    except UnidentifiedImageError as error:
        raise NoMedium("are no PNG, JPEG, WebP, GIF, BMP or TIFF" if content else "are empty") from error
    except Exception as error:  # decoders of broken files raise anything
        raise NoMedium(f"cannot be read ({first_line(error)[:80]})") from error
    if too_large(size):
        raise NoMedium(huge)
    return _SUFFIXES.get(format or "", "jpg")  # a JPEG of several pictures is called MPO


class ImageFolder(MediaFolder):
    """Names below the folder for what samples call their images."""

    medium: ClassVar[Medium] = IMAGES
    largest = LARGEST_PICTURE
    accepted = "image/*"
    suffix = staticmethod(picture_suffix)


def is_image(value: object) -> bool:
    """Whether it is an image of Pillow, as `datasets` gives pictures."""
    # While another thread imports the module, it is there without its classes.
    image = getattr(sys.modules.get("PIL.Image"), "Image", None)
    return image is not None and isinstance(value, image)


def picture_of_image(image: Any) -> bytes:
    """The bytes of an image of Pillow, as a PNG."""
    file = io.BytesIO()
    (image if image.mode in _MODES else image.convert("RGB")).save(file, "PNG")
    return file.getvalue()
