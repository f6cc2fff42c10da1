"""Decisions a second and how long answers take, beside other servers, for `scripts/bench serve`."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.serving_client import Load, arrive, saturate
from benchmarks.serving_requests import Bodies
from benchmarks.serving_servers import Server, bentoml_server, kdsl_server, litserve_server
from kdsl.serve.batching import MOST_TOGETHER, WAIT

CONNECTIONS = (16, 64, 128)
PEER_CONNECTIONS = 64
FEW_CONNECTIONS, TOGETHER = 8, 16
"""Of requests with several samples, and how many those are."""
TURNS = 5
"""How often a server and its peer are asked in turn."""
WARM = 64
"""Requests before anything is measured."""
WANTED_RATE, WANTED_P99 = "1,000/s", "p99 25 ms"


@dataclass
class Measured:
    """A server, and what came of asking it: as fast as it answered, or with requests that arrive by chance."""

    server: Server
    together: int = 1
    """Samples of a request."""
    load: Load = field(default_factory=Load)
    requests: int = 0
    of_server: float = 0.0
    """Seconds of processor time, of all its processes."""
    of_client: float = 0.0

    def saturate(self, asked: Iterator[bytes], connections: int, seconds: float) -> None:
        """Ask for some seconds more."""
        heard = list[int]()
        of_server, of_client = self.server.processor_seconds(), time.process_time()
        self.load += saturate(
            self.server.target, asked, connections, seconds, seconds / 10, lambda each: heard.append(each.status)
        )
        self.of_server += self.server.processor_seconds() - of_server
        self.of_client += time.process_time() - of_client
        self.requests += len(heard)

    @property
    def rate(self) -> float:
        """Decisions a second."""
        return _per(self.load.answered * self.together, self.load.seconds)

    @property
    def cost(self) -> float:
        """Milliseconds of the server's processor time a request."""
        return _per(self.of_server * 1000, self.requests)

    def __str__(self) -> str:
        cost = f"{self.cost:.2f} + {_per(self.of_client * 1000, self.requests):.2f} ms"
        return f"{self.rate:,.0f}/s, p99 {self.load.percentile(99):.0f} ms, {cost}{_failures(self.load)}"


@dataclass(frozen=True)
class Speed:
    """Measures on one project; every method yields what was measured, the figure, and what is wanted."""

    project: Path
    bodies: Bodies
    seconds: float
    calm: float
    """Requests a second that arrive by chance where it is the wait that is measured."""
    seed: int

    def saturated(self) -> Iterator[tuple[str, str, str]]:
        with kdsl_server(self.project) as server:
            self._warm(server)
            dialogues = self.bodies.dialogues
            for connections in CONNECTIONS:
                found = Measured(server)
                found.saturate(self.bodies.of(dialogues), connections, self.seconds)
                yield f"{connections} connections", str(found), WANTED_RATE
            found = Measured(server, TOGETHER)
            found.saturate(self.bodies.of(dialogues, TOGETHER), FEW_CONNECTIONS, self.seconds)
            yield f"{FEW_CONNECTIONS} connections, {TOGETHER} samples each", str(found), WANTED_RATE
            known = Measured(server)
            known.saturate(self.bodies.of(self.bodies.known), PEER_CONNECTIONS, self.seconds)
            yield f"{PEER_CONNECTIONS} connections, known texts", str(known), WANTED_RATE
            known = Measured(server, TOGETHER)
            known.saturate(self.bodies.of(self.bodies.known, TOGETHER), FEW_CONNECTIONS, self.seconds)
            yield f"{FEW_CONNECTIONS} connections, {TOGETHER} samples each, known texts", str(known), WANTED_RATE
            if self.bodies.screenshots:
                found = Measured(server)
                found.saturate(self.bodies.of(self.bodies.screenshots), PEER_CONNECTIONS, self.seconds)
                yield f"{PEER_CONNECTIONS} connections, screenshots", str(found), ""

    def latency(self) -> Iterator[tuple[str, str, str]]:
        with kdsl_server(self.project) as server:
            self._warm(server)
            for what, asked in (("", self.bodies.dialogues), (", known texts", self.bodies.known)):
                waits = _waits(self._calm(server, 3 * self.seconds, self.seed, asked))
                yield f"{self.calm:.0f} requests/s{what}", waits, WANTED_P99

    def peers(self, litserve: Path | None, bentoml: Path | None) -> Iterator[tuple[str, str, str]]:
        for name, python, peer in (("LitServe", litserve, litserve_server), ("BentoML", bentoml, bentoml_server)):
            if python is None:
                yield name, f"left out: no --{name.lower()} PYTHON was given", ""
                continue
            with kdsl_server(self.project) as server, peer(python, self.project, MOST_TOGETHER, WAIT) as other:
                yield from self._beside(server, other)

    def _beside(self, *servers: Server) -> Iterator[tuple[str, str, str]]:
        """Two servers in turn, a slice of time each, so that both meet the same machine."""
        busy, calm = [Measured(server) for server in servers], [Load() for _ in servers]
        for server in servers:
            self._warm(server)
        for turn in range(TURNS):
            for place, server in enumerate(servers):
                asked = self.bodies.of(self.bodies.dialogues)
                busy[place].saturate(asked, PEER_CONNECTIONS, self.seconds / TURNS)
                calm[place] += self._calm(server, 3 * self.seconds / TURNS, self.seed + turn)
        for measured, load in zip(busy, calm, strict=True):
            yield f"{measured.server.name}, {PEER_CONNECTIONS} connections", str(measured), ""
            yield f"{measured.server.name}, {self.calm:.0f} requests/s", _waits(load), ""
        (own, other), (own_calm, other_calm) = busy, calm
        said = (
            f"{_per(own.rate, other.rate):.2f} times the decisions, "
            f"{_per(own.cost, other.cost):.2f} times the processor time, "
            f"{own_calm.percentile(99) / other_calm.percentile(99):.2f} times the p99"
        )
        yield f"{own.server.name} beside {other.server.name}", said, ""

    def _warm(self, server: Server) -> None:
        saturate(server.target, islice(self.bodies.of(self.bodies.dialogues), WARM), WARM // 4, settle=0.0)

    def _calm(
        self, server: Server, seconds: float, seed: int, records: Sequence[dict[str, Any]] | None = None
    ) -> Load:
        asked = self.bodies.of(self.bodies.dialogues if records is None else records)
        return asyncio.run(arrive(server.target, asked, self.calm, seconds, seed))


def _per(amount: float, of: float) -> float:
    """The one over the other; NaN where nothing was answered, as on a machine that had no time for it."""
    return amount / of if of else float("nan")


def _waits(load: Load) -> str:
    told = ", ".join(f"p{share} {load.percentile(share):.1f}" for share in (50, 95, 99))
    return f"{told}, max {load.percentile(100):.0f} ms{_failures(load)}"


def _failures(load: Load) -> str:
    return f", {load.failed} FAILED ({load.first_failure})" if load.failed else ""
