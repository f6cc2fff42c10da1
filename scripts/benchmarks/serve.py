"""The prediction service: what it decides a second, how long an answer takes, and that nothing is lost or half read.

`kdsl serve` runs as a process of its own on the demo project, which is unpacked and run into a temporary folder, or on
a copy of `--project`. A client on the same machine, limited to two cores with it, asks about samples of data.test:
every time with a new id and new texts, so that nothing was encoded or decided before. Parts, all of them by default:

saturated: requests as fast as they are answered, over 16, 64 and 128 connections, and with 16 samples each
latency:   100 requests a second that arrive by chance (Poisson), each measured from when it was due
peers:     the same of the same predictor behind LitServe and BentoML, where their Python is given
reload:    rule files change 20 times within 60 seconds of load, and a client is killed every second
memory:    what the service takes over 200,000 requests, with new texts and uploaded pictures
kill:      the service is killed (SIGKILL) under load: is everything that was answered in the decision log?
"""

import argparse
import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from benchmarks.serving_client import Load, arrive, saturate
from benchmarks.serving_kill import kill_rounds
from benchmarks.serving_memory import memory_over
from benchmarks.serving_reload import reload_under_load
from benchmarks.serving_requests import Bodies
from benchmarks.serving_servers import ROOT, Server, bentoml_server, kdsl_server, litserve_server
from kdsl.errors import KdslError
from kdsl.project.project import Project

PARTS = ("saturated", "latency", "peers", "reload", "memory", "kill")
CONNECTIONS = (16, 64, 128)
PEER_CONNECTIONS = 64
TOGETHER = 16
WARM = 64
"""Requests before anything is measured."""
BATCH, WAIT = 64, 0.005
"""Of the peers: at most so many requests are decided at once, of those that came within so many seconds."""
CALM = 100.0
WANTED_RATE, WANTED_P99 = 1000, 25
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
    for row in rows:
        table.add_row(row.part, row.what, row.measured, row.wanted)
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
    speed = [part for part in ("saturated", "latency") if part in options.parts]
    if speed:
        with kdsl_server(folder) as server:
            _warm(server, bodies)
            for part in speed:
                yield from (_saturated if part == "saturated" else _latency)(server, bodies, options)
    if "peers" in options.parts:
        yield from _peers(folder, bodies, options)
    if "reload" in options.parts:
        for what, measured, wanted in reload_under_load(
            folder, bodies, options.rate, options.under_load, options.changes, options.seed
        ):
            yield Row("reload", what, measured, wanted)
    if "memory" in options.parts:
        for what, measured, wanted in memory_over(folder, bodies, options.requests):
            yield Row("memory", what, measured, wanted)
    if "kill" in options.parts:
        for what, measured, wanted in kill_rounds(folder, bodies, options.rounds):
            yield Row("kill", what, measured, wanted)


def _saturated(server: Server, bodies: Bodies, options: argparse.Namespace) -> Iterator[Row]:
    wanted = f"{WANTED_RATE:,}/s"
    for connections in CONNECTIONS:
        load, cost = _measured(server, bodies.of(bodies.dialogues), connections, options.seconds)
        yield Row("saturated", f"{connections} connections", f"{_speed(load, 1)}, {cost}", wanted)
    load, cost = _measured(server, bodies.of(bodies.dialogues, TOGETHER), 8, options.seconds)
    what = f"8 connections, {TOGETHER} samples each"
    yield Row("saturated", what, f"{_speed(load, TOGETHER)}, {cost}", wanted)
    if bodies.screenshots:
        load, cost = _measured(server, bodies.of(bodies.screenshots), 64, options.seconds)
        what = "64 connections, screenshots"
        yield Row("saturated", what, f"{_speed(load, 1)}, {cost}")


def _warm(server: Server, bodies: Bodies) -> None:
    saturate(server.target, islice(bodies.of(bodies.dialogues), WARM), WARM // 4, settle=0.0)


def _measured(server: Server, asked: Iterator[bytes], connections: int, seconds: float) -> tuple[Load, str]:
    """The load, and the processor time of server and client by request."""
    answered = list[int]()
    of_server, of_client = server.processor_seconds(), time.process_time()
    load = saturate(
        server.target, asked, connections, seconds, seconds / 10, lambda each: answered.append(each.status)
    )
    of_server, of_client = server.processor_seconds() - of_server, time.process_time() - of_client
    each = len(answered) / 1000
    return load, f"{of_server / each:.2f} + {of_client / each:.2f} ms"


def _speed(load: Load, together: int) -> str:
    return f"{load.answered * together / load.seconds:,.0f}/s, p99 {load.percentile(99):.0f} ms" + _failures(load)


def _latency(server: Server, bodies: Bodies, options: argparse.Namespace) -> Iterator[Row]:
    load = _calm(server, bodies, options)
    yield Row("latency", f"{CALM:.0f} requests/s", _waits(load), f"p99 {WANTED_P99} ms")


def _calm(server: Server, bodies: Bodies, options: argparse.Namespace) -> Load:
    return asyncio.run(arrive(server.target, bodies.of(bodies.dialogues), CALM, 3 * options.seconds, options.seed))


def _waits(load: Load) -> str:
    told = ", ".join(f"p{share} {load.percentile(share):.1f}" for share in (50, 95, 99))
    return f"{told}, max {load.percentile(100):.0f} ms" + _failures(load)


def _failures(load: Load) -> str:
    return f", {load.failed} FAILED ({load.first_failure})" if load.failed else ""


def _peers(folder: Path, bodies: Bodies, options: argparse.Namespace) -> Iterator[Row]:
    """The service once more right before each peer, so that both meet the same machine."""
    for name, python, peer in (
        ("LitServe", options.litserve, litserve_server),
        ("BentoML", options.bentoml, bentoml_server),
    ):
        if python is None:
            yield Row("peers", name, f"left out: no --{name.lower()} PYTHON was given")
            continue
        speeds, waits = [], []
        for opened in (kdsl_server(folder), peer(python, folder, BATCH, WAIT)):
            with opened as server:
                _warm(server, bodies)
                load, cost = _measured(server, bodies.of(bodies.dialogues), PEER_CONNECTIONS, options.seconds)
                what = f"{server.name}, {PEER_CONNECTIONS} connections"
                yield Row("peers", what, f"{_speed(load, 1)}, {cost}")
                calm = _calm(server, bodies, options)
                yield Row("peers", f"{server.name}, {CALM:.0f} requests/s", _waits(calm))
            speeds.append(load.answered / load.seconds)
            waits.append(calm.percentile(99))
        said = f"{speeds[0] / speeds[1]:.2f} times the decisions, {waits[0] / waits[1]:.2f} times the p99"
        yield Row("peers", f"kdsl serve beside {name}", said)
