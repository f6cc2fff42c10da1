"""kdsl serve: what keeps it from starting is one sentence."""

import os
import socket
import sys
from shutil import rmtree

import pytest

pytest.importorskip("fastapi", reason="needs the extra serve")


from kdsl.distribution import install_command

OPTIONS = ("encoder=none", "small=lexical", "data.ocr=null")


def test_a_port_that_is_taken_is_one_sentence(kdsl, shop):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = kdsl("serve", shop, "--port", port, *OPTIONS)
    assert (result.code, result.out) == (2, "")
    assert result.err == (
        f"error: --host 127.0.0.1 --port {port}: {os.strerror(98)}; choose another with --port\n"
    )  # fmt: skip


def test_without_the_extra_the_command_says_how_to_get_it(kdsl, shop, monkeypatch):
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    result = kdsl("serve", shop)
    assert (result.code, result.err) == (
        2, f"error: kdsl serve needs prometheus_client: {install_command('serve')}\n"
    )  # fmt: skip


def test_a_project_that_was_not_trained_is_not_served(kdsl, shop):
    rmtree(shop / "checkpoints")
    result = kdsl("serve", shop, "--port", 0, *OPTIONS)
    assert (result.code, result.out) == (2, "")
    assert result.err.endswith("none of the project's tasks was trained; run `kdsl train` first\n")
    assert result.err.count("\n") == 1


def test_without_a_token_the_network_is_not_served(kdsl, shop):
    result = kdsl("serve", shop, "--host", "0.0.0.0", "--no-token")
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert "--no-token would let everybody on the network ask" in result.err
