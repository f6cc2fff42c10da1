"""What a sample may call an image: a file below the folder `data.images`, and nothing else."""

import re

from kdsl.errors import KdslError
from kdsl.files import check_name, shown_name

LEFT_OUT = ""
"""Stands for an image that a record names and that cannot be had: what marks its place in a text goes with it."""
_PLAIN = re.compile(r"[^\s.\\/:\x00\ud800-\udfff](?:[^\\:\x00\ud800-\udfff]{0,60}[^\s.\\/:\x00\ud800-\udfff])?")
"""Most names; without two dots in a row there is nothing wrong with them, and files may hold a hundred thousand."""
_FOLDER = "data.images"
_PICTURE_ITSELF = re.compile(r"data:[\w.+-]*[/;,]", re.IGNORECASE)
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+:/", re.IGNORECASE)
_FETCHABLE = re.compile(r"https?://", re.IGNORECASE)


class NoImageFile(KdslError):
    """What is named is an address, or the picture itself, where images must be files."""


def is_picture_itself(name: str) -> bool:
    """Whether it is a `data:` address."""
    return bool(_PICTURE_ITSELF.match(name))


def is_fetchable(name: str) -> bool:
    """Whether it is an address from which `kdsl fetch` may get an image."""
    return bool(_FETCHABLE.match(name))


def with_slashes(name: str) -> str:
    """A name as Windows writes it, with the slashes that every system knows; addresses stay as they are."""
    return name if is_picture_itself(name) or is_fetchable(name) else name.replace("\\", "/")


def check_image_name(name: str) -> None:
    """Raise KdslError, without the place, for what cannot be the name of an image, whatever there is in the folder.

    Where the folder is known `kdsl.files.inside` makes a path of the name, and sees to links.
    """
    if _PLAIN.fullmatch(name) and ".." not in name:
        return
    if is_picture_itself(name):
        raise NoImageFile(
            f"{shown_name(name)} is a picture itself, in {len(name):,} characters; images must be files: set "
            f"{_FOLDER} to a folder, in which KDSL saves it"
        )
    if is_fetchable(name):
        raise NoImageFile(
            f"{shown_name(name)} is an address; images must be files: set {_FOLDER} to a folder, into which "
            "`kdsl fetch` saves it"
        )
    if _ADDRESS.match(name):
        raise NoImageFile(
            f"{shown_name(name)} is an address; images must be files: save it below {_FOLDER} and give the file's name"
        )
    check_name(name, _FOLDER)
    if not name.strip():
        raise KdslError(f"{name!r} is no file name; give a name below {_FOLDER}")
    if name.endswith(("/", "/.")) or name == ".":
        raise KdslError(f"{name!r} is the name of a folder; give the name of a file in it")
