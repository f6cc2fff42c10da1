"""The lines of a data file as text, in whatever encoding it is; what has to be guessed is told."""

import io
import logging
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from kdsl.data.charset import Charset, likely, marked, proven, wide
from kdsl.errors import KdslError

_log = logging.getLogger(__name__)

_SAMPLE = 1 << 20
"""Bytes that an encoding is told from."""
_HEAD = 512
_UTF8 = Charset("utf-8", "UTF-8")


def text_lines(path: Path, file: "io.BufferedReader[Any]", labels: Sequence[str]) -> Iterator[tuple[int, str]]:
    """(number from 1, line with its end), streaming; a line ends with LF, CR or both.

    A byte order mark may stand before the first. A file that is neither UTF-8 nor marked is read, with a warning, in
    the one encoding in which `labels` stand in it, or else in the one that it looks like, if that gives text in the
    labels' script. Raises KdslError with the line where there is none, and where a line is in another one than the
    lines before.
    """
    head = file.peek(_HEAD)[:_HEAD]
    codec = marked(head) or wide(head)
    if codec is not None and codec.startswith(("utf_16", "utf_32")):
        yield from _wide_lines(path, file, codec)
    elif b"\0" in head:
        raise KdslError(f"{path}: is no text, for it holds zero bytes; give a file of samples")
    else:
        yield from _narrow_lines(path, file, labels)


def _wide_lines(path: Path, file: "io.BufferedReader[Any]", codec: str) -> Iterator[tuple[int, str]]:
    number = 0
    try:
        for number, line in enumerate(io.TextIOWrapper(file, codec, newline=""), start=1):
            yield number, line
    except UnicodeDecodeError as error:
        name = codec[:6].upper().replace("_", "-")
        raise KdslError(
            f"{path}, line {number + 1}: is not {name} as the file begins ({error.reason}); it is damaged or of two "
            "encodings: save it as UTF-8"
        ) from error


def _narrow_lines(path: Path, file: "io.BufferedReader[Any]", labels: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Lines in an encoding whose line ends are those of ASCII, which no other character holds a byte of."""
    number = 0
    for raw in file:
        if not raw.isascii():
            break
        for line in _split(raw):
            number += 1
            yield number, line.decode("ascii")
    else:
        return
    # Nothing was told by ASCII: from here on it can be.
    ahead = file.read(_SAMPLE) + file.readline()
    charset = _narrow_charset(path, number + 1, raw + ahead, labels)
    for each in chain([raw], io.BytesIO(ahead), file):
        for line in _split(each):
            number += 1
            try:
                yield number, line.decode(charset.codec)
            except UnicodeDecodeError as error:
                raise KdslError(
                    f"{path}, line {number}: byte {error.start} is not {charset.name} like the lines before; save "
                    "the whole file in one encoding, UTF-8"
                ) from error


def _split(raw: bytes) -> Sequence[bytes]:
    return raw.splitlines(keepends=True) if b"\r" in raw else (raw,)


def _narrow_charset(path: Path, number: int, sample: bytes, labels: Sequence[str]) -> Charset:
    """The encoding of whole lines, of which the first has the given number."""
    if marked(sample) == "gb18030":
        return Charset("gb18030", "GB 18030")
    try:
        sample.decode("utf-8")
        start = None
    except UnicodeDecodeError as error:
        start = error.start
    # Asked of UTF-8 too: a few Chinese words in GB 18030 can be Latin letters with accents in UTF-8.
    mixed = start is not None and _partly_utf8(sample)
    found = None if mixed else proven(sample, labels)
    if found is not None:
        _log.warning("%s: read as %s, in which it holds the labels", path, found.name)
        return found
    if start is None:
        return _UTF8
    found = None if mixed else likely(sample, labels)
    if found is not None:
        _log.warning(
            "%s: read as %s, which it looks like; if words come out wrong, save it as UTF-8", path, found.name
        )
        return found
    before = sample[:start].splitlines(keepends=True)
    within = bool(before) and not before[-1].endswith((b"\n", b"\r"))
    line, byte = (number + len(before) - within, len(before[-1]) if within else 0)
    what = "UTF-8 like other lines" if mixed else "UTF-8, and no other encoding is likely"
    raise KdslError(f"{path}, line {line}: byte {byte} is not {what}; save the whole file as UTF-8")


def _partly_utf8(sample: bytes) -> bool:
    """Whether some lines are UTF-8: those would be read wrongly."""
    beyond = [line for line in sample.splitlines() if not line.isascii()]
    return sum(_is_utf8(line) for line in beyond) > len(beyond) / 10


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
