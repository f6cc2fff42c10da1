"""Sounds for tests: speech by espeak-ng, tones, and files of every form that customers send."""

import shutil
import subprocess
import wave
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

RATE = 16_000
needs_espeak = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
needs_voice = ("av", "pocketsphinx", "soundfile")
"""For `pytest.importorskip`: the packages of the extra `voice`."""

Sound = NDArray[np.float32]


def spoken(text: str) -> Sound:
    """English speech that PocketSphinx understands as well as any."""
    words = ["espeak-ng", "-v", "en-us+f3", "-s", "150", "--stdout", text]
    made = subprocess.run(words, capture_output=True, check=True).stdout
    rate = int.from_bytes(made[24:28], "little")
    sound = np.frombuffer(made[44:], "<i2").astype(np.float32) / 32768
    times = np.arange(int(len(sound) * RATE / rate)) / RATE
    return np.interp(times, np.arange(len(sound)) / rate, sound).astype(np.float32)


def tone(seconds: float, hertz: float = 440.0, loudness: float = 0.3, rate: int = RATE) -> Sound:
    return (loudness * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


def silence(seconds: float) -> Sound:
    return np.zeros(int(seconds * RATE), np.float32)


def save_wav(path: Path, *parts: Sound, rate: int = RATE) -> Path:
    """16 bits, one channel."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((np.concatenate(parts) * 32767).astype("<i2").tobytes())
    return path


CODECS = {".amr": "libopencore_amrnb", ".m4a": "aac", ".mp3": "libmp3lame", ".ogg": "libopus", ".mp4": "aac",
          ".webm": "libopus", ".flac": "flac"}  # fmt: skip


def save_as(path: Path, sound: Sound, rate: int = RATE, pictures: int = 0, form: str | None = None) -> Path:
    """The sound in the form that the name's ending says, or `form`; before it, moving pictures."""
    import av

    ending = form or path.suffix
    path.parent.mkdir(parents=True, exist_ok=True)
    coder_rate = {".amr": 8_000, ".ogg": 48_000, ".webm": 48_000}.get(ending, rate)
    with av.open(str(path), "w", format=ending[1:].replace("m4a", "mp4")) as file:
        film = None
        if pictures:
            film = file.add_stream("mpeg4", rate=5)
            film.width, film.height, film.pix_fmt = 64, 48, "yuv420p"
        if len(sound):
            stream = file.add_stream(CODECS[ending], rate=coder_rate)
            stream.layout = "mono"
        for number in range(pictures):
            picture = np.full((48, 64, 3), 40 * number % 256, np.uint8)
            file.mux(film.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        if film is not None:
            file.mux(film.encode(None))
        if len(sound):
            for packet in _encoded(stream, sound, rate):
                file.mux(packet)
    return path


def _encoded(stream, sound: Sound, rate: int) -> Iterable:
    import av

    frame = av.AudioFrame.from_ndarray((sound[None] * 32767).astype(np.int16), "s16", "mono")
    frame.sample_rate = rate
    coder = stream.codec_context
    coder.open(strict=False)
    resampler = av.AudioResampler(coder.format, "mono", coder.sample_rate, frame_size=coder.frame_size or 1024)
    for each in [*resampler.resample(frame), *resampler.resample(None), None]:
        if each is not None:
            each.pts = None
        yield from stream.encode(each)
