"""Samples of requests that come at the same time are decided together, each request as a whole."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from kdsl.serve.batching import Batcher
from kdsl.serve.refusal import Refusal

Scene = Callable[[Batcher[int, str], "Thread"], Awaitable[None]]


class Thread:
    """Decides when it is let, and remembers what was decided together; a 13 cannot be decided, a 99 refuses all."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.begun = threading.Event()
        self.let = threading.Event()
        self.let.set()

    def decide(self, items: list[int]) -> list[str]:
        self.begun.set()
        self.let.wait()
        if 13 in items:
            raise ValueError("no 13")
        if 99 in items:
            raise Refusal(503, "no 99 today")
        self.batches.append(items)
        return [f"#{item}" for item in items]

    async def busy(self) -> None:
        """Wait until something is being decided."""
        await asyncio.to_thread(self.begun.wait)


def play(scene: Scene, most_waiting: int = 100, most_together: int = 4) -> list[list[int]]:
    """What was decided together while `scene` asked."""
    thread = Thread()

    async def run() -> None:
        batcher = Batcher(thread.decide, most_waiting, most_together)
        deciding = asyncio.create_task(batcher.run())
        try:
            await scene(batcher, thread)
        finally:
            thread.let.set()
            deciding.cancel()
            with suppress(asyncio.CancelledError):
                await deciding

    asyncio.run(run())
    return thread.batches


def test_a_request_gets_its_own_answers_in_its_order():
    async def scene(batcher, thread):
        first, second = await asyncio.gather(batcher.answers([1, 2]), batcher.answers([3]))
        assert (first, second) == (["#1", "#2"], ["#3"])

    assert play(scene) == [[1, 2, 3]]


async def ask_while_busy(batcher: Batcher[int, str], thread: Thread, *requests: list[int]) -> list[object]:
    """What comes of `requests` that are made while a 0 is being decided."""
    thread.let.clear()
    first = asyncio.create_task(batcher.answers([0]))
    await thread.busy()
    tasks = [asyncio.create_task(batcher.answers(request)) for request in requests]
    await asyncio.sleep(0)
    thread.let.set()
    assert await first == ["#0"]
    return await asyncio.gather(*tasks, return_exceptions=True)


def test_what_comes_while_others_are_decided_is_decided_together_next():
    async def scene(batcher, thread):
        assert await ask_while_busy(batcher, thread, [1], [2], [3]) == [["#1"], ["#2"], ["#3"]]

    assert play(scene) == [[0], [1, 2, 3]]


def test_a_request_is_never_split_and_no_more_than_the_most_are_decided_together():
    async def scene(batcher, thread):
        await ask_while_busy(batcher, thread, [1, 2, 3], [4, 5], [6], [7], [8], list(range(20, 30)))

    assert play(scene) == [[0], [1, 2, 3], [4, 5, 6, 7], [8], list(range(20, 30))]


def test_who_asks_for_something_impossible_spoils_nothing_for_the_others():
    async def scene(batcher, thread):
        one, two, three = await ask_while_busy(batcher, thread, [1], [13], [3])
        assert (one, three) == (["#1"], ["#3"])
        assert isinstance(two, ValueError)
        assert await batcher.answers([4]) == ["#4"]

    assert play(scene) == [[0], [1], [3], [4]]


def test_what_is_refused_is_refused_to_all_and_not_tried_again_for_each():
    """As where the server of a model is down, which takes its time to show."""

    async def scene(batcher, thread):
        one, two, three = await ask_while_busy(batcher, thread, [1], [99], [3])
        assert {(each.status, each.sentence) for each in (one, two, three)} == {(503, "no 99 today")}
        assert await batcher.answers([4]) == ["#4"]

    assert play(scene) == [[0], [4]]


def test_for_who_does_not_wait_any_more_nothing_is_tried_again():
    async def scene(batcher, thread):
        thread.let.clear()
        impossible = asyncio.create_task(batcher.answers([13]))
        gone = asyncio.create_task(batcher.answers([2]))
        await thread.busy()
        gone.cancel()
        await asyncio.sleep(0)
        thread.let.set()
        with pytest.raises(ValueError, match="no 13"):
            await impossible

    assert play(scene) == []


def test_where_too_many_wait_others_are_sent_away_and_told_when_to_come_again():
    async def scene(batcher, thread):
        one, two, three = await ask_while_busy(batcher, thread, [1, 2], [3], [4])
        assert (one, two) == (["#1", "#2"], ["#3"])
        assert isinstance(three, Refusal)
        assert (three.status, three.headers) == (503, {"Retry-After": "1"})
        assert three.sentence == "3 samples wait for their decision; try again in a moment"
        assert batcher.waiting == 0

    assert play(scene, most_waiting=3) == [[0], [1, 2, 3]]


def test_a_request_that_is_larger_than_the_queue_is_taken_where_nobody_waits():
    async def scene(batcher, thread):
        assert await batcher.answers([1, 2, 3, 5]) == ["#1", "#2", "#3", "#5"]

    assert play(scene, most_waiting=2) == [[1, 2, 3, 5]]


def test_for_who_went_away_nothing_is_decided():
    async def scene(batcher, thread):
        thread.let.clear()
        first = asyncio.create_task(batcher.answers([0]))
        await thread.busy()
        gone = asyncio.create_task(batcher.answers([1]))
        stays = asyncio.create_task(batcher.answers([2]))
        await asyncio.sleep(0)
        gone.cancel()
        thread.let.set()
        assert (await first, await stays) == (["#0"], ["#2"])
        with pytest.raises(asyncio.CancelledError):
            await gone

    assert play(scene) == [[0], [2]]
