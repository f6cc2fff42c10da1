"""Pictures and sounds as files that hold what the model is given: nothing is left to be resized, turned or cut."""

import hashlib
import io
from collections.abc import Iterable
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from pathlib import Path

from kdsl.audio.wav import wav_bytes
from kdsl.errors import KdslError
from kdsl.files import file_digest, write_atomically
from kdsl.processes import mapped
from kdsl.progress import Progress, reported
from kdsl.vlm.conversation import Audio, Picture
from kdsl.vlm.pixels import PixelBudget, load_picture
from kdsl.vlm.sounds import load_sound

IMAGES, AUDIOS = "images", "audios"
"""Folders in the export."""
_COMPRESSION = 3
"""Of PNG files: higher ones take several times as long and save a few percent."""
_WORTH_A_PROCESS = 32
"""Files: a process takes as long to start as writing so many."""

Work = tuple[Picture | Audio, PixelBudget, int, float, Path]


def write_media(
    media: Iterable[Picture | Audio],
    folder: Path,
    budget: PixelBudget,
    factor: int,
    seconds: float,
    workers: int,
    progress: Progress | None = None,
) -> dict[Picture | Audio, str]:
    """Write each picture as a PNG of the size that the model sees (`load_picture`), each sound as a WAV of the first
    `seconds`, and give the names below `folder`.

    A name is a hash of the original's bytes and of what was asked for: a file that is there is not made again. Raises
    KdslError for what cannot be read, and when the folder cannot be written; KeyboardInterrupt says what is done. All
    files that are there are whole.
    """
    every = list(dict.fromkeys(media))
    names = {each: _name(each, budget, factor, seconds) for each in every}
    made: dict[str, Picture | Audio] = {}
    for each in every:
        if not (folder / names[each]).exists():
            made.setdefault(names[each], each)
    work: list[Work] = [(each, budget, factor, seconds, folder / name) for name, each in made.items()]
    done = 0
    try:
        written = mapped(_write, work, min(workers, len(work) // _WORTH_A_PROCESS))
        with reported(progress, "Writing media", len(work)) as advance, closing(written) as results:
            for problem in results:
                if problem is not None:
                    raise KdslError(problem)
                done += 1
                advance("Writing media")
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"{done} of {len(work)} files are made; the same command goes on from there") from None
    except BrokenProcessPool as error:
        raise KdslError(
            f"a process that writes media died, perhaps for lack of memory; {done} of {len(work)} are made; run again"
        ) from error
    return names


def _write(work: Work) -> str | None:
    """What is wrong with the file."""
    each, budget, factor, seconds, path = work
    try:
        if isinstance(each, Audio):
            write_atomically(path, wav_bytes(load_sound(each.path, seconds)[0]))
            return None
        file = io.BytesIO()
        load_picture(each.path, budget, factor).save(file, "PNG", compress_level=_COMPRESSION)
        write_atomically(path, file.getvalue())
    except KdslError as error:
        return str(error)
    return None


def _name(each: Picture | Audio, budget: PixelBudget, factor: int, seconds: float) -> str:
    asked = [budget.min_pixels, budget.max_pixels, factor] if isinstance(each, Picture) else [seconds]
    digest = hashlib.sha256(f"{file_digest(each.path).hex()} {asked}".encode()).hexdigest()[:24]
    return f"{IMAGES}/{digest}.png" if isinstance(each, Picture) else f"{AUDIOS}/{digest}.wav"
