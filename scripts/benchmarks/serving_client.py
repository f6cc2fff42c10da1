"""A cheap HTTP client for `scripts/bench serve`: kept connections, raw sockets, bodies made before they are sent.

Client and server share two cores, so the client must cost little: about 0.1 ms of processor time a request. It knows
no more of HTTP than answers of which `Content-Length` tells the end.
"""

import asyncio
import math
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

_SAID = 80
"""Bytes of a failed answer that are told."""

Say = Callable[["Answer"], None]
"""What is told of every answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    """0 where the connection broke before an answer came."""
    body: bytes
    asked: float
    """When the request was due, in seconds of `time.perf_counter`."""
    answered: float


@dataclass
class Load:
    """What came of a run of requests."""

    seconds: float = 0.0
    answered: int = 0
    failed: int = 0
    waits: list[float] = field(default_factory=list)
    """Milliseconds from when a request was due to its answer, of those that were answered."""
    first_failure: str = ""

    def count(self, answer: Answer) -> None:
        if answer.status == 200:
            self.answered += 1
            self.waits.append((answer.answered - answer.asked) * 1000)
            return
        self.failed += 1
        if not self.first_failure:
            said = answer.body[:_SAID].decode("utf-8", "replace") if answer.status else "the connection broke"
            self.first_failure = f"{answer.status or 'no answer'}: {said}"

    def __iadd__(self, more: "Load") -> "Load":
        self.seconds += more.seconds
        self.answered += more.answered
        self.failed += more.failed
        self.waits += more.waits
        self.first_failure = self.first_failure or more.first_failure
        return self

    def percentile(self, share: float) -> float:
        """Milliseconds within which that share (0 to 100) of the requests was answered; NaN for none."""
        return float(np.percentile(self.waits, share)) if self.waits else float("nan")


class Target:
    """Where requests go, and what stands before their bodies."""

    def __init__(self, port: int, path: str, token: str = "") -> None:
        self.port = port
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}
        lines = [f"POST {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Content-Type: application/json"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        self._head = "\r\n".join([*lines, "Content-Length: "]).encode()

    def request(self, body: bytes) -> bytes:
        return b"%s%d\r\n\r\n%s" % (self._head, len(body), body)


class Connection(asyncio.Protocol):
    """One kept connection; it is opened again where the server has closed it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[tuple[int, bytes]] | None = None
        self._received = b""
        self._missing = 0

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Status and body of the answer; (0, b"") where the connection broke."""
        loop = asyncio.get_running_loop()
        if self._transport is None:
            try:
                await loop.create_connection(lambda: self, "127.0.0.1", self._port)
            except OSError:
                return 0, b""
        assert self._transport is not None
        self._waiting, self._received, self._missing = loop.create_future(), b"", 0
        self._transport.write(request)
        return await self._waiting

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._answer(0, b"")

    def data_received(self, data: bytes) -> None:
        self._received += data
        if len(self._received) < self._missing:
            return
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found:
            return
        lines = head.lower().split(b"\r\n")
        length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), None)
        if length is None:
            self._answer(0, b"")
            self.close()
            return
        self._missing = len(head) + 4 + length
        if len(body) >= length:
            self._answer(int(lines[0].split()[1]), body)

    def _answer(self, status: int, body: bytes) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result((status, body))


def saturate(
    target: Target,
    bodies: Iterator[bytes],
    connections: int,
    seconds: float = math.inf,
    settle: float = 1.0,
    each: Say | None = None,
) -> Load:
    """Each connection asks again as soon as it is answered; answers of the first `settle` seconds do not count.

    Ends after `seconds` more, or when there are no more bodies. `each` is told of every answer, counted or not.
    """
    load = Load()
    begun = time.perf_counter() + settle
    end = begun + seconds

    async def ask_again_and_again() -> None:
        connection = Connection(target.port)
        for body in bodies:
            asked = time.perf_counter()
            if asked >= end:
                break
            status, text = await connection.ask(target.request(body))
            answer = Answer(status, text, asked, time.perf_counter())
            if begun <= answer.answered < end:
                load.count(answer)
            if each is not None:
                each(answer)
            if status != 200:
                await asyncio.sleep(0.05)  # a server that refuses must not keep the client busy
        connection.close()

    async def run() -> None:
        await asyncio.gather(*(ask_again_and_again() for _ in range(connections)))

    asyncio.run(run())
    load.seconds = min(time.perf_counter(), end) - begun
    return load


async def arrive(
    target: Target, bodies: Iterator[bytes], rate: float, seconds: float, seed: int, each: Say | None = None
) -> Load:
    """Requests that arrive by chance (Poisson), `rate` a second, whether or not those before are answered.

    A request that the client sends late counts from when it was due, so a server that stands still is not spared.
    """
    load, draw, idle = Load(), random.Random(seed), list[Connection]()
    running: set[asyncio.Task[None]] = set()

    async def ask(body: bytes, due: float) -> None:
        connection = idle.pop() if idle else Connection(target.port)
        status, text = await connection.ask(target.request(body))
        idle.append(connection)
        answer = Answer(status, text, due, time.perf_counter())
        load.count(answer)
        if each is not None:
            each(answer)

    begun = due = time.perf_counter()
    for body in bodies:
        due += draw.expovariate(rate)
        if due >= begun + seconds:
            break
        if (early := due - time.perf_counter()) > 0:
            await asyncio.sleep(early)
        task = asyncio.create_task(ask(body, due))
        running.add(task)
        task.add_done_callback(running.discard)
    await asyncio.gather(*running)
    load.seconds = time.perf_counter() - begun
    for connection in idle:
        connection.close()
    return load
