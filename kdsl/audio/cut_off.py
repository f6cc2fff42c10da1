"""Whether a sound file ends before its end: an upload that broke off, a disk that was full."""

import os
from pathlib import Path

from kdsl.files import opened

_UNKNOWN_LENGTH = 0x7FFF_0000
"""From this length on a RIFF file does not say how long it is: programs that write into a pipe put 2 or 4 GB there."""
_TAIL = 1 << 17
"""Bytes in which the last page of an Ogg file begins: one has 65,307 at most."""


def is_cut_off(path: Path) -> bool:
    """Whether a WAV or Ogg file has fewer bytes than it says; False for any other. Errors of `opened`."""
    with opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        head = file.read(8)
        if head.startswith(b"RIFF"):
            said = int.from_bytes(head[4:], "little")
            return size < said + 8 and said < _UNKNOWN_LENGTH
        if not head.startswith(b"OggS"):
            return False
        file.seek(max(size - _TAIL, 0))
        return _last_page_is_cut(file.read())


def _last_page_is_cut(tail: bytes) -> bool:
    """Source: RFC 3533, section 6: byte 26 of a page is the number of its segments, their lengths follow."""
    page = tail[tail.rfind(b"OggS") :]
    if len(page) < 27:
        return True
    lengths = page[27 : 27 + page[26]]
    return len(page) < 27 + page[26] + sum(lengths)
