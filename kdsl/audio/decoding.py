"""Looking at a sound without trusting it, and decoding it: 16 000 samples a second of one channel, whatever it was.

FFmpeg's libraries (PyAV) decode all forms. They see nothing but the open file, and only know forms that hold sounds:
a playlist that names other files is none.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from kdsl.audio.cut_off import is_cut_off
from kdsl.distribution import install_command
from kdsl.errors import KdslError, first_line
from kdsl.files import inside, is_there, opened, parsing

if TYPE_CHECKING:
    from av.container import InputContainer

Samples = NDArray[np.float32]

RATE = 16_000
"""Samples a second, as all recognisers and models of speech want them."""
LONGEST_SECONDS = 2 * 60 * 60
"""Longer sounds are reported and decoded by nothing."""
SILENT = 0.001
"""The loudest sample of a sound in which nothing can be heard: 60 dB below what is possible."""

Problem = Literal["missing", "unreadable", "long", "silent", "damaged", "video"]

_FORMS = (
    "wav,w64,aiff,au,caf,nistsphere,voc,flac,mp3,ogg,aac,amr,amrnb,amrwb,ac3,eac3,ape,wv,tta,tak,dsf,gsm,sln,"
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,asf,flv,mpeg,mpegts,rm,nut"
)
"""FFmpeg's names of what may hold a sound. Not among them: pictures, and lists of other files such as `concat`."""
_RATES = range(1_000, 1_000_001)
"""Samples a second that a file may say it has: of one with fewer, each becomes thousands."""
_SILK = b"#!SILK"
_KNOWN = "give it as WAV, MP3, OGG, M4A or AMR"


@dataclass(frozen=True)
class AudioFacts:
    """What is known about a sound."""

    problem: Problem | None = None
    """`missing`, `unreadable` and `long` sounds are decoded by nothing. Of a `damaged` one and of a `video` there is
    something to hear, of a `silent` one there is not."""
    detail: str = ""
    seconds: float = 0.0
    """How long it is, as far as it can be decoded."""
    rate: int = 0
    """Samples a second, as the file has them."""
    channels: int = 0
    loudest: float = 0.0
    """The largest distance of a sample from 0, at most 1."""


class _TooLong(KdslError):
    """A sound lasts more than `LONGEST_SECONDS`."""


@dataclass
class Sound:
    """An open sound file, to be decoded once from its beginning."""

    path: Path
    rate: int
    channels: int
    video: bool
    """Whether there are moving pictures besides."""
    claimed: float = 0.0
    """How many seconds the file says it lasts, 0 where it does not."""
    damage: str = ""
    """What is wrong with a file of which something can be decoded; all of it is known after the last block."""
    _container: "InputContainer | None" = field(default=None, repr=False)

    def blocks(self) -> Iterator[Samples]:
        """Float32 [n] in [-1, 1], `RATE` a second, at most a second each; what comes after a damaged part is decoded.

        Raises KdslError where nothing can be decoded, and behind `LONGEST_SECONDS`.
        """
        taken = 0
        with parsing(self.path, "cannot be decoded", _KNOWN):
            for block in self._resampled():
                taken += len(block)
                if taken > LONGEST_SECONDS * RATE:
                    raise _TooLong(f"{self.path}: lasts more than {LONGEST_SECONDS / 3600:g} hours", "cut it")
                yield block
        if not taken:
            raise KdslError(f"{self.path}: {self.damage or 'no sound is in it'}", _KNOWN)

    def _resampled(self) -> Iterator[Samples]:
        import av

        resampler: Any = None
        form = None
        for frame in self._frames():
            if form != (form := (frame.format.name, frame.layout.name, frame.sample_rate)):
                yield from _flushed(resampler)
                resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE, frame_size=RATE)
            try:
                frames = resampler.resample(_finite(frame))
            except (av.FFmpegError, ValueError) as error:
                self.damage = f"it cannot be decoded ({_reason(error)})"
                return
            yield from map(_samples, frames)
        yield from _flushed(resampler)

    def _frames(self) -> Iterator[Any]:
        import av

        assert self._container is not None
        stream = self._container.streams.audio[0]
        packets = self._container.demux(stream)
        while True:
            try:
                packet = next(packets, None)
                if packet is None:
                    return
                yield from packet.decode()
            except av.FFmpegError as error:
                self.damage = self.damage or f"a part of it cannot be decoded ({_reason(error)})"
                if packet is None:
                    return


def sound_path(folder: Path, name: str) -> Path:
    """Where a sound of a sample lies: below `folder`, or at the absolute path that a program gave.

    The latter can be no name in a file of data. KdslError where a name or a link leads out of `folder`.
    """
    return Path(name) if os.path.isabs(name) else inside(folder, name)


def voice_installed() -> bool:
    """Whether PyAV is there."""
    return find_spec("av") is not None


def require_decoder() -> None:
    """Raise KdslError when PyAV is not installed."""
    if not voice_installed():
        raise KdslError(f"decoding sounds needs PyAV; install it with: {install_command('voice')}")


@contextmanager
def open_sound(path: Path) -> Iterator[Sound]:
    """The sound file at `path`, of a video its sound track.

    Raises KdslError where PyAV is missing, and in one sentence for what is no such file.
    """
    require_decoder()
    from av.stream import Disposition

    damage = "it is cut off" if is_cut_off(path) else ""
    with opened(path) as file, _container(path, file, damage) as container:
        streams = container.streams
        pictures = [stream for stream in streams.video if not stream.disposition & Disposition.attached_pic]
        if not streams.audio:
            what = "a video without a sound track" if pictures else "without any sound"
            raise KdslError(f"{path}: is {what}", _KNOWN)
        stream = streams.audio[0]
        if stream.codec_context is None:  # a broken file may not come to it, and has neither rate nor channels then
            raise KdslError(f"{path}: is no sound that can be read ({damage or 'it names no codec'})", _KNOWN)
        if stream.rate not in _RATES:
            raise KdslError(f"{path}: says that it has {stream.rate} samples a second", _KNOWN)
        claimed = (container.duration or 0) / 1e6  # of microseconds
        yield Sound(path, stream.rate, stream.channels, bool(pictures), claimed, damage, container)


def load_audio(path: Path, start: float = 0.0, end: float | None = None) -> Samples:
    """The sound from second `start` to second `end` as float32 [n] in [-1, 1], one channel, `RATE` samples a second.

    What lies behind the sound's end is left out. Raises KdslError where PyAV is missing, and in one sentence for
    what cannot be decoded or, where `end` is not given, lasts more than `LONGEST_SECONDS`.
    """
    first, last = round(start * RATE), None if end is None else round(end * RATE)
    parts, place = [np.zeros(0, np.float32)], 0
    with open_sound(path) as sound:
        for block in sound.blocks():
            if last is not None and place >= last:
                break
            parts.append(block[max(first - place, 0) : None if last is None else last - place])
            place += len(block)
    return np.concatenate(parts)


def audio_facts(path: Path) -> AudioFacts:
    """What is known about the sound file at `path`; never raises for a file, whatever it holds.

    Raises KdslError where PyAV is missing.
    """
    require_decoder()
    place, loudest = 0, 0.0
    rate = channels = 0
    try:
        if not is_there(path) and not path.is_symlink():
            return AudioFacts("missing", "no such file")
        with open_sound(path) as sound:
            rate, channels = sound.rate, sound.channels
            for block in sound.blocks():
                place += len(block)
                loudest = max(loudest, float(np.abs(block).max()))
    except KdslError as error:
        problem: Problem = "long" if isinstance(error, _TooLong) else "unreadable"
        return AudioFacts(problem, error.sentence.removeprefix(f"{path}: "), place / RATE, rate, channels, loudest)
    facts = place / RATE, rate, channels, loudest
    if loudest < SILENT:
        return AudioFacts("silent", "nothing can be heard", *facts)
    if sound.damage:
        return AudioFacts("damaged", sound.damage, *facts)
    return AudioFacts("video" if sound.video else None, "its sound track is taken" if sound.video else "", *facts)


@contextmanager
def _container(path: Path, file: BufferedReader, damage: str) -> "Iterator[InputContainer]":
    import av

    if not file.peek(1):
        raise KdslError(f"{path}: is empty", _KNOWN)
    head = bytes(file.peek(16)[:16])
    if _SILK in head:
        raise KdslError(f"{path}: is SILK, as WeChat keeps voice messages, which nothing here decodes", _KNOWN)
    options = {"format_whitelist": _FORMS, "protocol_whitelist": ""}
    try:
        container = av.open(file, "r", metadata_errors="ignore", options=options)
    except Exception as error:  # av.FFmpegError, and whatever a broken file leads PyAV to
        raise KdslError(f"{path}: is no sound that can be read ({damage or _reason(error)})", _KNOWN) from error
    with container:
        yield container


def _flushed(resampler: Any) -> Iterator[Samples]:
    if resampler is not None:
        yield from map(_samples, resampler.resample(None))


def _finite(frame: Any) -> Any:
    """The same with silence for numbers that are none, which resampling would spread."""
    from av import AudioFrame

    samples = frame.to_ndarray()
    if samples.dtype.kind != "f" or np.isfinite(samples).all():
        return frame
    samples = np.where(np.isfinite(samples), samples, samples.dtype.type(0))
    finite = AudioFrame.from_ndarray(samples, frame.format.name, frame.layout.name)
    finite.sample_rate = frame.sample_rate
    return finite


def _samples(frame: Any) -> Samples:
    """Louder than possible is as loud as possible."""
    return np.clip(frame.to_ndarray()[0], -1.0, 1.0).astype(np.float32, copy=False)


def _reason(error: Exception) -> str:
    """FFmpeg's words, without its number and the file's name."""
    told = getattr(error, "strerror", None) or first_line(error)
    return str(told)
