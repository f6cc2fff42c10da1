"""From one laptop to a billion dialogues: what work over shards takes, by calculation and by simulation.

Rates are measured ones (`scripts/bench scale --json FILE`, given as `--measured FILE`) or given with `--rate STEP=N`,
in samples a second a core; those of a device, which nothing here can measure, are given with `--device-rate`. The
calculation divides work by rates and adds what no machine can go under; the simulation plays every shard on every
core, with rates that vary, machines that are lost and come back, and reading and writing that share the store.
"""

import argparse
import heapq
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

MACHINES = (1, 4, 16, 64, 256)
DIALOGUES = (1_000_000, 10_000_000, 100_000_000, 1_000_000_000)
MOST_SIMULATED = 200_000
"""Shards; with more the same is played with fewer and larger ones, which is said."""


@dataclass(frozen=True)
class Cluster:
    machines: int
    cores: int
    """Of each, or devices where the step runs on one."""
    store: float
    """Bytes a second that all machines together read from and write to the store."""
    network: float
    """Bytes a second of one machine."""
    lost_hours: float
    """Mean time until a machine is lost (spot); infinite for none."""
    back_seconds: float = 300.0
    """Until there is another in its place, with the model loaded."""
    start_seconds: float = 20.0
    """Until a worker has everything in memory."""


@dataclass(frozen=True)
class Work:
    samples: int
    shard: int
    """Samples of one."""
    rate: float
    """Samples a second of one core, or of one device."""
    bytes_each: float
    """Read and written, of one sample."""
    shard_seconds: float = 0.5
    """Of every shard, whatever its size: opening, writing, telling."""
    spread: float = 0.1
    """Of the rate: the standard deviation of its logarithm, from shard to shard."""

    @property
    def shards(self) -> int:
        return -(-self.samples // self.shard)


@dataclass(frozen=True)
class Plan:
    seconds: float
    bound: str
    """What it cannot be faster than."""


@dataclass(frozen=True)
class Played:
    seconds: float
    busy: float
    """Share of the cores' time that became results."""
    again: int
    """Shards that were lost with their machine, and done again."""


def plan(work: Work, cluster: Cluster) -> Plan:
    """The longest of what has to be done one after the other; reading overlaps with computing.

    Computing: each core has the same number of shards, up to one (the last round is not full); machines that are lost
    cost half a shard and the time until another is there. Store: all bytes through it.
    """
    cores = cluster.machines * cluster.cores
    each = work.shard_seconds + work.shard / work.rate
    rounds = math.ceil(work.shards / cores)
    lost = 1 + (cluster.back_seconds + each / 2) / (3600 * cluster.lost_hours)
    computing = rounds * each * lost
    total = work.samples * work.bytes_each
    moving = {
        "store": total / cluster.store,
        "network": total / (cluster.network * cluster.machines),
    }
    name, longest = max([("cores", computing), *moving.items()], key=lambda bound: bound[1])
    if name == "cores" and rounds == 1:
        name = "shards (fewer than cores)"
    return Plan(cluster.start_seconds + longest, name)


def play(work: Work, cluster: Cluster, seed: int) -> Played:
    """Every shard on every core, event by event.

    A shard takes the longer of computing and moving its bytes; each core that is at work has its share of its
    machine's network and of the store. A machine that is lost takes its shards with it; they are queued again, for
    simplicity from the moment on that they were begun.
    """
    draw = Random(f"plan {seed}")
    cores = cluster.machines * cluster.cores
    share = min(cluster.network / cluster.cores, cluster.store / min(cores, work.shards))
    moving = work.shard * work.bytes_each / share
    waiting, again, useful = work.shards, 0, 0.0
    losses = [draw.expovariate(1.0) * 3600 * cluster.lost_hours for _ in range(cluster.machines)]
    free = [(cluster.start_seconds, core) for core in range(cores)]
    heapq.heapify(free)
    ended = 0.0
    while waiting:
        now, core = heapq.heappop(free)
        machine = core // cluster.cores
        while now >= losses[machine]:  # it was lost while idle or between two shards
            back = losses[machine] + cluster.back_seconds + cluster.start_seconds
            losses[machine] = back + draw.expovariate(1.0) * 3600 * cluster.lost_hours
            now = max(now, back)
        waiting -= 1
        computing = work.shard / work.rate * draw.lognormvariate(0.0, work.spread)
        takes = work.shard_seconds + max(computing, moving)
        if now + takes > losses[machine]:
            again += 1
            waiting += 1
            heapq.heappush(free, (losses[machine], core))
            continue
        useful += takes
        ended = max(ended, now + takes)
        heapq.heappush(free, (now + takes, core))
    return Played(ended, useful / (ended * cores), again)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench scale_plan", description=__doc__)
    parser.add_argument("--measured", type=Path, help="what scripts/bench scale --json wrote")
    parser.add_argument("--rate", action="append", default=[], metavar="STEP=N", help="samples/s of a core")
    parser.add_argument("--device-rate", action="append", default=[], metavar="NAME=N", help="samples/s of a device")
    parser.add_argument("--shard", type=int, default=25_000, help="dialogues of a shard")
    parser.add_argument("--bytes", type=float, default=1500.0, help="read and written, of a dialogue")
    parser.add_argument("--cores", type=int, default=16, help="of a machine")
    parser.add_argument("--devices", type=int, default=8, help="of a machine with devices")
    parser.add_argument("--store", type=float, default=5.0, help="GB/s of the store, all machines together")
    parser.add_argument("--network", type=float, default=1.0, help="GB/s of a machine")
    parser.add_argument("--lost", type=float, default=24.0, help="hours until a machine is lost, on average")
    parser.add_argument("--core-price", type=float, default=0.04, help="of a core for an hour")
    parser.add_argument("--device-price", type=float, default=3.0, help="of a device for an hour")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    rates = _measured_rates(options.measured) | _given(options.rate)
    devices = _given(options.device_rate)
    if not rates and not devices:
        parser.error("no rates: give --measured FILE, --rate STEP=N or --device-rate NAME=N")
    print(f"{'step':<10} {'samples':>13} {'machines':>8} {'calculated':>11} {'simulated':>11} "
          f"{'busy':>5} {'again':>6} {'cost':>9}  bound by")  # fmt: skip
    off = 0
    for name, rate in [*rates.items(), *devices.items()]:
        units, price = (
            (options.devices, options.device_price) if name in devices else (options.cores, options.core_price)
        )
        for samples in DIALOGUES:
            for machines in MACHINES:
                cluster = Cluster(machines, units, options.store * 1e9, options.network * 1e9, options.lost)
                shard = min(options.shard, max(1, round(rate * 600)))  # ten minutes of one core at most
                work = _simulable(Work(samples, shard, rate, options.bytes))
                planned, played = plan(work, cluster), play(work, cluster, options.seed)
                off += not 0.6 < played.seconds / planned.seconds < 1.7
                cost = played.seconds / 3600 * machines * units * price
                print(
                    f"{name:<10} {samples:>13,} {machines:>8} {_time(planned.seconds):>11} "
                    f"{_time(played.seconds):>11} {played.busy:>5.0%} {played.again:>6} {cost:>9,.2f}  {planned.bound}"
                )
    return int(off > 0)


def _simulable(work: Work) -> Work:
    """The same with shards so large that they can all be played."""
    factor = math.ceil(work.shards / MOST_SIMULATED)
    return replace(work, shard=work.shard * factor, shard_seconds=work.shard_seconds * factor)


def _measured_rates(path: Path | None) -> dict[str, float]:
    """Samples a second a core of each step over shards in one process, of the samples more between two sizes."""
    if path is None:
        return {}
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    rates: dict[str, float] = {}
    for step in ("predict", "ocr"):
        found = sorted(
            (line for line in lines if (line["step"], line["engine"]) == (step, "one")),
            key=lambda line: line["samples"],
        )
        if found:
            first, last = {"samples": 0, "processor": 0.0} if len(found) == 1 else found[0], found[-1]
            rates[step] = (last["samples"] - first["samples"]) / (last["processor"] - first["processor"])
    return rates


def _given(pairs: Sequence[str]) -> dict[str, float]:
    return {name: float(rate) for name, _, rate in (pair.partition("=") for pair in pairs)}


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172_800 else f"{seconds / 86_400:.1f} d"
