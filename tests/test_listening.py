"""Where a page or a service listens."""

import socket

import pytest

from kdsl.errors import KdslError
from kdsl.listening import is_local, listen, shown_host


def test_who_comes_before_the_server_runs_waits():
    with listen("127.0.0.1", 0) as listening, socket.create_connection(listening.getsockname()):
        pass


def test_answers_are_sent_at_once():
    """asyncio turns the waiting of small packets off where it sees the protocol of the socket."""
    with listen("127.0.0.1", 0) as listening, socket.create_connection(listening.getsockname()):
        accepted, _ = listening.accept()
        with accepted:
            assert (accepted.type, accepted.proto) == (socket.SOCK_STREAM, socket.IPPROTO_TCP)


def test_an_address_that_cannot_be_had_is_told_as_the_options_name_it():
    with listen("127.0.0.1", 0) as listening, pytest.raises(KdslError, match="choose another with --port"):
        listen("127.0.0.1", listening.getsockname()[1])
    with pytest.raises(KdslError, match="no number from 0 to 65535"):
        listen("127.0.0.1", 70_000)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.3.2.1", "::1", "localhost", "LOCALHOST"])
def test_only_this_computer_reaches_these(host):
    assert is_local(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "kdsl.example", ""])
def test_others_reach_these_too(host):
    assert not is_local(host)


def test_an_address_calls_the_computer_by_what_others_know_it_by():
    assert shown_host("0.0.0.0") == shown_host("::") == socket.gethostname()
    assert (shown_host("::1"), shown_host("kdsl.example")) == ("[::1]", "kdsl.example")
