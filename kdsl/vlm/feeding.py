"""Prompts made ahead of the model that computes on them."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from kdsl.vlm.conversation import Conversation
from kdsl.vlm.processor import Processor, Prompt

_PREPARING = 4
"""Threads that decode pictures and sounds while the model computes."""


def ahead(processor: Processor, conversations: Sequence[Conversation], window: int) -> Iterator[list[Prompt]]:
    """Prompts of the conversations in their order, `window` at once, the next ones being made while these are used.

    Raises KdslError for a conversation that cannot be encoded, when its window is asked for.
    """
    with ThreadPoolExecutor(_PREPARING) as pool:
        try:
            following = None
            for start in range(0, len(conversations), window):
                ready = following or [pool.submit(processor.encode, c) for c in conversations[start : start + window]]
                later = conversations[start + window : start + 2 * window]
                following = [pool.submit(processor.encode, c) for c in later]
                yield [future.result() for future in ready]
        finally:
            pool.shutdown(cancel_futures=True)
