"""Decisions a second and how long answers take, beside other servers, for `scripts/bench serve`."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from benchmarks.serving_client import Load, arrive, saturate
from benchmarks.serving_requests import Bodies
from benchmarks.serving_servers import Server, bentoml_server, kdsl_server, litserve_server
from kdsl.serve.batching import MOST_TOGETHER, WAIT

CONNECTIONS = (16, 64, 128)
PEER_CONNECTIONS = 64
FEW_CONNECTIONS, TOGETHER = 8, 16
"""Of requests with several samples, and how many those are."""
WARM = 64
"""Requests before anything is measured."""
WANTED_RATE, WANTED_P99 = "1,000/s", "p99 25 ms"


@dataclass(frozen=True)
class Saturated:
    """A server that was asked as fast as it answered."""

    load: Load
    together: int
    of_server: float
    """Milliseconds of processor time a request, of all its processes."""
    of_client: float

    @property
    def rate(self) -> float:
        """Decisions a second."""
        return self.load.answered * self.together / self.load.seconds

    def __str__(self) -> str:
        cost = f"{self.of_server:.2f} + {self.of_client:.2f} ms"
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
                found = self._saturate(server, self.bodies.of(dialogues), connections)
                yield f"{connections} connections", str(found), WANTED_RATE
            found = self._saturate(server, self.bodies.of(dialogues, TOGETHER), FEW_CONNECTIONS, TOGETHER)
            yield f"{FEW_CONNECTIONS} connections, {TOGETHER} samples each", str(found), WANTED_RATE
            if self.bodies.screenshots:
                found = self._saturate(server, self.bodies.of(self.bodies.screenshots), PEER_CONNECTIONS)
                yield f"{PEER_CONNECTIONS} connections, screenshots", str(found), ""

    def latency(self) -> Iterator[tuple[str, str, str]]:
        with kdsl_server(self.project) as server:
            self._warm(server)
            yield f"{self.calm:.0f} requests/s", _waits(self._calm(server)), WANTED_P99

    def peers(self, litserve: Path | None, bentoml: Path | None) -> Iterator[tuple[str, str, str]]:
        """The service once more right before each peer, so that both meet the same machine."""
        for name, python, peer in (("LitServe", litserve, litserve_server), ("BentoML", bentoml, bentoml_server)):
            if python is None:
                yield name, f"left out: no --{name.lower()} PYTHON was given", ""
                continue
            measured = list[tuple[Saturated, Load]]()
            for opened in (kdsl_server(self.project), peer(python, self.project, MOST_TOGETHER, WAIT)):
                with opened as server:
                    self._warm(server)
                    found = self._saturate(server, self.bodies.of(self.bodies.dialogues), PEER_CONNECTIONS)
                    yield f"{server.name}, {PEER_CONNECTIONS} connections", str(found), ""
                    calm = self._calm(server)
                    yield f"{server.name}, {self.calm:.0f} requests/s", _waits(calm), ""
                measured.append((found, calm))
            (own, own_calm), (other, other_calm) = measured
            said = (
                f"{own.rate / other.rate:.2f} times the decisions, "
                f"{own.of_server / other.of_server:.2f} times the processor time, "
                f"{own_calm.percentile(99) / other_calm.percentile(99):.2f} times the p99"
            )
            yield f"kdsl serve beside {name}", said, ""

    def _warm(self, server: Server) -> None:
        saturate(server.target, islice(self.bodies.of(self.bodies.dialogues), WARM), WARM // 4, settle=0.0)

    def _saturate(self, server: Server, asked: Iterator[bytes], connections: int, together: int = 1) -> Saturated:
        heard = list[int]()
        of_server, of_client = server.processor_seconds(), time.process_time()
        load = saturate(
            server.target, asked, connections, self.seconds, self.seconds / 10, lambda each: heard.append(each.status)
        )
        of_server, of_client = server.processor_seconds() - of_server, time.process_time() - of_client
        return Saturated(load, together, of_server * 1000 / len(heard), of_client * 1000 / len(heard))

    def _calm(self, server: Server) -> Load:
        asked = self.bodies.of(self.bodies.dialogues)
        return asyncio.run(arrive(server.target, asked, self.calm, 3 * self.seconds, self.seed))


def _waits(load: Load) -> str:
    told = ", ".join(f"p{share} {load.percentile(share):.1f}" for share in (50, 95, 99))
    return f"{told}, max {load.percentile(100):.0f} ms{_failures(load)}"


def _failures(load: Load) -> str:
    return f", {load.failed} FAILED ({load.first_failure})" if load.failed else ""
