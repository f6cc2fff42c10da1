"""The web server of page and service: uvicorn's, with clients dropped that let it wait for too long."""

import asyncio
from functools import partial
from typing import Any, Literal

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

PATIENCE = 20.0
"""Seconds that a client may take to send one request, or to read what was written for it; uvicorn waits for ever."""
MOST_WAITING = 64
"""Connections that may wait for either at once. Each is an open file, of which macOS allows a process 256."""

LONGEST_HEAD = 1 << 16
"""Bytes of a request before its body; a client that sends more is dropped."""

Wait = Literal["request", "answer", ""]
"""What a connection waits for its client to send or to read; empty while it is the server's turn."""


def web_server(app: ASGIApp, patience: float = PATIENCE, most_waiting: int = MOST_WAITING) -> uvicorn.Server:
    """A server to `run(sockets=[…])`.

    It logs no requests: addresses hold the token and what people look for, and what is no request would fill the log.
    """
    protocol = partial(
        ImpatientProtocol, patience=patience, most_waiting=most_waiting, waiting={"request": {}, "answer": {}}
    )
    config = uvicorn.Config(
        app,
        http=protocol,  # type: ignore[arg-type]  # uvicorn calls it, as it would call a class
        ws="none", lifespan="on", log_level="error", access_log=False
    )  # fmt: skip
    return uvicorn.Server(config)


class ImpatientProtocol(HttpToolsProtocol):
    """A connection that ends when its client does not end a request, or does not read the answer, in time.

    Bytes that drip in do not prolong the time. Where too many connections wait, the one that has waited longest goes:
    a client that sends its request at once is served however many others hang.
    """

    def __init__(
        self,
        *arguments: Any,
        patience: float,
        most_waiting: int,
        waiting: dict[Wait, dict["ImpatientProtocol", None]],
        **named: Any,
    ) -> None:
        """`waiting` is shared by all connections: those that wait for a request or an answer, the longest first."""
        super().__init__(*arguments, **named)
        self._patience = patience
        self._most_waiting = most_waiting
        self._waiting = waiting
        self._waits: Wait = ""
        self._timer: asyncio.TimerHandle | None = None
        self._head = 0
        """Bytes of a request whose head has not ended yet."""

    # asyncio makes no other kind of transport for a socket that listens.
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        transport.set_write_buffer_limits(0)  # every byte that the client has yet to read is heard of
        super().connection_made(transport)
        self._look()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._head = self._head + len(data) if self._is_between else 0
        if self._head > LONGEST_HEAD:
            self._drop()
        else:
            self._look()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._look()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._look()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        self._wait_for("")
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """The server ends: it waits for its own answers, not for clients."""
        if self._waits:
            self._drop()
        else:
            super().shutdown()

    @property
    def _is_between(self) -> bool:
        """Whether all requests whose head is known were answered."""
        return self.cycle is None or self.cycle.response_complete

    def _look(self) -> None:
        """Find out whose turn it is."""
        if self.transport.get_write_buffer_size():
            self._wait_for("answer")
        elif not self.transport.is_closing() and (self._is_between or self.cycle.more_body):
            self._wait_for("request")
        else:
            self._wait_for("")

    def _wait_for(self, wait: Wait) -> None:
        if wait == self._waits:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waits:
            del self._waiting[self._waits][self]
        self._waits = wait
        if wait:
            alike = self._waiting[wait]
            alike[self] = None
            self._timer = self.loop.call_later(self._patience, self._drop)
            if len(alike) > self._most_waiting:
                next(iter(alike))._drop()

    def _drop(self) -> None:
        self._wait_for("")
        self.transport.abort()  # closing would wait until the client has read everything
