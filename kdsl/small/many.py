"""Asking for many answers of which some may fail: failures are tried again, then told, and stop nothing else."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import TypeVar

from kdsl.errors import KdslError
from kdsl.vlm.free_text import NothingUsable

Item = TypeVar("Item")
Answer = TypeVar("Answer")
Ask = Callable[[Sequence[Item]], Sequence[Answer]]

IN_A_ROW = 16
"""After so many failures without a single answer between them nothing more is asked."""


@dataclass(frozen=True, slots=True)
class Failed:
    """In place of an answer that could not be had."""

    reason: str


def answers(items: Sequence[Item], ask: Ask[Item, Answer], threads: int = 1) -> Iterator[tuple[int, Answer | Failed]]:
    """(index of the item, its answer), as answers come; `ask` answers some items at once.

    With one thread all items are asked at once, and one by one where that fails; with several one by one. Items that
    failed are asked again when all others are done. Only a KdslError counts as a failure. After `IN_A_ROW` of them the
    last one is raised: the server is gone, or the model cannot be used at all. NothingUsable is raised at once.
    """
    if threads == 1:
        try:
            found = ask(items)
        except NothingUsable:
            raise
        except KdslError:
            pass  # one of them is at fault: which one shows one by one
        else:
            yield from enumerate(found)
            return
    failed: dict[int, KdslError] = {}
    for chosen in (range(len(items)), failed):
        in_a_row, errors = 0, {}
        for index, answer in _one_by_one(items, list(chosen), ask, threads):
            if not isinstance(answer, KdslError):
                in_a_row = 0
                yield index, answer
                continue
            in_a_row += 1
            if in_a_row >= IN_A_ROW:
                raise answer
            errors[index] = answer
        failed.clear()
        failed.update(errors)
    yield from ((index, Failed(str(error))) for index, error in failed.items())


def _one_by_one(
    items: Sequence[Item], chosen: Sequence[int], ask: Ask[Item, Answer], threads: int
) -> Iterator[tuple[int, Answer | KdslError]]:
    def attempt(index: int) -> Answer | KdslError:
        try:
            return ask([items[index]])[0]
        except NothingUsable:
            raise
        except KdslError as error:
            return error

    if threads == 1:
        yield from ((index, attempt(index)) for index in chosen)
        return
    pool = ThreadPoolExecutor(threads)
    try:
        futures = {pool.submit(attempt, index): index for index in chosen}
        for future in as_completed(futures):
            yield futures[future], future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
