"""The lines of a data file as text: UTF-8, UTF-16 and UTF-32; other encodings only where the labels prove them."""

import codecs
import io
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from kdsl.data.unpacking import open_unpacked
from kdsl.errors import KdslError

_log = logging.getLogger(__name__)

_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""The marks of UTF-32 come first: in little-endian it begins with that of UTF-16."""
_SAMPLE = 1 << 20
"""Bytes that an encoding is told from."""


@dataclass(frozen=True)
class _Encoding:
    """`common` are the first bytes of its punctuation, kana, Hangul and most frequent Chinese characters."""

    codec: str
    name: str
    common: tuple[range, ...]

    def score(self, sample: bytes) -> float:
        """The share of common ones among the characters beyond ASCII; 0 where `sample` cannot be in this encoding."""
        try:
            text = sample.decode(self.codec)
        except UnicodeDecodeError:
            return 0.0
        # One pair of bytes can be two characters that have no bytes by themselves.
        beyond = [character.encode(self.codec, "replace") for character in text if not character.isascii()]
        return sum(any(each[0] in part for part in self.common) for each in beyond) / max(len(beyond), 1)

    def holds(self, sample: bytes, labels: Sequence[str]) -> bool:
        """Whether `sample` can be in this encoding and one of `labels` stands in it, in bytes that others lack."""
        try:
            sample.decode(self.codec)
        except UnicodeDecodeError:
            return False
        encoded = [_encoded(label, self.codec) for label in labels]
        return any(len(each) >= _TELLING and not each.isascii() and each in sample for each in encoded)


def _encoded(label: str, codec: str) -> bytes:
    """Nothing where the encoding lacks a character of the label."""
    try:
        return label.encode(codec)
    except UnicodeEncodeError:
        return b""


_TELLING = 4
"""Bytes of a label that stand in the text by chance too rarely to matter."""
_ENCODINGS = (
    _Encoding("cp949", "EUC-KR", (range(0xA1, 0xA2), range(0xB0, 0xC9))),
    _Encoding("gb18030", "GB 18030 (GBK)", (range(0xA1, 0xA4), range(0xB0, 0xD8))),
    _Encoding("big5hkscs", "Big5", (range(0xA1, 0xC7),)),
    _Encoding("cp932", "Shift-JIS", (range(0x81, 0x84), range(0x88, 0x98))),
    _Encoding("euc_jp", "EUC-JP", (range(0xA1, 0xA2), range(0xA4, 0xA6), range(0xB0, 0xD0))),
)
"""Those with fewer common characters first, for many are common in several."""
_NAMES = {encoding.codec: encoding.name for encoding in _ENCODINGS}
_MARK_OF_GB18030 = "\ufeff".encode("gb18030")
_LIKELY = 0.6
"""The share of common characters from which an encoding is named."""


def text_lines(path: Path, labels: Sequence[str], content: Path | None = None) -> Iterator[tuple[int, str]]:
    """(number from 1, line), streaming; a line ends with LF, CR or both, and may begin with a byte order mark.

    A file that is not UTF-8 is read, with a warning, where one of `labels` is found in it in one encoding alone.
    Raises KdslError with the line and the likely encoding where it is not, and as `open_unpacked` does.
    """
    with open_unpacked(path, content) as file:
        head = file.peek(4)[:4]
        wide = _wide_codec(head)
        yield from _narrow_lines(path, file, labels) if wide is None else _wide_lines(path, file, wide)


def _wide_codec(head: bytes) -> str | None:
    """UTF-16 or UTF-32, by the mark or, as data begins with two ASCII characters, by where the zeros stand."""
    marked = next((codec for mark, codec in _MARKS.items() if head.startswith(mark)), None)
    if marked is not None or len(head) < 4:
        return marked
    zeros = tuple(byte == 0 for byte in head)
    codecs: dict[tuple[bool, ...], str] = {
        (False, True, True, True): "utf-32-le",
        (True, True, True, False): "utf-32-be",
        (False, True, False, True): "utf-16-le",
        (True, False, True, False): "utf-16-be",
    }
    return codecs.get(zeros)


def _wide_lines(path: Path, file: BinaryIO, codec: str) -> Iterator[tuple[int, str]]:
    number = 0
    try:
        for number, line in enumerate(io.TextIOWrapper(file, codec), start=1):
            yield number, line
    except UnicodeDecodeError as error:
        raise KdslError(
            f"{path}, line {number + 1}: is not {codec[:6].upper()} as the file begins ({error.reason}); "
            "save the file as UTF-8"
        ) from error


def _narrow_lines(path: Path, file: BinaryIO, labels: Sequence[str]) -> Iterator[tuple[int, str]]:
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
    codec = _narrow_codec(path, number + 1, raw + ahead, labels)
    for each in chain([raw], io.BytesIO(ahead), file):
        for line in _split(each):
            number += 1
            try:
                yield number, line.decode(codec)
            except UnicodeDecodeError as error:
                what = "UTF-8" if codec == "utf-8" else f"{_NAMES[codec]} like the lines before"
                raise KdslError(
                    f"{path}, line {number}: byte {error.start} is not {what}; save the file as UTF-8"
                ) from error


def _split(raw: bytes) -> Sequence[bytes]:
    return raw.splitlines() if b"\r" in raw else (raw,)


def _narrow_codec(path: Path, number: int, sample: bytes, labels: Sequence[str]) -> str:
    """The encoding of whole lines, of which the first has the given number."""
    if sample.startswith(_MARK_OF_GB18030):
        return "gb18030"
    try:
        sample.decode("utf-8")
        start = None
    except UnicodeDecodeError as error:
        start = error.start
    # Asked of UTF-8 too: a few Chinese words in GB 18030 can be Latin letters with accents in UTF-8.
    proven = [encoding for encoding in _ENCODINGS if encoding.holds(sample, labels)]
    if len(proven) == 1 and not _holds_utf8(sample, labels) and (start is None or not _partly_utf8(sample)):
        _log.warning("%s: read as %s, in which it holds the labels; save it as UTF-8", path, proven[0].name)
        return proven[0].codec
    if start is None:
        return "utf-8"
    best = max(_ENCODINGS, key=lambda encoding: encoding.score(sample))
    likely = f" and looks like {best.name}" if best.score(sample) >= _LIKELY else ""
    before = sample[:start].splitlines(keepends=True)
    within = bool(before) and not before[-1].endswith((b"\n", b"\r"))
    line, byte = (number + len(before) - within, len(before[-1]) if within else 0)
    raise KdslError(f"{path}, line {line}: byte {byte} is not UTF-8{likely}; save the file as UTF-8")


def _holds_utf8(sample: bytes, labels: Sequence[str]) -> bool:
    encoded = [_encoded(label, "utf-8") for label in labels]
    return any(not each.isascii() and each in sample for each in encoded)


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
