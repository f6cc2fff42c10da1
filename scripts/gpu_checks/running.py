"""Runs the checks in child processes, each within its share of the time."""

import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

SCRIPTS = Path(__file__).resolve().parent.parent
BENCHMARK = "import importlib, sys; sys.exit(importlib.import_module('benchmarks.' + sys.argv[1]).main(sys.argv[2:]))"
"""scripts/bench without its choice of an environment."""
SHORTEST = 5.0
"""Seconds under which no program is begun: reading PyTorch takes as long."""


@dataclass(frozen=True)
class Program:
    title: str
    benchmark: str
    """A module of scripts/benchmarks whose `main` knows `--json FILE`."""
    arguments: Sequence[str] = ()


@dataclass(frozen=True)
class Check:
    name: str
    share: float
    """Of the time, beside the shares of the other checks."""
    programs: Sequence[Program]


@dataclass
class Outcome:
    """What one program came to."""

    check: str
    title: str
    end: str
    """`done`, or why there is no more, in a few words."""
    seconds: float
    command: str
    rows: list[dict[str, Any]] = field(default_factory=list)
    """Each as scripts/benchmarks/measurement.py writes it; of a program that was stopped, what it had measured."""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def run_checks(
    checks: Sequence[Check], python: str, seconds: float, outcomes: list[Outcome], keep: Callable[[], None]
) -> None:
    """All programs, one after the other. What each came to is put into `outcomes`, and `keep` is called.

    A check has its share of the time that is left when its turn comes, and each of its programs an equal part of what
    is left of that: what one does not need the later ones have. A program is killed, with what it started, when its
    time is over, and by Ctrl-C.
    """
    end = time.monotonic() + seconds
    for number, check in enumerate(checks):
        left = end - time.monotonic()
        check_end = time.monotonic() + left * check.share / sum(later.share for later in checks[number:])
        for nth, program in enumerate(check.programs):
            limit = (check_end - time.monotonic()) / (len(check.programs) - nth)
            print(f"{check.name}: {program.title} (at most {max(limit, 0):.0f} s)", flush=True)
            outcomes.append(run(check.name, program, python, limit))
            print(f"  {outcomes[-1].end}, {outcomes[-1].seconds:.0f} s", flush=True)
            keep()


def run(check: str, program: Program, python: str, limit: float) -> Outcome:
    shown = " ".join(("scripts/bench", program.benchmark, *program.arguments))
    if limit < SHORTEST:
        return Outcome(check, program.title, "no time was left", 0.0, shown)
    with tempfile.TemporaryDirectory(prefix="kdsl-gpu-check-") as folder:
        figures, errors = Path(folder, "figures.jsonl"), Path(folder, "errors")
        command = [python, "-c", BENCHMARK, program.benchmark, *program.arguments, "--json", str(figures)]
        begun = time.monotonic()
        with errors.open("wb") as stderr:
            child = subprocess.Popen(
                command, stderr=stderr, stdout=stderr, env=environment(), start_new_session=True, cwd=SCRIPTS.parent
            )
            try:
                child.wait(timeout=limit)
            except subprocess.TimeoutExpired:
                pass
            finally:
                code = child.poll()
                end_group(child)
        taken = time.monotonic() - begun
        why = f"stopped after {limit:.0f} s" if code is None else _end(code, errors)
        return Outcome(check, program.title, why, taken, shown, _rows(figures))


def environment() -> dict[str, str]:
    """KDSL and the benchmarks of this checkout, whatever else is installed."""
    given = os.environ.get("PYTHONPATH")
    paths = [str(SCRIPTS.parent), str(SCRIPTS), *([given] if given else [])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1"}


def end_group(child: "subprocess.Popen[bytes]") -> None:
    """The child and what it started: loaders that stay would hold the GPU's memory."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def _end(code: int, errors: Path) -> str:
    if code == 0:
        return "done"
    lines = [line for line in errors.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    last = lines[-1].strip() if lines else "it printed nothing"
    if any("OutOfMemoryError" in line or "out of memory" in line for line in lines[-30:]):
        return "out of memory"
    if code < 0:
        return f"ended by signal {-code}"
    return f"failed: {last[:200]}"


def _rows(path: Path) -> list[dict[str, Any]]:
    """Whole lines only: the last one may be cut off where the program was killed."""
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]
