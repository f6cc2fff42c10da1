"""Names for files and folders that are made of what people wrote: a label, a task, a person."""

import hashlib
import re

_UNSAFE = re.compile(r'[%/\\:*?"<>|\x00-\x1f\x7f\ud800-\udfff]|^[. -]|[. ]$')
"""What file systems refuse or drop, and the hyphen of an option."""
_DEVICE = re.compile(r"(?:aux|con(?:in\$|out\$)?|nul|prn|(?:com|lpt)[0-9¹²³])\s*(?:\.|$)", re.IGNORECASE)
"""Names that Windows keeps for itself, with any ending."""
_LONGEST_NAME = 160
"""Bytes: file systems allow 255 a name."""


def safe_name(text: str) -> str:
    """A name for each text, no two alike: what file systems refuse stands as %XX, long ones end in a hash.

    Names of texts that differ in case alone do so too, and are one where the file system says so.

    >>> safe_name("实物拍摄(含售后)"), safe_name("a/b"), safe_name("..")
    ('实物拍摄(含售后)', 'a%2Fb', '%2E%2E')
    """
    name = _UNSAFE.sub(lambda match: f"%{ord(match[0]):02X}", text)
    if _DEVICE.match(name):
        name = f"%{ord(name[0]):02X}{name[1:]}"
    if len(name.encode()) <= _LONGEST_NAME:
        return name
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{cut_name(name, _LONGEST_NAME - 18)}%~{digest}"


def cut_name(name: str, size: int) -> str:
    """The beginning of a name, at most `size` bytes."""
    return name.encode()[:size].decode(errors="ignore")
