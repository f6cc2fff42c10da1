"""The bar of the command line."""

import io

import pytest

from kdsl.cli.progress import progress_bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("stream", [Terminal, io.StringIO])
def test_a_bar_is_for_people_at_a_terminal(monkeypatch, stream):
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    stderr = stream()
    monkeypatch.setattr("sys.stderr", stderr)
    with progress_bar("Reading [text]", 2) as advance:
        advance("Reading [text]")
    shown = stderr.getvalue()
    assert "Reading [text]" in shown and "1/2" in shown if stream is Terminal else not shown
