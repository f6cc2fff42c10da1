"""Which encoding bytes are in: by their mark, by the labels that stand in them, and by how text of it looks."""

import codecs
import encodings
import pkgutil
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

_MARKS = {
    codecs.BOM_UTF8: "utf_8",
    codecs.BOM_UTF32_LE: "utf_32_le",
    codecs.BOM_UTF32_BE: "utf_32_be",
    codecs.BOM_UTF16_LE: "utf_16_le",
    codecs.BOM_UTF16_BE: "utf_16_be",
    "\ufeff".encode("gb18030"): "gb18030",
}
"""The marks of UTF-32 come first: in little-endian it begins with that of UTF-16."""
USUAL = (
    "utf_8", "gb18030", "big5", "cp950", "big5hkscs", "shift_jis", "cp932", "euc_jp", "euc_kr", "cp949", "cp1252",
    "mac_roman", "cp1250", "cp1251",
)  # fmt: skip
"""Encodings by the name that Python knows them by, the first to be named where several are alike."""
_NOT_OF_FILES = {
    "aliases", "ascii", "charmap", "idna", "mbcs", "oem", "punycode", "raw_unicode_escape", "undefined", "utf_7",
    "utf_16", "utf_32", "utf_8_sig", "unicode_escape",
}  # fmt: skip
_ONE_BYTE = {
    "cp1252": "Windows-1252", "cp1250": "Windows-1250", "cp1251": "Windows-1251", "cp1253": "Windows-1253",
    "cp1254": "Windows-1254", "cp1255": "Windows-1255", "cp1256": "Windows-1256", "cp874": "Windows-874 (Thai)",
    "koi8_r": "KOI8-R", "cp866": "CP866 (DOS, Cyrillic)", "mac_roman": "Mac Roman",
}  # fmt: skip
"""Where two are as likely, the first is taken."""
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0e-\x1d\x7f]")
_LOOKED_AT = 1 << 16
"""Bytes that an encoding of one byte a character is told from."""
_AS_LIKELY = 0.02
_TELLING = 4
"""Bytes of a label that stand in the text by chance too rarely to matter."""
_LIKELY = 0.75
"""The share of common characters from which an encoding is taken."""


@dataclass(frozen=True)
class Charset:
    """An encoding: Python's name of it, and that for a sentence."""

    codec: str
    name: str


@dataclass(frozen=True)
class _TwoBytes(Charset):
    """`common` are the first bytes of its punctuation, kana, Hangul and most frequent Chinese characters."""

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


_TWO_BYTES = (
    _TwoBytes("cp949", "EUC-KR", (range(0xA1, 0xA2), range(0xB0, 0xC9))),
    _TwoBytes("gb18030", "GB 18030 (GBK)", (range(0xA1, 0xA4), range(0xB0, 0xD8))),
    _TwoBytes("big5hkscs", "Big5", (range(0xA1, 0xC7),)),
    _TwoBytes("cp932", "Shift-JIS", (range(0x81, 0x84), range(0x88, 0x98))),
    _TwoBytes("euc_jp", "EUC-JP", (range(0xA1, 0xA2), range(0xA4, 0xA6), range(0xB0, 0xD0))),
)
"""Those with fewer common characters first, for many are common in several."""


def marked(data: bytes) -> str | None:
    """The encoding of what begins with a byte order mark, which leaves no doubt; None for anything else."""
    return next((codec for mark, codec in _MARKS.items() if data.startswith(mark)), None)


def wide(head: bytes) -> str | None:
    """UTF-16 or UTF-32 without a mark, by where the zeros of its ASCII characters stand; None for anything else."""
    zeros = [position for position, byte in enumerate(head) if byte == 0]
    if not zeros or (len(zeros) < len(head) / 4 and head.isascii()):  # of ASCII characters every second is one
        return None
    little = sum(position % 2 for position in zeros) * 2 > len(zeros)
    for codec, width in (("utf_32_le", 4), ("utf_32_be", 4), ("utf_16_le" if little else "utf_16_be", 2)):
        whole = head[: len(head) // width * width]
        try:
            text = whole.decode(codec)
        except UnicodeDecodeError as error:
            if error.start < len(whole) - width:  # else it is half a pair that ends what was looked at
                continue
            text = whole[: error.start].decode(codec)
        if text and not _CONTROL.search(text):
            return codec
    return None


def proven(sample: bytes, labels: Sequence[str]) -> Charset | None:
    """The only one of the encodings of two bytes in which one of `labels` stands in `sample`."""
    found = [charset for charset in _TWO_BYTES if _holds(sample, charset.codec, labels)]
    return found[0] if len(found) == 1 and not holds_label(sample, "utf-8", labels, shortest=1) else None


def likely(sample: bytes, labels: Sequence[str]) -> Charset | None:
    """What `sample`, which is not UTF-8, looks like; None where that is no text, or none in the labels' script."""
    best = max(_TWO_BYTES, key=lambda charset: charset.score(sample))
    looks = best.score(sample) >= _LIKELY
    if looks and _fits(sample.decode(best.codec), labels):
        return best
    import charset_normalizer  # takes a while

    found = charset_normalizer.from_bytes(sample[:_LOOKED_AT], cp_isolation=list(_ONE_BYTE), threshold=0.3)
    # Coherence: whether its letters are as frequent as in some language.
    fitting = [match for match in found if _fits(str(match), labels) and (match.coherence or not looks)]
    if not fitting:
        return None
    as_likely = [
        codec
        for match in fitting
        if match.chaos <= fitting[0].chaos + _AS_LIKELY and match.coherence >= fitting[0].coherence - _AS_LIKELY
        for codec in match.could_be_from_charset
    ]
    codec = min(as_likely, key=lambda codec: (not holds_label(sample, codec, labels, 1), list(_ONE_BYTE).index(codec)))
    return Charset(codec, _ONE_BYTE[codec])


def _holds(sample: bytes, codec: str, labels: Sequence[str]) -> bool:
    """Whether `sample` can be in this encoding and one of `labels` stands in it, in bytes that others lack."""
    try:
        sample.decode(codec)
    except UnicodeDecodeError:
        return False
    return holds_label(sample, codec, labels)


def holds_label(sample: bytes, codec: str, labels: Sequence[str], shortest: int = _TELLING) -> bool:
    """Whether one of `labels` that is not all ASCII stands in `sample`, in at least `shortest` bytes."""
    encoded = [_encoded(label, codec) for label in labels]
    return any(len(each) >= shortest and not each.isascii() and each in sample for each in encoded)


def _encoded(label: str, codec: str) -> bytes:
    """Nothing where the encoding lacks a character of the label."""
    try:
        return label.encode(codec)
    except UnicodeEncodeError:
        return b""


def _fits(text: str, labels: Sequence[str]) -> bool:
    """Whether `text` is in a script of the labels, as far as those have another one than ASCII's."""
    wanted = _scripts("".join(labels))
    return not wanted or bool(wanted & _scripts(text[:_LOOKED_AT]))


def _scripts(text: str) -> set[str]:
    """Such as CJK, HIRAGANA, LATIN, of the letters beyond ASCII: the first words of their names."""
    letters = {character for character in text if not character.isascii() and character.isalpha()}
    return {unicodedata.name(letter, "").partition(" ")[0] for letter in letters}


def decodings(data: bytes) -> Iterator[tuple[str, str]]:
    """(encoding, text) of everything that the bytes can be, the usual encodings first; no text twice."""
    seen = set()
    for encoding in _all_encodings():
        try:
            text = data.decode(encoding)
        except (UnicodeError, LookupError):  # no text encoding, or one of another system
            continue
        if text not in seen:
            seen.add(text)
            yield encoding, text


@cache
def _all_encodings() -> list[str]:
    names = {module.name for module in pkgutil.iter_modules(encodings.__path__)} - _NOT_OF_FILES
    return [*USUAL, *sorted(names - set(USUAL))]
