"""A project contacts no server but this machine without the user's yes; no server gets a key that is not its own."""

import io
import ipaddress
import json
import os
import socket
import stat
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from model_server import RunningServer, model_server
from urllib3.util import parse_url

from kdsl.errors import KdslError
from kdsl.hosts import Consent, allowed_contacts, contact, origin_of, remember
from kdsl.http_client import HttpClient
from kdsl.vlm.conversation import ask
from kdsl.vlm.server.model import ServedModel

SECRET = "sk-very-secret"


@pytest.fixture
def server(shared_server: RunningServer) -> RunningServer:
    shared_server.become(lacks=("prompt_logprobs",))
    return shared_server


@pytest.fixture
def looked_up(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every name but those of this machine leads to it, and stands in the list once it was looked up."""
    names: list[str] = []
    real = socket.getaddrinfo

    def getaddrinfo(host: str, *arguments: object, **keywords: object) -> object:
        if host != "127.0.0.1":
            names.append(host)
        return real("127.0.0.1", *arguments, **keywords)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return names


@pytest.fixture
def away(server: RunningServer, looked_up: list[str]) -> str:
    """The server by a name that is not this machine's."""
    return server.url.replace("127.0.0.1", "gpu.lan")


def keys(server: RunningServer, address: str, consent: Consent | None = None) -> set[str]:
    """The keys that the server at `address` has got."""
    before = len(server.requests())
    ServedModel.connect(address, retries=0, consent=consent).generate([ask("？")], 5)
    found = server.requests()[before:]
    assert found
    return {request["key"] for request in found}


@pytest.mark.parametrize(
    "address",
    ["http://localhost:8000/v1", "HTTP://LocalHost/", "https://127.0.0.1", "http://127.9.8.7:80", "http://[::1]:9/v1"],
)
def test_this_machine_needs_no_consent(address: str) -> None:
    contact(address)


@pytest.mark.parametrize(
    "host",
    [
        "localhost.evil.com",
        "127.0.0.1.nip.io",
        "localhost.",
        "0.0.0.0",
        "2130706433",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "127.1",
        "127.0.0.01",
        "[::ffff:127.0.0.1]",
        "[::]",
        "[fe80::1]",
        "gpu",
        "192.168.0.7",
    ],
)
def test_whatever_is_not_plainly_this_machine_needs_consent(host: str, looked_up: list[str], tmp_path: Path) -> None:
    for consent in (None, Consent(tmp_path)):
        with pytest.raises(KdslError, match="is not this machine"):
            ServedModel.connect(f"http://{host}:8000/v1", consent=consent)
    assert looked_up == []


@pytest.mark.parametrize(
    "address",
    [
        "http://ｌｏｃａｌｈｏｓｔ/v1",
        "http://本机/v1",
        "http://localhost%2eevil.com/v1",
        "http://localhost\\.evil.com/v1",
        "http://localhost /v1",
        "http://localhost:/v1\n",
        "http://[::1%25lo]/v1",
        "http://[::1].evil.com/v1",
        "http://localhost:0/v1",
        "http://localhost:65536/v1",
        "http://localhost?/v1",
        "http:///v1",
        "ftp://localhost/v1",
    ],
)
def test_what_can_be_read_in_two_ways_is_no_address(address: str) -> None:
    with pytest.raises(KdslError, match="not the address of a server; write it like http://localhost:8000/v1"):
        contact(address)


@pytest.mark.parametrize(
    "address", ["http://localhost@evil.com/v1", f"http://localhost:{SECRET}@evil.com", "http://a\\@127.0.0.1"]
)
def test_an_address_holds_no_user(address: str) -> None:
    with pytest.raises(KdslError, match=r"^http://\S+: the address holds a password; put a key into") as refused:
        contact(address)
    assert SECRET not in str(refused.value)


def test_a_secret_behind_a_question_mark_is_not_quoted() -> None:
    with pytest.raises(KdslError) as refused:
        contact(f"http://gpu.lan/v1?key={SECRET}")
    assert SECRET not in str(refused.value)


PARTS = [*"@:/\\?#%[].-0189x。", "localhost", "127.0.0.1", "::1", "evil.com", "％", "ｌ", "\t", "%40", "%2e", "80"]


@given(st.lists(st.sampled_from(PARTS), max_size=8).map("".join))
def test_what_is_contacted_unasked_is_this_machine_for_the_client_too(text: str) -> None:
    """However the address is put together: the client, which reads it anew, finds the host that was judged."""
    try:
        server = contact(f"http://{text}")
    except KdslError:
        return
    read = parse_url(server.url)
    assert read.auth is None and read.query is None and read.fragment is None
    assert read.host == "localhost" or ipaddress.ip_address(str(read.host).strip("[]")).is_loopback


def test_without_a_yes_nothing_is_sent_from_a_pipe(away, server, looked_up, tmp_path) -> None:
    before = len(server.requests())
    with pytest.raises(KdslError) as refused:
        ServedModel.connect(away, consent=Consent(tmp_path))
    origin = away.removesuffix("/v1")
    assert str(refused.value) == (
        f"{origin}: is not this machine, and {tmp_path} may not send dialogues, screenshots and sounds there yet; "
        f"allow it with `kdsl hosts allow {origin} {tmp_path}`"
    )
    assert looked_up == [] and len(server.requests()) == before


def test_a_yes_holds_for_one_project_and_one_server(away, server, tmp_path, own_configuration) -> None:
    project, other = tmp_path / "project", tmp_path / "other"
    project.mkdir()
    other.symlink_to(project)
    remember(project, origin_of(away), True)
    assert keys(server, away, Consent(project)) == keys(server, away, Consent(other)) == {""}
    project.rename(tmp_path / "moved")
    port = origin_of(away).rpartition(":")[2]
    for address, folder in (
        (away, tmp_path / "moved"),
        (away, tmp_path),
        (away.replace("http:", "https:"), project),
        (away.replace(f":{port}", ""), project),
        (away.replace("gpu.lan", "gpu.lan."), project),
    ):
        with pytest.raises(KdslError, match="is not this machine"):
            contact(address, Consent(folder))
    remember(project, origin_of(away), False)
    assert allowed_contacts() == []
    with pytest.raises(KdslError, match="is not this machine"):
        contact(away, Consent(project))


def test_what_was_allowed_is_for_the_users_eyes_alone(own_configuration, tmp_path) -> None:
    before = os.umask(0)
    try:
        remember(tmp_path / "项目\udcff", "http://gpu.lan:8000", True)
    finally:
        os.umask(before)
    path = own_configuration / "kdsl" / "allowed.jsonl"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    path.chmod(0o644)
    remember(tmp_path, "http://gpu.lan:8000", True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(allowed_contacts()) == 2


def test_a_damaged_list_of_what_was_allowed_allows_nothing(own_configuration, tmp_path) -> None:
    remember(tmp_path, "http://gpu.lan:8000", True)
    path = own_configuration / "kdsl" / "allowed.jsonl"
    path.write_text(path.read_text("utf-8") + json.dumps({"project": str(tmp_path), "server": 3}) + "\n", "utf-8")
    with pytest.raises(KdslError, match=r"allowed\.jsonl, line 2: not a yes that KDSL kept; take this line out"):
        contact("http://gpu.lan:8000", Consent(tmp_path))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("answer", "yes"), [("y\n", True), ("是\n", True), ("n\n", False), ("", False)])
def test_at_a_terminal_the_user_is_asked_once(answer, yes, away, server, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    monkeypatch.setattr("sys.stderr", Terminal())
    monkeypatch.setenv("OPENAI_BASE_URL", away)
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    origin = origin_of(away)
    if not yes:
        with pytest.raises(KdslError, match=f"^{origin}: not contacted, as you did not allow it"):
            contact(away, Consent(tmp_path))
    else:
        contact(away, Consent(tmp_path))
        contact(away, Consent(tmp_path))  # from an empty terminal
    asked = sys.stderr.getvalue()
    assert f"{tmp_path} wants to contact {origin}, which is not this machine." in asked
    assert "dialogues, screenshots and sounds of this project, with the key in OPENAI_API_KEY." in asked
    assert SECRET not in asked and asked.count("[y/N]") == 1
    assert allowed_contacts() == ([(str(tmp_path), origin)] if yes else [])


def test_the_name_of_a_folder_changes_nothing_of_the_question(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("sys.stdin", Terminal("n\n"))
    monkeypatch.setattr("sys.stderr", Terminal())
    with pytest.raises(KdslError, match="as you did not allow it"):
        contact("http://gpu.lan", Consent(tmp_path / "shop\x1b[2K\n项目\u202e"))
    assert f"{tmp_path}/shop?[2K?项目? wants to contact http://gpu.lan" in sys.stderr.getvalue()


def test_an_address_typed_by_hand_is_allowed_for_the_run_but_gets_no_key(away, server, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    assert keys(server, away, Consent(tmp_path, by_hand=(away + "#tiny",))) == {""}
    assert allowed_contacts() == []
    with pytest.raises(KdslError, match="is not this machine"):
        contact(away.replace("gpu.lan", "lan"), Consent(tmp_path, by_hand=(away,)))


def test_a_key_goes_to_no_server_that_the_user_did_not_name(server, away, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    remember(tmp_path, origin_of(away), True)
    assert keys(server, server.url) == {""}  # not even on this machine
    assert keys(server, away, Consent(tmp_path)) == {""}
    monkeypatch.setenv("OPENAI_BASE_URL", away)
    assert keys(server, away, Consent(tmp_path)) == {SECRET}
    assert keys(server, server.url) == {""}
    for named in (away.replace("http:", "https:"), away.replace("gpu.lan", "lan"), "https://gpu.lan/v1"):
        monkeypatch.setenv("OPENAI_BASE_URL", named)
        assert keys(server, away, Consent(tmp_path)) == {""}


def test_the_users_folder_names_the_key_of_each_server(server, monkeypatch, own_configuration) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "another")
    monkeypatch.setenv("LAB_KEY", SECRET)
    path = own_configuration / "kdsl" / "keys.yaml"
    path.parent.mkdir()
    path.write_text(f"https://api.example.com: OPENAI_API_KEY\n{server.url}: LAB_KEY  # ours\n", "utf-8")
    assert keys(server, server.url) == {SECRET}
    server.become(key="right", lacks=("prompt_logprobs",))
    with pytest.raises(KdslError, match=r"answers 401 .*; set the environment variable LAB_KEY to") as denied:
        keys(server, server.url)
    assert SECRET not in str(denied.value)
    path.unlink()
    with pytest.raises(KdslError, match=r"answers 401 .*; no key was sent, as none belongs to this server: set"):
        keys(server, server.url)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (SECRET, "cannot be read as YAML"),
        (f"http://localhost: {SECRET}", "line 1: names no environment variable"),
        ("http://localhost: [A]", "line 1: names no environment variable"),
        (f"{SECRET}: KEY", "does not begin with the address of a server"),
        (f"http://{SECRET}@localhost: KEY", "does not begin with the address of a server"),
    ],
)
def test_a_mistake_in_the_list_of_keys_shows_no_key(text, told, own_configuration) -> None:
    path = own_configuration / "kdsl" / "keys.yaml"
    path.parent.mkdir()
    path.write_text(text, "utf-8")
    with pytest.raises(KdslError) as refused:
        contact("http://localhost")
    assert told in str(refused.value) and str(path) in str(refused.value)
    assert "write lines like `https://api.example.com: EXAMPLE_KEY`" in str(refused.value)
    assert SECRET not in str(refused.value)


def test_a_base_address_that_is_none_is_told(monkeypatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "gpu.lan:8000")
    with pytest.raises(KdslError, match=r"^OPENAI_BASE_URL: gpu\.lan:8000: not the address of a server"):
        contact("http://localhost")


def test_a_relative_configuration_folder_is_not_the_projects(monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", ".")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    remember(tmp_path, "http://gpu.lan", True)
    assert (tmp_path / "home" / ".config" / "kdsl" / "allowed.jsonl").exists()
    assert not (tmp_path / "kdsl").exists()


def test_a_redirection_takes_neither_key_nor_samples_elsewhere(server, monkeypatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    with model_server() as elsewhere:
        model = ServedModel.connect(server.url, retries=1)
        for status in (301, 302, 303, 307, 308):
            server.fail(f"{status} {elsewhere.url}/chat/completions")
            with pytest.raises(KdslError, match=rf"answers {status} .*; it sends elsewhere, which is not followed"):
                model.generate([ask("？")], 5)
        assert elsewhere.requests() == []


def test_a_proxy_of_the_environment_is_not_used(server, monkeypatch) -> None:
    with model_server() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        assert keys(server, server.url) == {""}
        assert proxy.requests() == []


def test_no_client_is_made_without_the_check(looked_up) -> None:
    with pytest.raises(KdslError, match="is not this machine"):
        HttpClient("http://gpu.lan/v1", 1, 0, 1)
