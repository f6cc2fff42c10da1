"""Samples of requests that come at the same time are decided together, which costs a fraction of one by one."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from kdsl.serve.refusal import Refusal, too_busy

MOST_TOGETHER = 64
"""Samples that are decided together, but for a request that has more; from here on more save nothing."""
WAIT = 0.002
"""Seconds that the first of them waits for others, where nothing is decided just now."""

Item = TypeVar("Item")
Answer = TypeVar("Answer")


@dataclass(eq=False)
class _Waiting(Generic[Item, Answer]):
    samples: Sequence[Item]
    answers: "asyncio.Future[list[Answer]]"


@dataclass
class Batcher(Generic[Item, Answer]):
    """Gathers samples for `decide`, which answers each of them, and is called in one thread at a time.

    It belongs to one event loop, in which `run` runs as a task.
    """

    decide: Callable[[list[Item]], list[Answer]]
    most_waiting: int
    """Samples that may wait, those that are just being decided not counted."""
    most_together: int = MOST_TOGETHER
    wait: float = WAIT
    waiting: int = 0
    """Samples that wait just now."""
    _queue: deque[_Waiting[Item, Answer]] = field(default_factory=deque)
    _came: asyncio.Event = field(default_factory=asyncio.Event)
    _full: asyncio.Event = field(default_factory=asyncio.Event)

    async def answers(self, samples: Sequence[Item]) -> list[Answer]:
        """One answer for every sample. Raises what `decide` raises for them, and Refusal where too many wait.

        Who is cancelled before it is their turn is not decided about.
        """
        if self._queue and self.waiting + len(samples) > self.most_waiting:
            raise too_busy(f"{self.waiting} samples wait for their decision")
        entry = _Waiting(samples, asyncio.get_running_loop().create_future())
        self._queue.append(entry)
        self.waiting += len(samples)
        self._came.set()
        if self.waiting >= self.most_together:
            self._full.set()
        return await entry.answers

    async def run(self) -> None:
        """Decide what comes, until cancelled."""
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1, thread_name_prefix="kdsl-decide") as thread:
            busy = False
            while True:
                if not self._queue:
                    self._came.clear()
                    await self._came.wait()
                    busy = False
                if not busy and self.waiting < self.most_together:
                    await self._others()
                batch = self._next()
                if batch:
                    await loop.run_in_executor(thread, self._decide, batch)
                    _hand_out(batch)
                busy = True

    async def _others(self) -> None:
        """Give others the time to come, too."""
        self._full.clear()
        try:
            async with asyncio.timeout(self.wait):
                await self._full.wait()
        except TimeoutError:
            pass

    def _next(self) -> "list[_Deciding[Item, Answer]]":
        """Whole requests, in their order."""
        batch: list[_Deciding[Item, Answer]] = []
        size = 0
        while self._queue and (not size or size + len(self._queue[0].samples) <= self.most_together):
            entry = self._queue.popleft()
            self.waiting -= len(entry.samples)
            if not entry.answers.done():  # nobody waits any more for one that was cancelled
                batch.append(_Deciding(entry))
                size += len(entry.samples)
        return batch

    def _decide(self, batch: "list[_Deciding[Item, Answer]]") -> None:
        """In the thread: together, and where that fails one by one, so that the fault of one is not that of all.

        What is refused is refused to all; and for who does not wait any more, nothing is tried again.
        """
        try:
            found = self.decide([sample for each in batch for sample in each.entry.samples])
        except Refusal as refusal:
            for each in batch:
                each.error = refusal
            return
        except Exception as error:
            if len(batch) == 1:
                batch[0].error = error
                return
            for each in batch:
                if not each.entry.answers.done():
                    self._decide([each])
            return
        start = 0
        for each in batch:
            end = start + len(each.entry.samples)
            each.found, start = found[start:end], end


@dataclass(eq=False)
class _Deciding(Generic[Item, Answer]):
    entry: _Waiting[Item, Answer]
    found: list[Answer] | None = None
    error: Exception | None = None


def _hand_out(batch: Sequence[_Deciding[Item, Answer]]) -> None:
    for each in batch:
        if each.entry.answers.done():
            continue
        if each.found is not None:
            each.entry.answers.set_result(each.found)
        elif each.error is not None:
            each.entry.answers.set_exception(each.error)
