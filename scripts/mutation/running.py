"""Runs the tests of a file once for each of its mutants.

What lies inside a function is exchanged in a process that has collected the tests and forks one a mutant, which spares
importing everything again. Constants and classes are what other modules took over when they were imported: for these
everything is imported anew. Each worker has a copy of the work tree of its own, and its mutants lie there on disk too,
for the processes that tests start.
"""

import contextlib
import importlib
import inspect
import json
import os
import resource
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FunctionType, ModuleType

import coverage
import pytest
from making import Mutant

KILLED, SURVIVED, TIMEOUT = "killed", "survived", "timeout"
_NOT_COPIED = shutil.ignore_patterns(".*", "__pycache__", "checkpoints", "build", "dist")
_FACTOR, _SECONDS = 2, 3
"""A mutant's tests may take so many times the processor time that they take without any change, and some more."""
_LATE = 4
"""And so many times that on the clock: they may wait for something that no longer comes."""
_OTHERWISE = 99
"""Exit code where code cannot be exchanged."""


def run(root: Path, file: str, mutants: Sequence[Mutant], tests: list[str], workers: int) -> list[str]:
    """What became of each mutant. SystemExit where the tests fail without any change."""
    with TemporaryDirectory(prefix="mutants-") as folder:
        places = [Path(folder) / str(worker) for worker in range(workers)]
        children = []
        for worker, place in enumerate(places):
            shutil.copytree(root, place, ignore=_NOT_COPIED)
            child = os.fork()
            if not child:
                os._exit(_work(place, file, mutants[worker::workers], tests))
            children.append(child)
        if any([os.waitpid(child, 0)[1] for child in children]):
            raise SystemExit(f"scripts/mutants: the tests fail without any change: {' '.join(tests)}")
        parts = [json.loads((place / "outcomes.json").read_text("utf-8")) for place in places]
    return [parts[number % workers][number // workers] for number in range(len(mutants))]


def _work(place: Path, file: str, mutants: Sequence[Mutant], tests: list[str]) -> int:
    os.chdir(place)
    sys.path[0] = str(place)
    # Hypothesis draws the same examples each time and remembers none where it sees CI.
    os.environ |= {"PYTHONPATH": str(place), "CI": "true", "PYTHONHASHSEED": "0"}
    _load_libraries(file)
    if _imported_anew(tests, 3600, _Noted(place / file)) != SURVIVED:  # leaves the compiled files that all others read
        return 1
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    limit = _SECONDS + _FACTOR * (used.ru_utime + used.ru_stime)
    sys.dont_write_bytecode = True  # a compiled file is told by size and second: it could be another mutant's
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    loop = _Loop(place / file, file.removesuffix(".py").replace("/", "."), mutants, limit)
    child = os.fork()
    if not child:
        _silence()
        code = _pytest(tests, loop)
        if not loop.forked:
            Path("outcomes.json").write_text(json.dumps(loop.outcomes), "utf-8")
        os._exit(code)
    os.waitpid(child, 0)
    outcomes = json.loads(Path("outcomes.json").read_text("utf-8"))
    for number, mutant in enumerate(mutants):
        if outcomes[number] is None:
            (place / file).write_text(mutant.source, "utf-8")
            outcomes[number] = _imported_anew(tests, limit)
    Path("outcomes.json").write_text(json.dumps(outcomes), "utf-8")
    return 0


def _load_libraries(file: str) -> None:
    """Import what the file needs and forget KDSL's own modules: a process made from this one starts sooner."""
    for name in (file.removesuffix(".py").replace("/", "."), "sklearn.linear_model", "sklearn.metrics", "hypothesis"):
        importlib.import_module(name)
    for name in [name for name in sys.modules if name.split(".")[0] == "kdsl"]:
        del sys.modules[name]


def _imported_anew(tests: list[str], limit: float, *plugins: object) -> str:
    child = os.fork()
    if not child:
        _confine(limit)
        os._exit(_pytest(tests, *plugins))
    return _outcome(child, limit) or KILLED


class _Noted:
    """Leaves noted.json: how long every test takes, and which tests run which lines of the file."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self._seconds: dict[str, float] = {}
        self._coverage = coverage.Coverage(data_file=None, include=[self._path])
        self._coverage.start()

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._coverage.switch_context(nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._seconds[report.nodeid] = self._seconds.get(report.nodeid, 0.0) + report.duration

    def pytest_sessionfinish(self) -> None:
        self._coverage.stop()
        tests = self._coverage.get_data().contexts_by_lineno(self._path)
        Path("noted.json").write_text(json.dumps({"seconds": self._seconds, "tests": tests}), "utf-8")


class _Loop:
    """Where pytest would run the tests that it has collected, forks a process a mutant that runs them."""

    def __init__(self, path: Path, module: str, mutants: Sequence[Mutant], limit: float) -> None:
        self._path, self._module, self._mutants, self._limit = path, module, mutants, limit
        self.outcomes: list[str | None] = [None] * len(mutants)
        self.forked = False

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        noted = json.loads(Path("noted.json").read_text("utf-8"))
        for number, mutant in enumerate(self._mutants):
            if mutant.in_function and self._module in sys.modules:
                self._path.write_text(mutant.source, "utf-8")
                child = os.fork()
                if not child:
                    self.forked = True
                    _confine(self._limit)
                    _exchange(sys.modules[self._module], mutant.source, str(self._path))
                    session.items[:] = _chosen(session.items, noted["seconds"], noted["tests"], mutant.line)
                    return None  # pytest goes on
                self.outcomes[number] = _outcome(child, self._limit)
        return True


def _chosen(
    items: list[pytest.Item], seconds: dict[str, float], tests: dict[str, list[str]], line: int
) -> list[pytest.Item]:
    """Those that run the line, the quick ones first, then the others of their files, which may share what ran it."""
    before = [int(each) for each in tests if int(each) <= line]  # not all lines of a statement are said to run
    touching = set(tests[str(max(before))]) if before else set()
    files = {nodeid.partition("::")[0] for nodeid in touching}
    chosen = [item for item in items if not any(files) or item.nodeid.partition("::")[0] in files]
    return sorted(chosen, key=lambda item: (item.nodeid not in touching, seconds.get(item.nodeid, 0.0)))


def _exchange(module: ModuleType, source: str, path: str) -> None:
    """Give the functions of the module, which others hold too, the code that they have in `source`."""
    changed = ModuleType(module.__name__)
    try:
        exec(compile(source, path, "exec"), changed.__dict__)
        for before, after in _pairs(module, changed):
            before.__code__, before.__defaults__, before.__kwdefaults__ = (
                after.__code__, after.__defaults__, after.__kwdefaults__
            )  # fmt: skip
    except Exception:
        os._exit(_OTHERWISE)


def _pairs(before: object, after: object) -> Iterator[tuple[FunctionType, FunctionType]]:
    for name, value in vars(after).items():
        known = vars(before).get(name)
        one, other = _function(known), _function(value)
        if one is not None and other is not None and one is not other:
            yield one, other
        elif isinstance(value, type) and isinstance(known, type) and value is not known:
            yield from _pairs(known, value)


def _function(value: object) -> FunctionType | None:
    if isinstance(value, property):
        value = value.fget
    elif isinstance(value, classmethod | staticmethod):
        value = value.__func__
    elif isinstance(value, cached_property):
        value = value.func
    value = inspect.unwrap(value) if callable(value) else value
    return value if isinstance(value, FunctionType) else None


def _pytest(tests: list[str], *plugins: object) -> int:
    return int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *tests], list(plugins)))


def _confine(limit: float) -> None:
    os.setsid()
    _silence()
    resource.setrlimit(resource.RLIMIT_CPU, (int(limit) + 1, int(limit) + 10))


def _silence() -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)


def _outcome(child: int, limit: float) -> str | None:
    """Wait for a process that runs tests, and end all that they started; None where it could not exchange code."""
    end = time.monotonic() + _LATE * limit
    while not (ended := os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT | os.WNOHANG)) and time.monotonic() < end:
        time.sleep(0.01)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if not ended or code == -signal.SIGXCPU:
        return TIMEOUT
    return None if code == _OTHERWISE else SURVIVED if code == 0 else KILLED
