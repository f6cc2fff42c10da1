"""Sounds as WAV, for those who cannot read other forms."""

import io
import wave

import numpy as np

from kdsl.audio.decoding import RATE, Samples


def wav_bytes(samples: Samples) -> bytes:
    """A WAV file of one channel, 16 bits, `RATE` samples a second; what was decoded from such a file is the same."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setparams((1, 2, RATE, len(samples), "NONE", ""))
        writer.writeframes((samples * 0x8000).round().clip(-0x8000, 0x7FFF).astype(np.dtype("<i2")).tobytes())
    return file.getvalue()
