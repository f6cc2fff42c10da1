"""`kdsl` as a process that interrupts itself at one point of its work: no test has to watch it."""

import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fork_server import TORCH, Forked


def run_interrupted(
    number: signal.Signals, folder: Path, pattern: str, count: int, *arguments: object
) -> subprocess.CompletedProcess[str]:
    """Run `kdsl` with `arguments`; it gets the signal once the files that match `pattern` in `folder` are `count`.

    Of JSON Lines, lines are counted.
    """
    words = [number.name, folder, pattern, count, *arguments]
    environment = {"PYTHONPATH": os.pathsep.join(sys.path), "COLUMNS": "80"}
    with Forked(Path(__file__), *words, imported=TORCH, **environment) as process:
        output, errors = process.end()
    return subprocess.CompletedProcess(words, process.returncode, output, errors)


def main() -> None:
    number, folder, pattern, count = sys.argv[1:5]
    sys.argv = ["kdsl", *sys.argv[5:]]
    signal.signal(signal.SIGINT, signal.default_int_handler)  # who started the tests may ignore it
    import kdsl.files as files

    write = files.write_atomically

    def look() -> None:
        found = Path(folder).glob(pattern)
        if sum(path.read_bytes().count(b"\n") if path.suffix == ".jsonl" else 1 for path in found) >= int(count):
            os.kill(os.getpid(), signal.Signals[number])

    def write_atomically(path: Path, content: str | bytes, flushed: bool = True) -> None:
        write(path, content, flushed)
        look()

    files.write_atomically = write_atomically  # before others import it by its name
    import kdsl.json_file as json_file

    begin = json_file.append_jsonl

    @contextmanager
    def append_jsonl(path: Path) -> Iterator[Callable[..., None]]:
        with begin(path) as append:

            def append_and_look(*records: dict[str, Any]) -> None:
                append(*records)
                look()

            yield append_and_look

    json_file.append_jsonl = append_jsonl
    runpy.run_module("kdsl", run_name="__main__")


if __name__ == "__main__":
    main()
