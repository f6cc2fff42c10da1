"""Filling the OCR sidecar: every image once, in parallel, one finished line at a time."""

import os
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

from kdsl.data.images import decoded, open_image, picture_path, too_large
from kdsl.distribution import install_command
from kdsl.errors import KdslError, first_line
from kdsl.fields.ocr_tiles import put_together, read_in_tiles, tiles_of
from kdsl.fields.sidecar import Box, OcrLine, OcrPage, page_of, read_ocr
from kdsl.json_file import append_jsonl
from kdsl.processes import ignore_interrupts, worker_pool
from kdsl.progress import Progress, track

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_SIDE, MAX_SIDE_OF_STRIP = 1280, 2560
"""Pixels that the longest side of an image is shrunk to, and that of one more than `STRIP` times as long as wide."""
STRIP = 3.0


@dataclass
class OcrOutcome:
    """How many images were read now and before, and what was wrong with the others: image → reason."""

    read: int = 0
    read_before: int = 0
    problems: dict[str, str] = field(default_factory=dict)


def fill_ocr(
    images: Sequence[str],
    folder: Path,
    sidecar: Path,
    workers: int | None = None,
    progress: Progress | None = None,
    known: dict[str, OcrPage] | None = None,
    stop: Event | None = None,
) -> OcrOutcome:
    """Recognise the text on every image that `sidecar` does not have yet, and append it there.

    `images` are named as for `picture_path`; `workers` processes, one a core by default, run RapidOCR with one thread
    each. `known` is what the sidecar holds, where that was read already; the new pages are added to it. Once `stop` is
    set, no more images are read. Images that
    cannot be read are counted and tried again next time. Raises KdslError when RapidOCR is not installed, the sidecar
    cannot be read or written, or a process dies; KeyboardInterrupt says what is done. All that is done is kept.
    """
    require_ocr()
    with append_jsonl(sidecar) as append:
        known = read_ocr(sidecar) if known is None else known
        missing = [image for image in dict.fromkeys(images) if image not in known]
        outcome = OcrOutcome(read_before=len(set(images)) - len(missing))
        if not missing:
            return outcome
        try:
            with closing(_recognised(missing, folder, workers or os.cpu_count() or 1)) as pages:
                for image, page in track(pages, "Reading text", len(missing), progress):
                    if stop is not None and stop.is_set():
                        break
                    if isinstance(page, str):
                        outcome.problems[image] = page
                    else:
                        append(page)
                        known[image] = page_of(page)
                        outcome.read += 1
        except KeyboardInterrupt:
            raise KeyboardInterrupt(f"the text of {outcome.read} images is in {sidecar}; run again to go on") from None
        except BrokenProcessPool as error:
            raise KdslError(
                f"an OCR process died, perhaps for lack of memory; {outcome.read} new images are in {sidecar}; "
                "run again, with --workers 1 if it happens again"
            ) from error
    return outcome


def ocr_installed() -> bool:
    """Whether RapidOCR is there."""
    return find_spec("rapidocr") is not None and find_spec("onnxruntime") is not None


def require_ocr() -> None:
    """Raise KdslError when RapidOCR is not installed."""
    if not ocr_installed():
        raise KdslError(f"reading text on images needs RapidOCR; install it with: {install_command('ocr')}")


class PageReader:
    """Reads text on pictures as they come, in a process that stays: RapidOCR takes seconds to start.

    The process starts with the first picture, and again with the next one where it died.
    """

    def __init__(self) -> None:
        self._stack: ExitStack | None = None
        self._pool: ProcessPoolExecutor | None = None

    def pages(self, images: Sequence[str], folder: Path) -> Iterator[tuple[str, OcrPage | str]]:
        """(image, its page or what is wrong), in the order of `images`, which are named as for `picture_path`.

        Raises KdslError when RapidOCR is not installed, or the process dies.
        """
        require_ocr()
        if self._pool is None:
            self._stack = ExitStack()
            self._pool = self._stack.enter_context(worker_pool(1, _start_worker))
        try:
            for image, found in zip(images, self._pool.map(_read_image, [(folder, i) for i in images]), strict=True):
                yield image, found if isinstance(found, str) else page_of(found)
        except BrokenProcessPool as error:
            self.close()
            raise KdslError("the OCR process died, perhaps for lack of memory; try again") from error

    def close(self) -> None:
        """End the process."""
        if self._stack is not None:
            self._stack.close()
        self._stack = self._pool = None


def _recognised(
    images: Sequence[str], folder: Path, workers: int
) -> Generator[tuple[str, dict[str, Any] | str], None, None]:
    """(image, sidecar record or what is wrong), in the order of `images`."""
    with worker_pool(min(workers, len(images)), _start_worker) as pool:
        yield from zip(images, pool.map(_read_image, [(folder, image) for image in images]), strict=True)


_ORIENTATION, _QUARTER_TURNS = 0x0112, (5, 6, 7, 8)
"""The EXIF tag, and its values that swap width and height."""

_recognise: Callable[[Any], Any]
"""RapidOCR, made once in each worker process and never in the main one."""


def _start_worker() -> None:
    global _recognise
    ignore_interrupts()
    from rapidocr import RapidOCR

    threads = "EngineConfig.onnxruntime."
    _recognise = RapidOCR(
        params={
            threads + "intra_op_num_threads": 1,
            threads + "inter_op_num_threads": 1,
            "Global.log_level": "critical",
        }
    )


def _read_image(task: tuple[Path, str]) -> dict[str, Any] | str:
    folder, name = task
    try:
        with open_image(picture_path(folder, name)) as image:
            original_size = _size_upright(image)
            if read_in_tiles(original_size):
                size, lines = original_size, _lines_of_tiles(decoded(image), original_size)
            else:
                picture = _shrunk_page(image)
                size, lines = picture.size, _lines(picture)
    except FileNotFoundError:
        return "no such file"
    except Exception as error:  # decoders and the recogniser raise anything for a broken image
        return first_line(error)
    return {
        "image": name,
        "size": list(size),
        "original_size": list(original_size),
        "lines": [
            {"text": line.text, "score": round(line.score, 3), "box": [round(value) for value in line.box]}
            for line in reading_order(lines)
        ],
    }


def _lines(picture: "Image") -> list[OcrLine]:
    import numpy as np

    found = _recognise(np.asarray(picture)[:, :, ::-1])  # RapidOCR takes blue, green, red
    rows = zip(found.boxes, found.txts, found.scores, strict=True) if found.boxes is not None else ()
    return [OcrLine(text, float(score), _upright(corners)) for corners, text, score in rows]


def _lines_of_tiles(page: "Image", size: tuple[int, int]) -> list[OcrLine]:
    """The lines of a page that is read in tiles, within its `size`, which knows of no margin."""
    page, tiles = tiles_of(page)
    found = []
    for tile in tiles:
        picture = tile.cut_from(page)
        width, height = picture.size
        _shrink(picture)
        scale = width / picture.width, height / picture.height
        empty = picture.getcolors(1) is not None  # of one colour
        found.append((tile, [] if empty else [tile.on_page(line, scale) for line in _lines(picture)]))
    return [replace(line, box=_within(line.box, size)) for line in put_together(found)]


def _within(box: Box, size: tuple[int, int]) -> Box:
    (x0, y0, x1, y1), (width, height) = box, size
    return min(x0, width), min(y0, height), min(x1, width), min(y1, height)


def open_page(path: Path) -> "tuple[Image, tuple[int, int]]":
    """The image as OCR sees it where it reads it at once, upright, opaque and shrunk, and its original size.

    Raises whatever decoders raise for a broken file, and ValueError for one that is too large.
    """
    with open_image(path) as image:
        return _shrunk_page(image), _size_upright(image)


def _size_upright(image: "Image") -> tuple[int, int]:
    width, height = image.size
    return (height, width) if image.getexif().get(_ORIENTATION) in _QUARTER_TURNS else (width, height)


def _shrunk_page(image: "Image") -> "Image":
    limit = _limit(image.size)
    if not too_large(image.size):
        image.draft("RGB", (limit, limit))
    picture = decoded(image)
    _shrink(picture, limit)
    return picture


def _shrink(picture: "Image", limit: int | None = None) -> None:
    from PIL import Image

    limit = limit or _limit(picture.size)
    picture.thumbnail((limit, limit), Image.Resampling.LANCZOS)


def _limit(size: tuple[int, int]) -> int:
    return MAX_SIDE_OF_STRIP if max(size) > STRIP * min(size) else MAX_SIDE


def _upright(corners: Any) -> Box:
    xs, ys = [float(x) for x, _ in corners], [float(y) for _, y in corners]
    return min(xs), min(ys), max(xs), max(ys)


def reading_order(lines: Sequence[OcrLine]) -> list[OcrLine]:
    """Lines from top to bottom, those side by side from left to right.

    A line stands beside another when its middle is less than half that other line's height away from the other's.
    """
    ordered: list[OcrLine] = []
    row: list[OcrLine] = []
    for line in sorted(lines, key=lambda line: (_middle(line), line.box[0])):
        if row and _middle(line) - _middle(row[0]) >= (row[0].box[3] - row[0].box[1]) / 2:
            ordered.extend(sorted(row, key=lambda line: line.box[0]))
            row = []
        row.append(line)
    return ordered + sorted(row, key=lambda line: line.box[0])


def _middle(line: OcrLine) -> float:
    return (line.box[1] + line.box[3]) / 2
