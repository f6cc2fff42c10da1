"""What a server says to pictures and sounds."""

import re
from pathlib import Path

import numpy as np
from PIL import Image

from kdsl.audio.decoding import RATE
from kdsl.errors import KdslError
from kdsl.http_client import ServerError
from kdsl.vlm.server.messages import JsonMessages, data_url, sound_part

_NO_PICTURES = re.compile(r"image|picture|multi-?modal|vision|mmproj", re.IGNORECASE)
_NO_SOUNDS = re.compile(r"audio|sound|multi-?modal|mmproj", re.IGNORECASE)
_SIDE = 224
"""Pixels: no model calls it too small."""


def about_a_picture(width: int = _SIDE, height: int = _SIDE) -> JsonMessages:
    """A question that holds a white picture of so many pixels and one character."""
    picture = {"type": "image_url", "image_url": {"url": data_url(Image.new("RGB", (width, height), "white"))}}
    return [{"role": "user", "content": [picture, {"type": "text", "text": "?"}]}]


def about_a_sound() -> JsonMessages:
    """A question that holds a second of silence and one character."""
    return [{"role": "user", "content": [sound_part(np.zeros(RATE, np.float32)), {"type": "text", "text": "?"}]}]


def refused_media(error: ServerError, messages: JsonMessages, url: str, model: str) -> KdslError | None:
    """What to tell where the answer to these messages says that the model does not take their pictures or sounds; None
    where it says something else."""
    if _hold("image_url", messages) and _NO_PICTURES.search(error.message):
        kind, capable = "pictures", "a vision-language model such as Qwen2-VL"
    elif _hold("input_audio", messages) and _NO_SOUNDS.search(error.message):
        kind, capable = "sounds", "a model that hears such as Qwen2-Audio"
    else:
        return None
    return KdslError(
        f"{url}: the server does not take {kind} for {model} ({error.message}); serve {capable}, and allow as many "
        f"{kind} in a prompt as samples have"
    )


def deaf(sound: Path, url: str, model: str) -> KdslError:
    """What to tell where a sound is given to a model that does not hear."""
    return KdslError(
        f"{sound}: a sound, but {model} at {url} does not hear; serve a model that does, such as Qwen2-Audio or "
        "Qwen2.5-Omni, or ask it with what is said in the sound"
    )


def _hold(kind: str, messages: JsonMessages) -> bool:
    contents = [message["content"] for message in messages]
    return any(part["type"] == kind for content in contents if isinstance(content, list) for part in content)
