"""The pictures and sounds of samples, which the page calls by opaque ids: no file's name or folder leaves it."""

import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO

from kdsl.config_parts import DataConfig
from kdsl.errors import KdslError
from kdsl.files import existing_file, opened
from kdsl.review.waves import Waves
from kdsl.sample import Sample

WAVE = "audio/wav"
_PICTURES = {
    b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg", b"GIF8": "image/gif", b"BM": "image/bmp",
}  # fmt: skip
_SOUNDS = {b"ID3": "audio/mpeg", b"OggS": "audio/ogg", b"fLaC": "audio/flac", b"\x1aE\xdf\xa3": "audio/webm"}
_SMALL = 1 << 20
"""Bytes of a sound that is loaded before anybody plays it: a browser keeps six connections, and larger files hold one
each."""


@dataclass(frozen=True)
class Picture:
    path: Path
    kind: str
    """Media type by the file's first bytes, never by its name."""


@dataclass(frozen=True)
class SoundFile:
    path: Path
    kind: str
    """Media type by the file's first bytes, of what most browsers play; empty for what they do not."""
    size: int

    @property
    def preload(self) -> str:
        """What a browser is to load of it before anybody plays it; nothing where it must be decoded first."""
        return "metadata" if self.kind and self.size <= _SMALL else "none"


class Media:
    """The files that samples name, by ids that say nothing about the names and change with every start."""

    def __init__(self, data: DataConfig, samples: Iterable[Sample], before: "Media | None" = None) -> None:
        """No other file is given away than those of `samples`. `before` is what there was until now."""
        self._folders = data.images, data.audio
        self._secret: bytes = secrets.token_bytes(16) if before is None else before._secret
        self._waves: Waves = Waves() if before is None else before._waves
        images, sounds = set[str](), set[str]()
        for sample in samples:
            images.update(sample.images)
            sounds.update(sample.audio)
        self._images = {self.address(name): name for name in images}
        self._sounds = {self.address(name): name for name in sounds}

    def add(self, sample: Sample) -> None:
        """Give away the files of a sample that is shown, too: not all of very many are known from the beginning."""
        self._images |= {self.address(name): name for name in sample.images}
        self._sounds |= {self.address(name): name for name in sample.audio}

    def address(self, name: str) -> str:
        """The opaque id of a file."""
        return blake2b(name.encode("utf-8", "surrogatepass"), digest_size=12, key=self._secret).hexdigest()

    def picture(self, address: str) -> Picture | None:
        """The image of a sample; None for everything else, outside the image folder above all."""
        name, (folder, _) = self._images.get(address), self._folders
        path = None if name is None or folder is None else existing_file(folder, name)
        if path is None:
            return None
        head = _head(path)
        if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
            return Picture(path, "image/webp")
        kind = next((kind for magic, kind in _PICTURES.items() if head.startswith(magic)), None)
        return None if kind is None else Picture(path, kind)

    def sound(self, address: str) -> SoundFile | None:
        """The sound of a sample; None for everything else, outside the folder of sounds above all, and for what is
        not there."""
        name, (_, folder) = self._sounds.get(address), self._folders
        path = None if name is None or folder is None else existing_file(folder, name)
        if path is None:
            return None
        try:
            return SoundFile(path, _sound_kind(_head(path)), path.stat().st_size)
        except OSError:  # gone since
            return None

    def opened(self, sound: SoundFile, decoded: bool) -> BinaryIO:
        """The file as it is, or what it holds as WAV; KdslError for what cannot be read or decoded."""
        if decoded:
            return self._waves.of(sound.path)
        with opened(sound.path) as file:
            return os.fdopen(os.dup(file.fileno()), "rb")


def _head(path: Path) -> bytes:
    try:
        with opened(path) as file:
            return file.read(12)
    except KdslError:
        return b""


def _sound_kind(head: bytes) -> str:
    """See `SoundFile.kind`."""
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        return WAVE
    if head[4:8] == b"ftyp":
        return "audio/mp4"
    if head[:1] == b"\xff" and len(head) > 1 and head[1] & 0xE6 == 0xE2:  # a frame of MPEG, layer III
        return "audio/mpeg"
    return next((kind for magic, kind in _SOUNDS.items() if head.startswith(magic)), "")
