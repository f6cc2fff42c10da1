"""Warnings about single shards, wherever these are worked on: told once for each kind, when all is done."""

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

_log = logging.getLogger(__name__)

_KINDS = 20
"""Kinds that are told."""
_NUMBER = re.compile(r"\d+")


@contextmanager
def collected() -> Iterator[list[str]]:
    """The sentences that KDSL warns with meanwhile, instead of logging them."""
    found: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(record.getMessage())

    logger, collector = logging.getLogger("kdsl"), Collector(logging.WARNING)
    before = logger.propagate
    logger.addHandler(collector)
    logger.propagate = False
    try:
        yield found
    finally:
        logger.propagate = before
        logger.removeHandler(collector)


@dataclass
class Warned:
    """What was warned of in all shards."""

    _shards: dict[str, int] = field(default_factory=dict)
    """Kind → in how many shards."""
    _first: dict[str, str] = field(default_factory=dict)

    def add(self, shard: str, sentences: Sequence[str]) -> None:
        """What was warned of in one."""
        for kind, sentence in {_kind(shard, each): each for each in reversed(sentences)}.items():
            self._shards[kind] = self._shards.get(kind, 0) + 1
            self._first.setdefault(kind, sentence if sentence.startswith(shard) else f"{shard}: {sentence}")

    def tell(self) -> None:
        """Log one warning for each kind: that of the first shard, and in how many others there was one like it."""
        for kind, sentence in list(self._first.items())[:_KINDS]:
            others = self._shards[kind] - 1
            also = f" (and the like in {others} other {'shard' if others == 1 else 'shards'})" if others else ""
            _log.warning("%s%s", sentence, also)
        if len(self._first) > _KINDS:
            _log.warning("there were %d more kinds of warnings", len(self._first) - _KINDS)


def _kind(shard: str, sentence: str) -> str:
    """The sentence without what is of one shard alone: its name, numbers, and what was met first."""
    return _NUMBER.sub("#", sentence.removeprefix(shard).partition(", the first ")[0])
