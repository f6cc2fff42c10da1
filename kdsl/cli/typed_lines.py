"""Lines that a person types, or that come through a pipe, waited for no longer than one likes to."""

import queue
import sys
import threading
from typing import TextIO


class TypedLines:
    """The lines of a stream, stdin by default, read in a thread of their own: a read cannot be broken off."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stdin if stream is None else stream
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.ended = False
        """Whether the stream is at its end."""
        self.seen = self._stream.isatty()
        """Whether lines stand on the terminal as they are typed."""
        threading.Thread(target=self._read, daemon=True).start()

    def next(self, seconds: float) -> str | None:
        """The next line, stripped; None where none comes within so many seconds or none comes any more.

        What was begun but not finished in that time is thrown away, so that it does not answer what is asked next.
        """
        if self.ended:
            return None
        try:
            line = self._lines.get(timeout=seconds)
        except queue.Empty:
            self._forget()
            return None
        self.ended = not line
        return line.strip() if line else None

    def _read(self) -> None:
        while line := self._stream.readline():
            self._lines.put(line)
        self._lines.put("")

    def _forget(self) -> None:
        if self.seen:
            try:
                import termios
            except ModuleNotFoundError:  # Windows
                return
            termios.tcflush(self._stream, termios.TCIFLUSH)
