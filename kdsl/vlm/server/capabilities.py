"""Which models a server has, and the one that is meant."""

import re
from typing import Any

from PIL import Image

from kdsl.errors import KdslError
from kdsl.http_client import HttpClient, ServerError
from kdsl.vlm.server.messages import JsonMessages, data_url


def served_models(client: HttpClient, name: str) -> dict[str, dict[str, Any]]:
    """Model name → what the server says of it; KdslError where it says nothing of the kind."""
    try:
        answer = client.get("/models")
    except ServerError as error:
        if error.status == 404 and name:  # not every proxy lists its models
            return {name: {}}
        raise
    models = answer.get("data")
    if not isinstance(models, list) or not all(isinstance(m, dict) and isinstance(m.get("id"), str) for m in models):
        raise client.garbage("/models", "an answer without a list of models")
    return {model["id"]: model for model in models}


def chosen_model(url: str, served: dict[str, dict[str, Any]], name: str) -> str:
    """The model called `name`, or the only one; KdslError where that is none of the `served` ones."""
    if not served:
        raise KdslError(f"{url}: the server has no model; load one there")
    names = ", ".join(served)
    if name and name not in served:
        raise KdslError(f"{url}: the server has no model {name!r}; it serves {names}")
    if not name and len(served) != 1:
        example = next(iter(served))
        raise KdslError(f"{url}: name one of the models that the server has ({names}), like {url}#{example}")
    return name or next(iter(served))


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
