"""Pictures and sounds: what samples may call them, which is the name of a file below a folder and nothing else."""

import re
from dataclasses import dataclass

from kdsl.errors import KdslError
from kdsl.files import check_name, shown_name
from kdsl.sample import AUDIO_PLACEHOLDER, IMAGE_PLACEHOLDER

LEFT_OUT = ""
"""Stands for a file that a record names and that cannot be had: what marks its place in a text goes with it."""
_PLAIN = re.compile(r"[^\s.\\/:\x00\ud800-\udfff](?:[^\\:\x00\ud800-\udfff]{0,60}[^\s.\\/:\x00\ud800-\udfff])?")
"""Most names; without two dots in a row there is nothing wrong with them, and files may hold a hundred thousand."""
_DATA_URL = re.compile(r"data:[\w.+-]*[/;,]", re.IGNORECASE)
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+:/", re.IGNORECASE)
_FETCHABLE = re.compile(r"https?://", re.IGNORECASE)


@dataclass(frozen=True)
class Medium:
    """A kind of files that samples name, and what sentences call them."""

    keys: tuple[str, str]
    """Under which records and turns list them."""
    names: tuple[str, ...]
    """Keys under which an object holds the name of one."""
    parts: tuple[str, ...]
    """Types of the parts of a message that are one."""
    placeholder: str
    one: str
    many: str
    example: str
    """Such a name."""
    itself: str
    """What stands in the data instead of a name."""
    themselves: str
    """Several of it."""
    setting: str
    """The key of kdsl.yaml that says where they lie."""


IMAGES = Medium(
    ("images", "image"), ("path", "image", "url", "image_url", "file_name"), ("image", "image_url", "input_image"),
    IMAGE_PLACEHOLDER, "an image", "images", "a.jpg", "a picture", "pictures", "data.images",
)  # fmt: skip
AUDIO = Medium(
    ("audio", "audios"), ("path", "audio", "url", "audio_url", "input_audio", "file_name"),
    ("audio", "audio_url", "input_audio"),
    AUDIO_PLACEHOLDER, "a sound", "sounds", "a.wav", "a sound", "sounds", "data.audio",
)  # fmt: skip
MEDIA = (IMAGES, AUDIO)


class NoMediaFile(KdslError):
    """What is named is an address, or the picture or sound itself, where there must be a file."""


def is_data_url(name: str) -> bool:
    """Whether it is a `data:` address, which holds a picture or a sound."""
    return bool(_DATA_URL.match(name))


def is_fetchable(name: str) -> bool:
    """Whether it is an address from which `kdsl fetch` may get a file."""
    return bool(_FETCHABLE.match(name))


def with_slashes(name: str) -> str:
    """A name as Windows writes it, with the slashes that every system knows; addresses stay as they are."""
    return name if is_data_url(name) or is_fetchable(name) else name.replace("\\", "/")


def check_media_name(name: str, medium: Medium) -> None:
    """Raise KdslError, without the place, for what cannot be the name of a file, whatever there is in the folder.

    Where the folder is known `kdsl.files.inside` makes a path of the name, and sees to links.
    """
    if _PLAIN.fullmatch(name) and ".." not in name:
        return
    must = f"{medium.many} must be files"
    if is_data_url(name):
        raise NoMediaFile(
            f"{shown_name(name)} is {medium.itself} itself, in {len(name):,} characters; {must}: set "
            f"{medium.setting} to a folder, in which KDSL saves it"
        )
    if is_fetchable(name):
        raise NoMediaFile(
            f"{shown_name(name)} is an address; {must}: set {medium.setting} to a folder, into which "
            "`kdsl fetch` saves it"
        )
    if _ADDRESS.match(name):
        raise NoMediaFile(
            f"{shown_name(name)} is an address; {must}: save it below {medium.setting} and give the file's name"
        )
    check_name(name, medium.setting)
    if not name.strip():
        raise KdslError(f"{name!r} is no file name; give a name below {medium.setting}")
    if name.endswith(("/", "/.")) or name == ".":
        raise KdslError(f"{name!r} is the name of a folder; give the name of a file in it")
