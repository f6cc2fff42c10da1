"""What a server says to pictures."""

import re

from PIL import Image

from kdsl.http_client import ServerError
from kdsl.vlm.server.messages import JsonMessages, data_url

_NO_PICTURES = re.compile(r"image|picture|multi-?modal|vision|mmproj", re.IGNORECASE)
_SIDE = 224
"""Pixels: no model calls it too small."""


def about_a_picture() -> JsonMessages:
    """A question that holds a picture and one character."""
    picture = {"type": "image_url", "image_url": {"url": data_url(Image.new("RGB", (_SIDE, _SIDE), "white"))}}
    return [{"role": "user", "content": [picture, {"type": "text", "text": "?"}]}]


def refuses_pictures(error: ServerError, messages: JsonMessages) -> bool:
    """Whether the answer to these messages says that the model does not take their pictures."""
    has_pictures = any(not isinstance(message["content"], str) for message in messages)
    return has_pictures and bool(_NO_PICTURES.search(error.message))
