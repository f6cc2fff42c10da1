"""What was read of a project's files, and made of it, for as long as the files stay as they are."""

from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any, TypeVar

from kdsl.files import stamp_of

T = TypeVar("T")


class ReadOnce:
    """Values that are made once, and again when something that they were made of has changed.

    >>> kept = ReadOnce()
    >>> kept.made("total", (1, 2), lambda: 1 + 2), kept.made("total", (1, 2), lambda: 0)
    (3, 3)
    """

    def __init__(self) -> None:
        self._known: dict[Hashable, tuple[tuple[object, ...], Any]] = {}

    def file(self, path: Path, read: Callable[[Path], T]) -> T:
        """`read(path)`, whose value is kept until the file changes; whoever is given it must not change it."""
        # Stamped before it is read: what is written meanwhile is read next time.
        return self.made((path, read), (stamp_of(path),), lambda: read(path))

    def made(self, key: Hashable, of: tuple[object, ...], make: Callable[[], T]) -> T:
        """What `make` gives, until `of`, the values that it is made of, are others. Equal values count as the same."""
        known = self._known.get(key)
        if known is None or known[0] != of:
            self._known[key] = known = of, make()
        return known[1]
