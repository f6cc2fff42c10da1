"""Sounds as WAV, for those who cannot read other forms."""

import io
import wave
from collections.abc import Iterable
from typing import BinaryIO

import numpy as np

from kdsl.audio.decoding import RATE, Samples


def write_wav(file: BinaryIO, blocks: Iterable[Samples]) -> None:
    """Write a WAV file of one channel, 16 bits, `RATE` samples a second, a block at a time, and leave `file` open.

    What was decoded from such a file is the same.
    """
    with wave.open(file, "wb") as writer:
        writer.setparams((1, 2, RATE, 0, "NONE", ""))
        for block in blocks:
            writer.writeframesraw((block * 0x8000).round().clip(-0x8000, 0x7FFF).astype(np.dtype("<i2")).tobytes())


def wav_bytes(samples: Samples) -> bytes:
    """The file that `write_wav` writes."""
    file = io.BytesIO()
    write_wav(file, [samples])
    return file.getvalue()
