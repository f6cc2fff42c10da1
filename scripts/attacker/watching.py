"""Seeing every file that a child opens or changes, by Python's audit hooks (PEP 578)."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

_CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.truncate")


def on_open(place: Path, act: Callable[[str], None]) -> Callable[[], None]:
    """For the child to call first: `act` gets the name of every file below `place` before it is opened to be read."""
    return _watched(place, lambda event, writing: event == "open" and not writing, act)


def on_change(place: Path, act: Callable[[str], None]) -> Callable[[], None]:
    """For the child to call first: `act` is called before every change of a file below `place`."""
    return _watched(place, lambda event, writing: event in _CHANGES or (event == "open" and writing), act)


def _watched(place: Path, wanted: Callable[[str, bool], bool], act: Callable[[str], None]) -> Callable[[], None]:
    start = os.path.realpath(place) + os.sep

    def before() -> None:
        def watch(event: str, arguments: tuple[Any, ...]) -> None:
            if event != "open" and event not in _CHANGES:
                return
            if not isinstance(arguments[0], str | bytes | os.PathLike):
                return
            writing = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
            name = os.path.abspath(os.fsdecode(arguments[0]))
            if wanted(event, bool(writing)) and name.startswith(start):
                act(name.removeprefix(start))

        sys.addaudithook(watch)

    return before
