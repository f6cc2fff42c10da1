"""Prompts made ahead of the model that computes on them, by threads, and by processes where many pictures are new."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from pathlib import Path

from kdsl.processes import worker_pool
from kdsl.vlm.conversation import Conversation, pictures
from kdsl.vlm.processor import Processor, Prompt

_PREPARING = 4
"""Threads that tokenise, and read pictures and sounds, while the model computes."""
_MANY = 64
"""New pictures from which on processes make them: a process starts in the time that ten pictures take."""
_LOOKED_AT = 32
"""Pictures by which is told how many are new."""
_MAKERS = 16
"""Processes, at most: more pictures than these make no GPU takes."""
_WINDOWS = 8
"""Windows whose pictures are made ahead."""

Make = Callable[[Sequence[Conversation]], None]


def ahead(processor: Processor, conversations: Sequence[Conversation], window: int) -> Iterator[list[Prompt]]:
    """Prompts of the conversations in their order, `window` at once, the next ones being made while these are used.

    Raises KdslError for a conversation that cannot be encoded, when its window is asked for.
    """
    made: dict[Path, Future[None]] = {}

    def encode(conversation: Conversation) -> Prompt:
        # What went wrong there goes wrong here again, and is told.
        wait([made[picture.path] for picture in pictures(conversation) if picture.path in made])
        return processor.encode(conversation)

    # What is needed at once is not left to processes, which have to start.
    with _threads() as threads, _makers(processor, conversations[window:], made) as make:
        following = None
        for start in range(0, len(conversations), window):
            make(conversations[start + window : start + _WINDOWS * window])
            ready = following or [threads.submit(encode, c) for c in conversations[start : start + window]]
            later = conversations[start + window : start + 2 * window]
            following = [threads.submit(encode, c) for c in later]
            yield [future.result() for future in ready]


@contextmanager
def _threads() -> Iterator[ThreadPoolExecutor]:
    pool = ThreadPoolExecutor(_PREPARING)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _makers(
    processor: Processor, conversations: Sequence[Conversation], made: dict[Path, "Future[None]"]
) -> Iterator[Make]:
    """A function that has the pictures of conversations put into the processor's cache, noting in `made` which."""
    cores = os.cpu_count() or 1
    new = _new_pictures(processor, conversations)
    if processor.cache is None or cores < 2 or new < _MANY:
        yield lambda conversations: None
        return
    cache, form = processor.cache, processor.form
    with worker_pool(min(cores, _MAKERS, new // (_MANY // 4))) as pool:

        def make(conversations: Sequence[Conversation]) -> None:
            for conversation in conversations:
                for picture in pictures(conversation):
                    if picture.path not in made:
                        with suppress(BrokenProcessPool):  # encoding makes them, then
                            made[picture.path] = pool.submit(cache.keep, picture.path, form)

        yield make


def _new_pictures(processor: Processor, conversations: Sequence[Conversation]) -> int:
    """About how many pictures the processor's cache does not hold, of conversations that have many."""
    paths = list(dict.fromkeys(picture.path for each in conversations for picture in pictures(each)))
    if processor.cache is None or len(paths) < _MANY:
        return 0
    some = paths[:: -(-len(paths) // _LOOKED_AT)]
    return len(paths) * sum(not processor.cache.holds(path, processor.form) for path in some) // len(some)
