"""Changes a file in many small ways, one at a time, and tells which changes no test notices.

Prints a table of the files and a line for every mutant that survived, with the reason where scripts/mutation/survivors.txt
gives one. Everything happens in copies of the work tree. Exit code 1 where a file's score is under --least.
"""

import argparse
import importlib
import multiprocessing
import os
import resource
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from multiprocessing import connection
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from making import Mutant, mutants_of
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[2]
SURVIVORS = Path(__file__).with_name("survivors.txt")
NOT_COPIED = shutil.ignore_patterns(".*", "__pycache__", "checkpoints", "build", "dist")
ALSO = {
    "kdsl/arbiter/*.py": ["tests/arbiter"],
    "kdsl/mining/reliability.py": ["tests/mining/test_estimates.py", "tests/mining/test_archive.py"],
    "kdsl/mining/search.py": ["tests/mining/test_trace.py", "tests/mining/test_planted_rules.py"],
}
"""Tests of a file beside those called after it, tests/<folder>/test_<name>*.py."""
KILLED, SURVIVED, TIMEOUT = "killed", "survived", "timeout"
_FACTOR, _SECONDS = 5, 20
"""A mutant runs as long as its tests may take without any change, in processor time: so many times that, and more."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/mutants", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="such as kdsl/arbiter/fit.py")
    parser.add_argument("--least", type=float, default=85.0, help="percent of mutants to be killed (default 85)")
    parser.add_argument("--workers", type=int, default=2, help="processes (default 2)")
    options = parser.parse_args()
    table = Table("file", "mutants", KILLED, SURVIVED, TIMEOUT, "score")
    survivors, enough = [], True
    for path in options.files:
        file = path.resolve().relative_to(ROOT).as_posix()
        outcomes = list(run(file, mutants_of((ROOT / file).read_text("utf-8")), options.workers))
        counts = Counter(outcome for _, outcome in outcomes)
        score = 100 * (1 - counts[SURVIVED] / max(len(outcomes), 1))
        enough &= score >= options.least
        row = len(outcomes), *(counts[each] for each in (KILLED, SURVIVED, TIMEOUT)), f"{score:.1f} %"
        table.add_row(file, *map(str, row))
        survivors += [(file, mutant) for mutant, outcome in outcomes if outcome == SURVIVED]
    console = Console(width=max(100, shutil.get_terminal_size().columns), highlight=False)
    console.print(table)
    reasons = known_reasons()
    for file, mutant in survivors:
        print(f"{file}:{mutant.line}: {mutant.change}")
        if (file, mutant.change) in reasons:
            print(f"    {reasons[file, mutant.change]}")
    return 0 if enough else 1


def tests_of(file: str) -> list[str]:
    path = Path(file)
    named = sorted((ROOT / "tests" / path.parent.name).glob(f"test_{path.stem}*.py"))
    more = [test for pattern, tests in ALSO.items() if path.match(pattern) for test in tests]
    return list(dict.fromkeys([*(test.relative_to(ROOT).as_posix() for test in named), *more]))


def known_reasons() -> dict[tuple[str, str], str]:
    """(file, change) → why nothing can notice the change, or why nothing has to.

    Each file is a line of its own; below it a mutant a line, `change`, and under it, indented, the reason.
    """
    reasons: dict[tuple[str, str], str] = {}
    file = change = ""
    for line in SURVIVORS.read_text("utf-8").splitlines():
        if line.endswith(".py"):
            file = line
        elif line.startswith(" "):
            reasons[file, change] = line.strip()
        else:
            change = line
    return reasons


def run(file: str, mutants: Sequence[Mutant], workers: int) -> Iterator[tuple[Mutant, str]]:
    """Each mutant with what became of it, in their order. SystemExit where the tests fail without any change."""
    tests = tests_of(file)
    with TemporaryDirectory(prefix="mutants-") as folder:
        copies = [Path(shutil.copytree(ROOT, Path(folder) / str(i), ignore=NOT_COPIED)) for i in range(workers)]
        used = 0.0
        for copy in copies:  # leaves the compiled files that mutants read
            used = max(used, _without_change(copy, tests))
        _load_libraries(file)
        limit = _SECONDS + _FACTOR * used
        waiting, running, free, outcomes = list(enumerate(mutants)), {}, list(copies), {}
        while waiting or running:
            while waiting and free:
                number, mutant = waiting.pop(0)
                copy = free.pop()
                process = multiprocessing.get_context("fork").Process(
                    target=_test, args=(copy, file, mutant.source, tests, limit)
                )
                process.start()
                running[process.sentinel] = number, copy, process, time.monotonic()
            ended = connection.wait(list(running), timeout=1)
            for sentinel, (number, copy, process, begun) in list(running.items()):
                late = time.monotonic() - begun > 10 * limit  # waits for something that does not come
                if sentinel in ended or late:
                    del running[sentinel]
                    _end(process)
                    free.append(copy)
                    outcomes[number] = _outcome(process.exitcode, late)
    return ((mutant, outcomes[number]) for number, mutant in enumerate(mutants))


def _outcome(code: int | None, late: bool) -> str:
    if late or code == -signal.SIGXCPU:
        return TIMEOUT
    return SURVIVED if code == 0 else KILLED


def _end(process: multiprocessing.Process) -> None:
    """With all that the tests started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.join()


def _without_change(copy: Path, tests: list[str]) -> float:
    """Processor time of the tests."""
    process = multiprocessing.get_context("fork").Process(target=_test, args=(copy, "", None, tests, 3600))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process.start()
    process.join()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if process.exitcode:
        raise SystemExit(f"scripts/mutants: the tests fail without any change: {' '.join(tests)}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _load_libraries(file: str) -> None:
    """Import what the file needs and forget KDSL's own modules: a process made from this one starts at once."""
    sys.path.insert(0, str(ROOT))
    for name in (file.removesuffix(".py").replace("/", "."), "sklearn.linear_model", "sklearn.metrics", "hypothesis"):
        importlib.import_module(name)
    for name in [name for name in sys.modules if name.split(".")[0] == "kdsl"]:
        del sys.modules[name]
    sys.path.remove(str(ROOT))


def _test(copy: Path, file: str, source: str | None, tests: list[str], limit: float) -> None:
    """In a process of its own: run the tests on a copy with the mutated file; the exit code is theirs."""
    os.setsid()
    os.chdir(copy)
    with open(os.devnull, "r+b") as nothing:
        for stream in (0, 1, 2):
            os.dup2(nothing.fileno(), stream)
    # Hypothesis draws the same examples each time and remembers none where it sees CI.
    os.environ |= {"PYTHONPATH": str(copy), "CI": "true", "PYTHONHASHSEED": "0"}
    sys.path[0] = str(copy)
    resource.setrlimit(resource.RLIMIT_CPU, (int(limit) + 1, int(limit) + 10))
    if source is not None:
        sys.dont_write_bytecode = True  # a compiled file is told by size and second: it could be another mutant's
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
        (copy / file).write_text(source, "utf-8")
    code = 1
    try:
        code = pytest.main(["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *tests])
    finally:
        os._exit(int(code))
