"""What was read of a project's files, and made of it, for as long as the files stay as they are."""

from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any, TypeVar

from kdsl.files import stamp_of

T = TypeVar("T")


class ReadOnce:
    """Values that are made once, and again only when something that they were made of has changed.

    >>> kept = ReadOnce()
    >>> kept.made("total", (1, 2), lambda: 1 + 2), kept.made("total", (1, 2), lambda: 0)
    (3, 3)
    """

    def __init__(self) -> None:
        self._known: dict[Hashable, tuple[tuple[object, ...], Any]] = {}

    def file(self, path: Path, read: Callable[[Path], T], *of: object) -> T:
        """What `read(path)` gives, until the file or one of `of`, which the value depends on too, is another.

        Whoever is given the value must not change it.
        """
        # Stamped before it is read: what is written meanwhile is read next time.
        return self.made((path, read.__qualname__), (stamp_of(path), *of), lambda: read(path))

    def known_file(self, path: Path, read: Callable[[Path], T], *of: object) -> T | None:
        """What `file` gave for the same, where that still holds; None where the file would have to be read."""
        known = self._known.get((path, read.__qualname__))
        return None if known is None or known[0] != (stamp_of(path), *of) else known[1]

    def made(self, key: Hashable, of: tuple[object, ...], make: Callable[[], T]) -> T:
        """What `make` gives, until one of the values `of` that it is made of is another; equal ones are the same."""
        known = self._known.get(key)
        if known is None or known[0] != of:
            self._known[key] = known = of, make()
        return known[1]
