"""Lines of a pipe and of a terminal, waited for as long as there is time."""

import os
import pty
from collections.abc import Iterator
from typing import TextIO

import pytest

from kdsl.cli.typed_lines import TypedLines

FOREVER = 60
AT_ONCE = 0.01


@pytest.fixture
def pipe() -> Iterator[tuple[TextIO, TextIO]]:
    reading, writing = os.pipe()
    with os.fdopen(reading) as source, os.fdopen(writing, "w") as sink:
        yield source, sink
        sink.close()


def test_lines_come_one_by_one_and_then_no_more(pipe):
    source, sink = pipe
    lines = TypedLines(source)
    sink.write("  a cat \n\nlast")
    sink.close()
    assert [lines.next(FOREVER) for _ in range(3)] == ["a cat", "", "last"]
    assert not lines.ended
    assert lines.next(FOREVER) is None
    assert lines.ended
    assert lines.next(FOREVER) is None


def test_what_does_not_come_in_time_is_none_and_the_next_line_is_read_on(pipe):
    source, sink = pipe
    lines = TypedLines(source)
    assert lines.next(AT_ONCE) is None
    assert not lines.ended
    print("now", file=sink, flush=True)
    assert lines.next(FOREVER) == "now"


def test_half_a_line_on_a_terminal_does_not_answer_the_next_question():
    keyboard, terminal = pty.openpty()
    with os.fdopen(terminal) as source:
        lines = TypedLines(source)
        assert lines.seen
        os.write(keyboard, b"half")
        echoed = b""
        while echoed != b"half":  # the terminal has it
            echoed += os.read(keyboard, 16)
        assert lines.next(AT_ONCE) is None
        os.write(keyboard, b"whole\n")
        assert lines.next(FOREVER) == "whole"
        os.write(keyboard, b"\x04")  # ends the thread
        assert lines.next(FOREVER) is None
    os.close(keyboard)
