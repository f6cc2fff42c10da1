"""Asking about many images, some of which may be unreadable: those are told, and all others are answered."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from kdsl.data.images import picture_path
from kdsl.errors import KdslError

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An image that no model can look at, and why."""

    reason: str


def answered(
    images: Sequence[str], folder: Path, chunk: int, ask: Callable[[list[str]], list[Answer]]
) -> Iterator[tuple[str, Answer | Unreadable]]:
    """(image, its answer, or what is wrong with the image), `chunk` images at a time, in the order of `images`.

    `images` are named as for `picture_path`. An error of `ask` that no image explains passes through.
    """
    for start in range(0, len(images), chunk):
        part = list(images[start : start + chunk])
        try:
            yield from zip(part, ask(part), strict=True)
        except KdslError:
            problems = {image: reason for image in part if (reason := _problem(folder, image)) is not None}
            if not problems:
                raise
            good = [image for image in part if image not in problems]
            answers = iter(ask(good) if good else [])
            for image in part:
                yield image, Unreadable(problems[image]) if image in problems else next(answers)


def _problem(folder: Path, image: str) -> str | None:
    from kdsl.vlm.pixels import PixelBudget, load_picture

    try:
        load_picture(picture_path(folder, image), PixelBudget())
    except KdslError as error:
        return str(error).removeprefix(f"{folder / image}: ")
    return None
