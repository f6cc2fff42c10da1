"""How long work on shards will take, told from the bytes of those that are done."""

import time
from collections.abc import Mapping

_MINUTE, _HOUR, _DAY = 60, 3600, 86400


class Pace:
    """Begins to count when it is made.

    A bar's own estimate looks at the last half minute, in which no shard may have been done, and counts shards alike
    that are not.
    """

    def __init__(self, sizes: Mapping[str, int]) -> None:
        """`sizes`: the bytes of each shard."""
        # A shard without a byte takes its time too.
        self._waiting = {name: size + 1 for name, size in sizes.items()}
        self._all = self._left = sum(self._waiting.values())
        self._begun = time.monotonic()

    def told(self, done: str) -> str:
        """The time that is left after one more shard is done, in words."""
        self._left -= self._waiting.pop(done, 0)
        seconds = (time.monotonic() - self._begun) * self._left / max(1, self._all - self._left)
        return f"{in_words(seconds)} left"


def in_words(seconds: float) -> str:
    """About so long.

    >>> [in_words(each) for each in (7.2, 100, 9000, 200000)]
    ['8 s', '2 min', '2 h 30 min', '2 d 8 h']
    """
    whole = -int(-seconds // 1)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{-(-whole // _MINUTE)} min"
    if whole < _DAY:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"
    return f"{-(-whole // _HOUR) // 24} d {-(-whole // _HOUR) % 24} h"
