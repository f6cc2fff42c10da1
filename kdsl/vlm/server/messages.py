"""Conversations as the JSON of OpenAI's chat completions."""

import base64
import io
import re
from itertools import groupby
from typing import Any

from PIL.Image import Image

from kdsl.vlm.conversation import Conversation, Picture, Piece, pictures
from kdsl.vlm.pixels import PixelBudget, load_picture

JsonMessages = list[dict[str, Any]]

_SPECIAL = re.compile(r"<(\|\w+\|)>")


def encode_pictures(conversation: Conversation, budget: PixelBudget) -> dict[Picture, str]:
    """The conversation's pictures as data URLs: PNG, in the size in which a local model would see them.

    The server's own preprocessing leaves this size as it is, as long as it lies within the server's own budget.
    Raises KdslError for a picture that cannot be taken.
    """
    return {picture: data_url(load_picture(picture.path, budget)) for picture in dict.fromkeys(pictures(conversation))}


def chat_messages(conversation: Conversation, data_urls: dict[Picture, str]) -> JsonMessages:
    """The value of `messages`; special tokens of Qwen inside texts are broken up, since servers would obey them."""
    return [{"role": message.role, "content": _content(message.pieces, data_urls)} for message in conversation]


def _content(pieces: tuple[Piece, ...], data_urls: dict[Picture, str]) -> str | list[dict[str, Any]]:
    # Servers put line breaks or spaces between adjacent text parts, a local model nothing: they are joined here.
    parts: list[dict[str, Any]] = []
    for is_picture, run in groupby(pieces, lambda piece: isinstance(piece, Picture)):
        if is_picture:
            urls = [data_urls[piece] for piece in run if isinstance(piece, Picture)]
            parts += [{"type": "image_url", "image_url": {"url": url}} for url in urls]
        else:
            parts.append({"type": "text", "text": _SPECIAL.sub(r"< \1 >", "".join(map(str, run)))})
    texts_only = all(part["type"] == "text" for part in parts)
    return "".join(part["text"] for part in parts) if texts_only else parts


def data_url(image: Image) -> str:
    """The image as PNG."""
    file = io.BytesIO()
    image.save(file, format="PNG", compress_level=1)  # lossless, quickly
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")
