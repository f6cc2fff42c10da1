"""Sounds as WAV, for browsers that do not play the file itself, such as AMR, which phones send."""

import os
import tempfile
import threading
from collections import OrderedDict
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from kdsl.audio.decoding import open_sound
from kdsl.audio.wav import write_wav
from kdsl.errors import KdslError, first_line
from kdsl.files import Stamp, stamp_of

MOST, MOST_BYTES = 32, 1 << 29
"""Decoded sounds that are kept besides the last one, and their bytes: each is an open file, and an hour has 115 MB."""


class Waves:
    """Decoded sounds, those that were asked for last. Safe for threads, of which one decodes at a time.

    They lie in files without a name, which are gone with the process however it ends.
    """

    def __init__(self, most: int = MOST, most_bytes: int = MOST_BYTES) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._files: OrderedDict[tuple[Path, Stamp | None], BinaryIO] = OrderedDict()
        self._mutex = threading.Lock()

    def of(self, path: Path) -> BinaryIO:
        """The sound as WAV of one channel, 16 kHz and 16 bits, in a file that is the caller's to close.

        Its position is shared with whoever else reads the same sound: read at places (`os.pread`).

        Raises KdslError where the extra `voice` is missing, and in one sentence for what cannot be decoded.
        """
        with self._mutex:
            key = path, stamp_of(path)
            if key not in self._files:
                self._files[key] = _decoded(path)
            self._files.move_to_end(key)
            while len(self._files) > self._most or (len(self._files) > 1 and self._bytes() > self._most_bytes):
                _, oldest = self._files.popitem(last=False)
                oldest.close()
            return os.fdopen(os.dup(self._files[key].fileno()), "rb")

    def _bytes(self) -> int:
        return sum(os.fstat(file.fileno()).st_size for file in self._files.values())


def _decoded(path: Path) -> BinaryIO:
    """Of the sound no more than a second is in memory at once."""
    try:
        with ExitStack() as closing:
            file = closing.enter_context(tempfile.TemporaryFile())
            with open_sound(path) as sound:
                write_wav(file, sound.blocks())
            closing.pop_all()
    except OSError as error:
        raise KdslError(f"{path}: cannot be written as WAV ({first_line(error)}); make room for it") from error
    return file
