"""Conversations as the JSON of OpenAI's chat completions."""

import base64
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image

from kdsl.audio.wav import wav_bytes
from kdsl.vlm.control_tokens import ControlTokens
from kdsl.vlm.conversation import Audio, Conversation, Picture, Piece, pictures, sounds
from kdsl.vlm.pixels import FACTOR, PixelBudget, load_picture
from kdsl.vlm.sounds import load_sound

JsonMessages = list[dict[str, Any]]

CONTROL = ControlTokens()


@dataclass(frozen=True)
class EncodedMedia:
    """The pictures and sounds of a conversation as parts of a message."""

    parts: dict[Picture | Audio, dict[str, Any]]
    cut: tuple[Path, ...] = ()
    """Sounds that are longer than `MOST_SECONDS`, of which only the beginning is sent."""


def encode_media(conversation: Conversation, budget: PixelBudget, factor: int = FACTOR) -> EncodedMedia:
    """Pictures as PNG, in the size in which a local model would see them; sounds as WAV, 16 kHz and one channel.

    The server's own preprocessing leaves this size as it is, as long as it lies within the server's own budget, and
    its model takes sides that are divisible by `factor`.
    Raises KdslError for a picture or a sound that cannot be taken.
    """
    parts: dict[Picture | Audio, dict[str, Any]] = {
        picture: {"type": "image_url", "image_url": {"url": data_url(load_picture(picture.path, budget, factor))}}
        for picture in dict.fromkeys(pictures(conversation))
    }
    cut = []
    for sound in dict.fromkeys(sounds(conversation)):
        samples, longer = load_sound(sound.path)
        parts[sound] = sound_part(samples)
        cut += [sound.path] * longer
    return EncodedMedia(parts, tuple(cut))


def chat_messages(conversation: Conversation, media: EncodedMedia) -> JsonMessages:
    """The value of `messages`; no text in it holds a control token, since servers would obey it."""
    plain = CONTROL.plain_texts(conversation)
    return [{"role": message.role, "content": _content(message.pieces, media)} for message in plain]


def _content(pieces: tuple[Piece, ...], media: EncodedMedia) -> str | list[dict[str, Any]]:
    # Servers put line breaks or spaces between adjacent text parts, a local model nothing: there are none.
    if all(isinstance(piece, str) for piece in pieces):
        return "".join(map(str, pieces))
    return [{"type": "text", "text": piece} if isinstance(piece, str) else media.parts[piece] for piece in pieces]


def sound_part(samples: NDArray[np.float32]) -> dict[str, Any]:
    """Samples [n] at `RATE` as OpenAI's `input_audio`."""
    data = base64.b64encode(wav_bytes(samples)).decode("ascii")
    return {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}


def data_url(image: Image) -> str:
    """The image as PNG."""
    file = io.BytesIO()
    image.save(file, format="PNG", compress_level=1)  # lossless, quickly
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")
