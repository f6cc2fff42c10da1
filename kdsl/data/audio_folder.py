"""The folder `data.audio`, and which bytes may be a sound in it."""

import io
import re
import wave
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from kdsl.data.media import AUDIO, Medium
from kdsl.data.media_folder import MediaFolder, NoMedium

LARGEST_SOUND = 1 << 27
"""Bytes of the file of one sound: half an hour of speech takes 58 MB as plain WAV."""

_HEADS = (
    ("wav", re.compile(rb"(?:RIFF|RF64|RIFX)....WAVE", re.DOTALL)),
    ("ogg", re.compile(rb"OggS")),
    ("flac", re.compile(rb"fLaC")),
    ("amr", re.compile(rb"#!AMR")),
    ("m4a", re.compile(rb"....ftyp(?!avif|avis|hei|hev|mif1|msf1)", re.DOTALL)),
    ("webm", re.compile(rb"\x1a\x45\xdf\xa3")),
    ("aiff", re.compile(rb"FORM....AIF[FC]", re.DOTALL)),
    ("aac", re.compile(rb"\xff[\xf0\xf1\xf8\xf9]")),
    ("mp3", re.compile(rb"ID3|\xff[\xe2-\xe7\xea-\xef\xf2-\xf7\xfa-\xfd]")),
)
"""How files of sounds begin, by the endings of their names: magic numbers, and the 11 set bits of a frame of MPEG."""
_RATES = (1_000, 768_000)
"""Samples a second that a sound may have, from the lowest on."""


def is_sound(content: bytes) -> bool:
    """Whether it begins like the file of a sound."""
    return any(head.match(content) for _, head in _HEADS)


def sound_suffix(content: bytes) -> str:
    """Of the file of a sound, of which nothing but the head is read; NoMedium for what sounds may not be."""
    if len(content) > LARGEST_SOUND:
        raise NoMedium(f"have more than {LARGEST_SOUND >> 20} MB")
    suffix = next((suffix for suffix, head in _HEADS if head.match(content)), None)
    if suffix is None:
        raise NoMedium("are no WAV, MP3, Ogg, FLAC, AMR, M4A, AAC, AIFF or WebM" if content else "are empty")
    return suffix


class AudioFolder(MediaFolder):
    """Names below the folder for what samples call their sounds."""

    medium: ClassVar[Medium] = AUDIO
    largest = LARGEST_SOUND
    accepted = "audio/*"
    suffix = staticmethod(sound_suffix)


def is_waveform(value: object) -> bool:
    """Whether it is a sound as `datasets` decodes it: {"array": numbers in [-1, 1], "sampling_rate": a second}."""
    return isinstance(value, Mapping) and value.get("array") is not None and "sampling_rate" in value


def sound_of_waveform(value: Mapping[str, Any]) -> bytes:
    """The bytes of a decoded sound as WAV of 16 bits; NoMedium for one that cannot be heard.

    An `array` is [samples] or [channels, samples], or [samples, channels] where that has fewer channels; these are
    averaged.
    """
    rate = value["sampling_rate"]
    try:
        array = np.asarray(value["array"], dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise NoMedium("hold something else than numbers") from error
    if array.ndim == 2 and array.size:
        array = array.mean(axis=int(np.argmin(array.shape)))
    if array.ndim != 1 or not np.isfinite(array).all():
        raise NoMedium("hold something else than a list of finite numbers")
    if isinstance(rate, bool) or not isinstance(rate, int) or not _RATES[0] <= rate <= _RATES[1]:
        raise NoMedium(f"have no sampling rate of {_RATES[0]:,} to {_RATES[1]:,} a second")
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setnchannels(1)
        written.setsampwidth(2)
        written.setframerate(rate)
        written.writeframes((array.clip(-1, 1) * 32767).round().astype("<i2").tobytes())
    return file.getvalue()
