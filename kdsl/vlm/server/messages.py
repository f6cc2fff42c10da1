"""Conversations as the JSON of OpenAI's chat completions."""

import base64
import io
import re
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image

from kdsl.audio.wav import wav_bytes
from kdsl.vlm.conversation import Audio, Conversation, Picture, Piece, pictures, sounds
from kdsl.vlm.pixels import PixelBudget, load_picture
from kdsl.vlm.sounds import load_sound

JsonMessages = list[dict[str, Any]]

_SPECIAL = re.compile(r"<(\|\w+\|)>")


@dataclass(frozen=True)
class EncodedMedia:
    """The pictures and sounds of a conversation as parts of a message."""

    parts: dict[Picture | Audio, dict[str, Any]]
    cut: tuple[Path, ...] = ()
    """Sounds that are longer than `MOST_SECONDS`, of which only the beginning is sent."""


def encode_media(conversation: Conversation, budget: PixelBudget) -> EncodedMedia:
    """Pictures as PNG, in the size in which a local model would see them; sounds as WAV, 16 kHz and one channel.

    The server's own preprocessing leaves this size as it is, as long as it lies within the server's own budget.
    Raises KdslError for a picture or a sound that cannot be taken.
    """
    parts: dict[Picture | Audio, dict[str, Any]] = {
        picture: {"type": "image_url", "image_url": {"url": data_url(load_picture(picture.path, budget))}}
        for picture in dict.fromkeys(pictures(conversation))
    }
    cut = []
    for sound in dict.fromkeys(sounds(conversation)):
        samples, longer = load_sound(sound.path)
        parts[sound] = sound_part(samples)
        cut += [sound.path] * longer
    return EncodedMedia(parts, tuple(cut))


def chat_messages(conversation: Conversation, media: EncodedMedia) -> JsonMessages:
    """The value of `messages`; special tokens of Qwen inside texts are broken up, since servers would obey them."""
    return [{"role": message.role, "content": _content(message.pieces, media)} for message in conversation]


def _content(pieces: tuple[Piece, ...], media: EncodedMedia) -> str | list[dict[str, Any]]:
    # Servers put line breaks or spaces between adjacent text parts, a local model nothing: they are joined here.
    parts: list[dict[str, Any]] = []
    for is_text, run in groupby(pieces, lambda piece: isinstance(piece, str)):
        if is_text:
            parts.append({"type": "text", "text": _SPECIAL.sub(r"< \1 >", "".join(map(str, run)))})
        else:
            parts += [media.parts[piece] for piece in run if not isinstance(piece, str)]
    texts_only = all(part["type"] == "text" for part in parts)
    return "".join(part["text"] for part in parts) if texts_only else parts


def sound_part(samples: NDArray[np.float32]) -> dict[str, Any]:
    """Samples [n] at `RATE` as OpenAI's `input_audio`."""
    data = base64.b64encode(wav_bytes(samples)).decode("ascii")
    return {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}


def data_url(image: Image) -> str:
    """The image as PNG."""
    file = io.BytesIO()
    image.save(file, format="PNG", compress_level=1)  # lossless, quickly
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")
