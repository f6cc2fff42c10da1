"""Writes a folder that can be handed in to FusionBrain Challenge 3.0, whole or not at all."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

from kdsl.chat.fusionbrain import team_code, weights
from kdsl.chat.fusionbrain.image import dockerfile, needed, pins
from kdsl.chat.fusionbrain.settings import SETTINGS_FILE, Settings, settings_text
from kdsl.errors import KdslError
from kdsl.files import cannot_write, write_atomically
from kdsl.progress import Progress, track

TEAM_CODE = "team_code"
ARCHIVE = f"{TEAM_CODE}.zip"
_PACKAGES = "packages"
_UNFINISHED = ".unfinished"
_KDSL = Path(__file__).resolve().parents[2]
_NOT_COPIED = shutil.ignore_patterns("__pycache__", "demo")


def write_export(
    out: Path, settings: Settings, sources: Mapping[str, Path], copies: bool, progress: Progress | None = None
) -> None:
    """Write team_code/, the same as team_code.zip, and what makes its image into `out`, which is new or empty.

    `sources` are those of `weights.sources`, which `settings` names. They are copied where `copies` says so, else left
    to be mounted; a projection, which is small, is always copied. KDSL's own source goes along, so that code and image
    never differ by a version. Raises KdslError for a folder that holds anything, or cannot be written.
    """
    needs = needed()
    copied = {name: source for name, source in sources.items() if copies and name != weights.PROJECTION}
    with _whole_or_nothing(out) as work:
        code = work / TEAM_CODE
        template = Path(next(iter(team_code.__path__)))
        shutil.copytree(template, code, ignore=_NOT_COPIED, copy_function=shutil.copyfile)
        shutil.copytree(_KDSL, code / _PACKAGES / "kdsl", ignore=_NOT_COPIED, copy_function=shutil.copyfile)
        write_atomically(code / SETTINGS_FILE, settings_text(settings))
        for name, source in track(copied.items(), "copying weights", len(copied), progress):
            weights.copy_weights(source, code / weights.FOLDER / name)
        if weights.PROJECTION in sources:
            weights.adopt_projection(sources, code / weights.FOLDER / weights.PROJECTION)
        write_atomically(work / "Dockerfile", dockerfile())
        write_atomically(work / "requirements.txt", "".join(f"{line}\n" for line in needs))
        write_atomically(work / "constraints.txt", "".join(f"{line}\n" for line in pins(needs)))
        _pack(code, work / ARCHIVE)


def _pack(code: Path, archive: Path) -> None:
    """With `code` at the top. Weights are packed as they are: compressing them takes long and saves nothing."""
    with ZipFile(archive, "w") as file:
        for path in sorted(each for each in code.rglob("*") if each.is_file()):
            inside = path.relative_to(code)
            method = ZIP_STORED if inside.is_relative_to(weights.FOLDER) else ZIP_DEFLATED
            file.write(path, Path(code.name, inside), method)


@contextmanager
def _whole_or_nothing(out: Path) -> Iterator[Path]:
    """A folder in `out`; what was put into it is in `out` in the end. Where anything fails, nothing is left."""
    there = out.is_dir()
    if out.exists() and (not there or any(out.iterdir())):
        raise KdslError(f"{out}: is there and not empty; name a folder that is new or empty")
    work = out / _UNFINISHED
    moved: list[Path] = []
    try:
        work.mkdir(parents=True)
    except OSError as error:
        raise cannot_write(out, error) from error
    try:
        yield work
        for path in sorted(work.iterdir(), key=lambda each: each.name == ARCHIVE):  # which is handed in: as the last
            moved.append(out / path.name)
            path.rename(moved[-1])
        work.rmdir()
    except BaseException as error:
        for path in (work, *moved):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        if not there and out.is_dir():
            out.rmdir()
        if isinstance(error, OSError):
            raise cannot_write(out, error) from error
        raise
