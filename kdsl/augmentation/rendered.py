"""The images of copies as files, each made once."""

import hashlib
from collections.abc import Mapping
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from pathlib import Path

from kdsl.augmentation.draft import Picture
from kdsl.augmentation.plan import Plan
from kdsl.augmentation.rendering import jpeg
from kdsl.errors import KdslError, first_line
from kdsl.fields.ocr import open_page
from kdsl.files import file_digest, inside, write_atomically
from kdsl.processes import mapped
from kdsl.progress import Progress, reported

Work = tuple[Path, list[tuple[Plan, Path]]]
"""An image, and all that is made of it: it is decoded once."""


def render_pictures(
    pictures: Mapping[str, Picture],
    images: Path | None,
    folder: Path,
    workers: int,
    progress: Progress | None = None,
) -> dict[str, Path]:
    """Make the files of `pictures` (name of a copy's image → what it is) in `folder`: name → file.

    A file is called by the hash of the original's bytes and the plan; one that is there already is not made again.
    `images` is the folder of the originals. Raises KdslError where there is none, for an original that cannot be read,
    and when `folder` cannot be written; KeyboardInterrupt says what is done. All files that are there are whole.
    """
    if not pictures:
        return {}
    if images is None:
        raise KdslError(
            "data.images is not set; name the folder that image names are relative to, or set augment.images=false"
        )
    originals = {source: inside(images, source) for source in {picture.source for picture in pictures.values()}}
    hashes = {source: _hash(path) for source, path in originals.items()}
    files = {
        name: folder / f"{_joined_hash(hashes[picture.source], picture.plan.digest)}.jpg"
        for name, picture in pictures.items()
    }
    missing: dict[str, dict[Path, Plan]] = {}
    for name, picture in pictures.items():
        if not files[name].exists():
            missing.setdefault(picture.source, {})[files[name]] = picture.plan
    work = [(originals[source], [(plan, file) for file, plan in made.items()]) for source, made in missing.items()]
    total = sum(len(made) for _, made in work)
    done = 0
    try:
        with (
            reported(progress, "Making images", total) as advance,
            closing(mapped(_make, work, min(workers, len(work)))) as results,
        ):
            for (path, made), problem in zip(work, results, strict=True):
                if problem is not None:
                    raise KdslError(f"{path}: cannot be read ({problem}); mend it, or take its sample out")
                done += len(made)
                for _ in made:
                    advance("Making images")
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"{done} of {total} images are made; the same command goes on from there") from None
    except BrokenProcessPool as error:
        raise KdslError(
            f"a process that makes images died, perhaps for lack of memory; {done} of {total} are made; run again"
        ) from error
    return files


def _make(work: Work) -> str | None:
    """What is wrong with the image."""
    path, made = work
    try:
        image, _ = open_page(path)
    except Exception as error:  # decoders raise anything for a broken image
        return first_line(error)
    for plan, file in made:
        write_atomically(file, jpeg(plan, image))
    return None


def _hash(path: Path) -> str:
    try:
        return file_digest(path).hex()
    except KdslError as error:
        raise KdslError(f"{error}; mend it, or take its sample out") from error


def _joined_hash(image: str, plan: str) -> str:
    return hashlib.sha256(f"{image}\n{plan}".encode()).hexdigest()[:24]
