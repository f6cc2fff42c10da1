"""kdsl hosts, and that every command which asks a model asks no server that the user did not allow."""

import json
import socket
from pathlib import Path

import pytest
from model_server import model_server
from PIL import Image
from small_shop import write, write_project

ADDRESS = "http://gpu.lan:8000/v1"
ORIGIN = "http://gpu.lan:8000"


@pytest.fixture(autouse=True)
def no_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """No name but that of this machine is looked up."""
    real = socket.getaddrinfo

    def getaddrinfo(host: str, *arguments: object, **keywords: object) -> object:
        if host == "127.0.0.1":
            return real(host, *arguments, **keywords)
        raise AssertionError(f"{host} was looked up")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A project with a picture, every model of which is at ADDRESS."""
    folder = write_project(tmp_path / "project")
    (folder / "images").mkdir()
    Image.new("RGB", (60, 60)).save(folder / "images" / "a.png")
    samples = [{"id": f"s{i}", "text": f"灯{i}", "images": ["a.png"], "label": label}
               for i, label in enumerate(("调光", "材质", "物流") * 4)]  # fmt: skip
    write(folder / "train.jsonl", samples)
    lines = (folder / "kdsl.yaml").read_text("utf-8").splitlines(keepends=True)
    data = (
        "data: {train: train.jsonl, unlabelled: train.jsonl, distilled: d.jsonl, reasons: r.jsonl, images: images, "
        "captions: c.jsonl, questions: q.jsonl}\n"
    )
    models = f"small: {ADDRESS}\nlarge: {ADDRESS}\ndistill: {{teacher: {ADDRESS}}}\naugment: {{copies: 1}}\n"
    kept = [line for line in lines if not line.startswith(("data:", "small:", "large:"))]
    (folder / "kdsl.yaml").write_text("".join([*kept, data, models]), "utf-8")
    return folder


@pytest.mark.parametrize(
    "command",
    [
        ["caption"],
        ["mine"],
        ["reasons"],
        ["augment"],
        ["evaluate", "--cross-validate", "2"],
        ["run"],
    ],
    ids=lambda command: command[0],
)
def test_no_command_contacts_what_only_the_project_names(kdsl, shop, monkeypatch, command) -> None:
    monkeypatch.chdir(shop)
    result = kdsl(command[0], shop, *command[1:])
    assert result.code == 2, result.err
    assert result.err.endswith(
        f"error: {ORIGIN}: is not this machine, and {shop} may not send dialogues, screenshots and sounds there yet; "
        f"allow it with `kdsl hosts allow {ORIGIN} {shop}`\n"
    )


def test_nor_does_training_predicting_and_distilling(kdsl, shop) -> None:
    embedded = "small=lexical", "large=linear", "augment.copies=0"
    assert kdsl("mine", shop, *embedded).code == 0
    assert kdsl("train", shop, *embedded).code == 0
    for result in (
        kdsl("train", shop, "small=lexical"),
        kdsl("predict", shop, "--input", shop / "train.jsonl", "--output", shop / "p.jsonl"),
        kdsl("distill", shop, *embedded),
    ):
        assert result.code == 2 and f"error: {ORIGIN}: is not this machine" in result.err
    assert not (shop / "p.jsonl").exists()


def test_what_was_allowed_is_listed_and_taken_back(kdsl, shop, tmp_path) -> None:
    assert "no server in allowed.jsonl or keys.yaml" in kdsl("hosts", "list").out
    assert kdsl("hosts", "allow", ADDRESS, shop).out == f"{shop} may contact {ORIGIN}\n"
    assert kdsl("hosts", "list").out == f"{shop}  may contact  {ORIGIN}\n"
    assert json.loads(kdsl("hosts", "list", "--format", "json").out) == {
        "allowed": [{"project": str(shop), "server": ORIGIN}],
        "keys": {},
    }
    with pytest.raises(AssertionError, match=r"gpu\.lan was looked up"):
        kdsl("caption", shop)
    shop.rename(tmp_path / "gone")
    assert kdsl("hosts", "forget", ORIGIN, shop).out == f"{shop} may not contact {ORIGIN} any more\n"
    again = kdsl("hosts", "forget", ORIGIN, shop)
    assert again.code == 2 and f"was not allowed to contact {ORIGIN}; `kdsl hosts list` shows what was" in again.err


def test_keys_are_listed_by_the_variables_that_hold_them(kdsl, monkeypatch, own_configuration) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "https://api.example.com/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    result = kdsl("hosts", "list")
    assert result.out == "https://api.example.com  has the key in  OPENAI_API_KEY\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["gpu.lan:8000"], "gpu.lan:8000: not the address of a server; write it like http://localhost:8000/v1"),
        ([ADDRESS, "nowhere"], "nowhere: no such file; name a project's kdsl.yaml"),
    ],
)
def test_only_a_project_and_an_address_can_be_allowed(kdsl, arguments, told, own_configuration) -> None:
    result = kdsl("hosts", "allow", *arguments)
    assert result.code == 2 and told in result.err
    assert not (own_configuration / "kdsl").exists()


def test_an_address_typed_on_the_command_line_is_allowed_for_that_run(kdsl, shop, monkeypatch) -> None:
    with pytest.raises(AssertionError, match=r"other\.lan was looked up"):
        kdsl("caption", shop, "small=http://other.lan/v1")
    with pytest.raises(AssertionError, match=r"other\.lan was looked up"):
        kdsl("reasons", shop, "--model", "http://other.lan/v1")
    with pytest.raises(AssertionError, match=r"gpu\.lan was looked up"):
        kdsl("caption", shop, f"large={ADDRESS}")
    assert "no server" in kdsl("hosts", "list").out
    monkeypatch.setattr("kdsl.http_client._LONGEST_PAUSE", 0)  # between attempts
    assert kdsl("caption", shop, "small=http://127.0.0.1:1/v1", "seed=1").code == 2


def test_a_project_on_this_machine_gets_no_key(kdsl, shop, monkeypatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    with model_server(answer="一张图") as server:
        assert kdsl("caption", shop, f"small={server.url}").code == 0
        assert {request["key"] for request in server.requests()} == {""}
