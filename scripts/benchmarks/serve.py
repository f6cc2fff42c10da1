"""The prediction service: what it decides a second, how long an answer takes, and that nothing is lost or half read.

`kdsl serve` runs as a process of its own on the demo project, which is unpacked and run into a temporary folder, or on
a copy of `--project`. A client on the same machine, limited to two cores with it, asks about samples of data.test:
every time with a new id and new texts, so that nothing was encoded or decided before; with "known texts" only the ids
are new. Parts, all of them by default:

saturated: requests as fast as they are answered, over 16, 64 and 128 connections, and with 16 samples each
latency:   100 requests a second that arrive by chance (Poisson), each measured from when it was due
peers:     both once more, in turn with the same predictor behind LitServe and BentoML, where their Python is given
reload:    rule files change 20 times within 60 seconds of load, and a client is killed every second
memory:    what the service takes over 200,000 requests, with new texts and uploaded pictures
kill:      the service is killed (SIGKILL) under load: is everything that was answered in the decision log?
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from benchmarks.serving_kill import kill_rounds
from benchmarks.serving_memory import memory_over
from benchmarks.serving_reload import reload_under_load
from benchmarks.serving_requests import Bodies
from benchmarks.serving_servers import ROOT
from benchmarks.serving_speed import Speed
from kdsl.errors import KdslError
from kdsl.project.project import Project

PARTS = ("saturated", "latency", "peers", "reload", "memory", "kill")
CORES = 2


@dataclass(frozen=True)
class Row:
    part: str
    what: str
    measured: str
    wanted: str = ""


def main(arguments: list[str]) -> int:
    options = _options(arguments)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    with tempfile.TemporaryDirectory() as temporary:
        folder = _project(options.project, Path(temporary) / "project")
        rows: list[Row] = []
        loads = [os.getloadavg()[0]]
        for row in _rows(folder, options):
            print(f"{row.part}: {row.what}: {row.measured}", file=sys.stderr, flush=True)
            rows.append(row)
        loads.append(os.getloadavg()[0])
    Console(width=80).print(_table(rows, loads))
    return 0


def _table(rows: Sequence[Row], loads: Sequence[float]) -> Table:
    """`loads`: the machine's load average before and after."""
    note = "a + b ms: processor time of server and client a request"
    table = Table(
        title=f"kdsl serve, client and server on {CORES} cores", title_justify="left", box=SIMPLE_HEAD,
        caption=f"{note}. Load {loads[0]:.1f}, then {loads[-1]:.1f}.", caption_justify="left",
    )  # fmt: skip
    for column in ("part", "what", "measured", "wanted"):
        table.add_column(column, overflow="fold")
    part = ""
    for row in rows:
        table.add_row(row.part if row.part != part else "", row.what, row.measured, row.wanted)
        part = row.part
    return table


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench serve", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--project", type=Path, help="a trained project, which is copied; the demo otherwise")
    parser.add_argument("--litserve", type=Path, metavar="PYTHON", help="of an environment with LitServe and KDSL")
    parser.add_argument("--bentoml", type=Path, metavar="PYTHON", help="of an environment with BentoML and KDSL")
    parser.add_argument(
        "--seconds", type=float, default=10.0, help="that each measurement of speed takes (default 10)"
    )
    parser.add_argument("--calm", type=float, default=100.0, help="requests a second of `latency` (default 100)")
    parser.add_argument("--under-load", type=float, default=60.0, help="seconds of `reload` (default 60)")
    parser.add_argument("--rate", type=float, default=200.0, help="requests a second of `reload` (default 200)")
    parser.add_argument("--changes", type=int, default=20, help="of the rule base in `reload` (default 20)")
    parser.add_argument("--requests", type=int, default=200_000, help="of `memory` (default 200000)")
    parser.add_argument("--rounds", type=int, default=5, help="of `kill` (default 5)")
    parser.add_argument("--seed", type=int, default=0, help="of when requests arrive (default 0)")
    return parser.parse_args(arguments)


def _project(given: Path | None, folder: Path) -> Path:
    """A copy of the project, or the demo."""
    if given is not None:
        if not (given / "kdsl.yaml").exists():
            raise KdslError(f"{given}: there is no kdsl.yaml; --project takes the folder of a trained project")
        shutil.copytree(given, folder)
        return folder
    print("unpacking the demo and running it ...", file=sys.stderr)
    done = subprocess.run(
        [sys.executable, "-m", "kdsl", "demo", str(folder)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    if done.returncode:
        raise KdslError(done.stderr.strip().removeprefix("error: "))
    return folder


def _rows(folder: Path, options: argparse.Namespace) -> Iterator[Row]:
    bodies = Bodies(Project.open(folder))
    speed = Speed(folder, bodies, options.seconds, options.calm, options.seed)
    parts: dict[str, Callable[[], Iterator[tuple[str, str, str]]]] = {
        "saturated": speed.saturated,
        "latency": speed.latency,
        "peers": lambda: speed.peers(options.litserve, options.bentoml),
        "reload": lambda: reload_under_load(
            folder, bodies, options.rate, options.under_load, options.changes, options.seed
        ),
        "memory": lambda: memory_over(folder, bodies, options.requests),
        "kill": lambda: kill_rounds(folder, bodies, options.rounds),
    }
    for part in PARTS:
        if part in options.parts:
            for found in parts[part]():
                yield Row(part, *found)
