"""Servers that fail: retries lose nothing, and what remains is told in one sentence."""

import json
import logging
import math
import socket
from itertools import pairwise

import pytest
from model_server import RunningServer, model_server

from kdsl.errors import KdslError
from kdsl.http_client import HttpClient
from kdsl.vlm.conversation import Picture, ask
from kdsl.vlm.load import load_model
from kdsl.vlm.pixels import PixelBudget
from kdsl.vlm.server.model import ServedModel

CHAT = "/v1/chat/completions"


@pytest.fixture
def server(shared_server: RunningServer) -> RunningServer:
    shared_server.become(lacks=("prompt_logprobs",))
    return shared_server


def connect(server: RunningServer, timeout: float = 20, retries: int = 1) -> ServedModel:
    return ServedModel.connect(server.url, timeout=timeout, retries=retries, concurrency=4)


def chat_times(server: RunningServer) -> list[float]:
    return [request["time"] for request in server.requests() if request["path"] == CHAT]


@pytest.mark.parametrize("fault", ["500", "502", "503", "drop", "half"])
def test_passing_faults_are_retried(server: RunningServer, fault: str) -> None:
    model = connect(server)
    server.fail(fault)
    assert model.generate([ask("？")], 5)[0].text == "是"


def test_retries_lose_nothing(server: RunningServer) -> None:
    """A fault for every other request of many at the same time."""
    model = connect(server, retries=6)
    server.fail(*["500", "drop", "503", "half"] * 3)
    choices = [["红", "蓝"], ["蓝", "红"]]
    for options in choices:
        answers = model.generate([ask(f"{i}？") for i in range(12)], 5, options)
        assert [answer.text for answer in answers] == [options[0]] * 12
        assert {answer.calls for answer in answers} == {1}


def test_retry_after_is_kept(server: RunningServer) -> None:
    model = connect(server)
    before = len(chat_times(server))
    server.fail("429")
    assert model.generate([ask("？")], 5)[0].text == "是"
    [pause] = [b - a for a, b in pairwise(chat_times(server)[before:])]
    assert pause >= 1


def test_pauses_between_retries_grow(server: RunningServer, monkeypatch) -> None:
    model = connect(server, retries=4)
    pauses: list[float] = []
    monkeypatch.setattr("urllib3.util.retry.time.sleep", pauses.append)
    before = len(chat_times(server))
    server.fail("503", "503", "503", "503")
    model.generate([ask("？")], 5)
    assert len(chat_times(server)[before:]) == 5
    second, third, fourth = pauses  # the first retry is made at once
    assert 0.9 <= second < 1.8 <= third < 3.6 <= fourth


def test_slow_answer_is_asked_for_again_and_the_first_is_told(server: RunningServer, caplog) -> None:
    model = connect(server, timeout=1)
    for _ in range(2):
        server.fail("stall")
        assert model.generate([ask("？")], 5)[0].text == "是"
    told = [record.getMessage() for record in caplog.records if record.name == "kdsl.http_client"]
    assert told == [
        f"{server.url}: the server does not answer within 1 seconds; such requests are made again, up to 1 times"
    ]


def test_server_that_hangs(server: RunningServer) -> None:
    model = connect(server, timeout=0.5)
    server.fail("stall", forever=True)
    with pytest.raises(
        KdslError, match=r"/v1/chat/completions: no answer within 0\.5 seconds, asked 2 times; the serv"
    ):
        model.generate([ask("？")], 5)
    with pytest.raises(KdslError, match=r"/v1/models: no answer within 0\.5 seconds"):
        connect(server, timeout=0.5)
    before = len(chat_times(server))
    with pytest.raises(KdslError, match="asked 3 times"):  # each time costs the whole timeout
        ServedModel(HttpClient(server.url, 0.2, retries=6, concurrency=1), "tiny", "", PixelBudget()).generate(
            [ask("？")], 5
        )
    assert len(chat_times(server)) - before == 3


def test_server_that_always_fails(server: RunningServer) -> None:
    model = connect(server)
    server.fail("500", forever=True)
    expected = (
        r"^http://127\.0\.0\.1:\d+/v1/chat/completions: the server answers 500 \(EngineCore died\); its log says why$"
    )
    with pytest.raises(KdslError, match=expected):
        model.generate([ask("？")] * 30, 5)
    with pytest.raises(KdslError, match=expected):
        model.score([ask("？")], ["是", "否"])
    server.fail("429", forever=True)
    with pytest.raises(KdslError, match=r"the server answers 429 .*: wait, or ask less at the same time"):
        model.generate([ask("？")], 5)


def test_a_failure_that_repeats_at_once_is_not_waited_for(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request may be what the server fails at. What balancers answer while a server starts is waited for."""
    monkeypatch.setattr("urllib3.util.retry.time.sleep", lambda seconds: None)  # how long is another test's matter
    model = connect(server, retries=4)
    for faults, asked in ((["500"] * 5, 3), (["500", "500", "503", "500", "500"], 5), (["502"] * 5, 5)):
        before = len(chat_times(server))
        server.fail(*faults)
        with pytest.raises(KdslError, match=f"the server answers {faults[-1]}"):
            model.generate([ask("？")], 5)
        assert len(chat_times(server)) - before == asked


def test_server_that_closes_every_connection(server: RunningServer) -> None:
    model = connect(server)
    server.fail("drop", forever=True)
    with pytest.raises(
        KdslError, match=r"the connection breaks off \(Remote end closed .*\); look at the server's log"
    ):
        model.generate([ask("？")], 5)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (
            "garbage",
            "the server answers '<html>Welcome to nginx!</html>' instead of a JSON object; is this the address",
        ),
        ('{"choices": []}', "an answer without choices that hold a message; is this the address of an OpenAI-compat"),
        ('{"choices": [{"text": "是"}]}', "an answer without choices that hold a message"),
        ('{"choices": [{"message": {"content": [1]}}]}', "an answer without choices that hold a message"),
        ('{"object": "error"}', "an answer without choices that hold a message"),
    ],
)
def test_garbage(server: RunningServer, answer: str, told: str) -> None:
    model = connect(server)
    server.fail(answer)
    with pytest.raises(KdslError) as caught:
        model.generate([ask("？")], 5)
    assert told in str(caught.value)


def test_garbage_instead_of_models(server: RunningServer) -> None:
    server.fail('{"models": 3}')
    with pytest.raises(KdslError, match=r"/v1/models: an answer without a list of models; is this the address"):
        connect(server)


def test_answer_without_usage_counts_the_most_that_it_can_have_cost(server: RunningServer) -> None:
    model = connect(server)
    server.fail(json.dumps({"choices": [{"message": {"content": None}}]}))
    [answer] = model.generate([ask("？")], 7)
    assert (answer.text, answer.output_tokens) == ("", 7)


def test_no_server() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{held.getsockname()[1]}/v1"
        with pytest.raises(
            KdslError, match=r"/v1/models: cannot be reached \(.*[Cc]onnection refused\); start the serv"
        ):
            ServedModel.connect(address, retries=0)


@pytest.mark.parametrize("address", ["http://", "http://[::1", "http://host:port/v1"])
def test_address_that_is_none(address: str) -> None:
    with pytest.raises(KdslError, match="not the address of a server; write it like http://localhost:8000/v1"):
        load_model(address)


def test_address_of_something_else(server: RunningServer) -> None:
    with pytest.raises(
        KdslError, match=r"/v2/models: the server answers 404 \(Not Found\); the address .* ends in /v1"
    ):
        load_model(server.url.replace("/v1", "/v2"))


def test_v1_may_be_left_out(server: RunningServer) -> None:
    model = load_model(server.url.removesuffix("/v1"))
    assert model.generate([ask("？")], 5)[0].text == "是"


def test_model_names() -> None:
    with model_server(models=("base", "base-intent")) as running:
        assert load_model(f"{running.url}#base-intent").generate([ask("？")], 5)[0].text == "是"
        assert running.requests()[-1]["body"]["model"] == "base-intent"
        with pytest.raises(KdslError, match=r"the server has no model 'bass'; it serves base, base-intent$"):
            load_model(f"{running.url}#bass")
        with pytest.raises(
            KdslError, match=r"name one of the models that .* \(base, base-intent\), like http.*/v1#base$"
        ):
            load_model(running.url)


def test_adapters_are_the_servers_business(server: RunningServer, tmp_path) -> None:
    with pytest.raises(KdslError, match="adapters are loaded by the server; name one as it serves it"):
        load_model(server.url, adapters={"intent": tmp_path})


def test_server_without_pictures(tmp_path) -> None:
    from PIL import Image

    Image.new("RGB", (56, 56)).save(tmp_path / "page.png")
    with model_server(lacks=("pictures", "prompt_logprobs")) as running:
        model = connect(running)
        question = ask(Picture(tmp_path / "page.png"), "标签？")
        for attempt in (lambda: model.generate([question], 5), lambda: model.score([question], ["是", "否"])):
            with pytest.raises(
                KdslError, match=r"does not take pictures for tiny \(tiny is not a multimodal model\); "
            ):
                attempt()
        assert model.generate([ask("标签？")], 5)[0].text == "是"


def test_whether_a_server_takes_pictures_is_asked_by_one_request(server: RunningServer) -> None:
    before = len(server.requests())
    assert connect(server).sees()
    [request] = [each for each in server.requests()[before:] if each["path"].endswith("completions")]
    assert "data:image/png;base64," in json.dumps(request["body"])
    server.become(lacks=("pictures", "prompt_logprobs"))
    assert not connect(server).sees()
    model = connect(server)
    server.fail("400", forever=True)  # about something else
    with pytest.raises(KdslError, match="the server answers 400"):
        model.sees()


def test_server_without_log_probabilities_says_so_once(server: RunningServer, caplog) -> None:
    model = connect(server)
    for _ in range(2):
        assert model.score([ask("？")], ["是", "否"]).estimated
    assert [
        record.getMessage().split(": ", 1)[1] for record in caplog.records if record.name == "kdsl.vlm.server.model"
    ] == ["the server does not tell a prompt's log-probabilities; options are scored by 16 sampled answers"]


@pytest.mark.parametrize("lack", ["n", "many"])
def test_samples_are_asked_for_one_by_one_where_it_must_be(server: RunningServer, lack: str) -> None:
    server.become(lacks=("prompt_logprobs", lack))
    model = connect(server)
    scores = [model.score([ask("？")], ["红", "蓝"]) for _ in range(2)][-1]
    assert scores.calls.tolist() == [16] and scores.output_tokens.tolist() == [32]
    assert scores.log_probabilities[0] == pytest.approx([math.log(16.5 / 17), math.log(0.5 / 17)])


def test_overloaded_server_is_not_taken_for_one_without_log_probabilities(server: RunningServer) -> None:
    model = connect(server, retries=0)
    server.fail("503")
    with pytest.raises(KdslError, match="the server answers 503"):
        model.score([ask("？")], ["红", "蓝"])


SECRET = "sk-very-secret"


def test_key_is_sent_and_never_told(monkeypatch: pytest.MonkeyPatch, caplog) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET + "\n")
    with caplog.at_level(logging.DEBUG), model_server(key=SECRET, lacks=("prompt_logprobs",)) as running:
        monkeypatch.setenv("OPENAI_BASE_URL", running.url)
        model = connect(running, retries=1)
        assert model.score([ask("？")], ["是", "否"]).estimated
        assert running.requests()[-1]["key"] == SECRET
        running.fail("500", forever=True)
        with pytest.raises(KdslError) as failed:
            model.generate([ask("？")], 5)
        running.fail()
        monkeypatch.setenv("OPENAI_API_KEY", SECRET[:-1])
        with pytest.raises(
            KdslError, match=r"the server answers 401 \(Unauthorized\); set the environment var"
        ) as denied:
            connect(running)
    told = f"{caplog.text} {failed.value!r} {denied.value!r} {model.identity} {vars(model)}"
    assert SECRET[:-1] not in told


def test_key_that_cannot_be_one(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", f"{SECRET} 密钥")
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    with pytest.raises(
        KdslError, match=r"^OPENAI_API_KEY: holds spaces or characters outside ASCII; copy the key again$"
    ):
        connect(server)
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(KdslError, match=r"^http://host: the address holds a password; put a key into OPENAI_API_KEY"):
        load_model(f"http://user:{SECRET}@host/v1")
