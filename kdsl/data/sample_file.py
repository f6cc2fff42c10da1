"""Files of samples that a command is given: plain ones, and pipes, which can be read only once."""

import shutil
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from kdsl.data.forms import AS_IT_IS, Reading
from kdsl.data.readers import iterate_samples
from kdsl.errors import KdslError
from kdsl.sample import Sample, Task

STDIN = Path("-")
"""What stands for the standard input."""


@dataclass(frozen=True)
class SampleFile:
    """`path` is what messages call the file; `content` holds a copy of it where it is a pipe."""

    path: Path
    content: Path | None = None

    @property
    def bytes_at(self) -> Path:
        """Where its bytes can be read, as often as one likes."""
        return self.content or self.path

    def samples(self, tasks: Sequence[Task], reading: Reading = AS_IT_IS) -> Iterator[Sample]:
        """See `iterate_samples`."""
        return iterate_samples(self.path, tasks, self.content, reading)


@contextmanager
def sample_files(paths: Sequence[Path]) -> Iterator[list[SampleFile]]:
    """The files, to be read as often as one likes meanwhile: stdin, given as `-`, and pipes are read once, and copied.

    Raises KdslError where stdin is named twice; what is wrong with a file is said when it is read.
    """
    if sum(path == STDIN for path in paths) > 1:
        raise KdslError("--input - is given twice, but the standard input can be read only once; give it once")
    with TemporaryDirectory(prefix="kdsl-") as folder:
        yield [_readable(path, Path(folder) / str(number)) for number, path in enumerate(paths)]


def _readable(path: Path, copy: Path) -> SampleFile:
    if path == STDIN:
        with copy.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        return SampleFile(Path("stdin"), copy)
    if _is_pipe(path):
        with path.open("rb") as pipe, copy.open("wb") as file:
            shutil.copyfileobj(pipe, file)
        return SampleFile(path, copy)
    return SampleFile(path)


def _is_pipe(path: Path) -> bool:
    try:
        return stat.S_ISFIFO(path.stat().st_mode)
    except (OSError, ValueError):  # who reads it says what is wrong
        return False


def joined_samples(files: Sequence[SampleFile], read: Callable[[SampleFile], Iterator[Sample]]) -> Iterator[Sample]:
    """The samples that `read` gives of all files, in their order; those of a single file are streamed.

    A sample that several files have comes once. Raises KdslError, before the first one comes, where two files call
    different samples by one id: nobody could tell their predictions apart.
    """
    if len(files) == 1:
        return read(files[0])
    known: dict[tuple[str, str], tuple[str, Path]] = {}
    samples = []
    for file in files:
        for sample in read(file):
            fingerprint, first = known.setdefault(sample.key, (sample.fingerprint, file.path))
            if first != file.path and fingerprint != sample.fingerprint:
                raise KdslError(
                    f"{file.path}: sample {sample.id!r} is another one than that of this id in {first}; give the "
                    "samples of both files different ids, or predict each file by itself"
                )
            if first == file.path:
                samples.append(sample)
    return iter(samples)
