"""An encoder behind a server: batches, passing faults, long texts, and one sentence for every other answer."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from model_server import RunningServer

from kdsl.embeddings.load import load_encoder
from kdsl.embeddings.server import ServedEncoder
from kdsl.errors import KdslError
from kdsl.hosts import Consent


@pytest.fixture
def server(shared_server: RunningServer) -> RunningServer:
    shared_server.become(models=("bge",))
    return shared_server


def counted(text: str) -> np.ndarray:
    """The vector that the server gives, of unit length."""
    vector = np.zeros(8)
    for character in text:
        vector[ord(character) % 8] += 1
    return vector / np.linalg.norm(vector)


def asked(server: RunningServer, since: int = 0) -> list[list[str]]:
    requests = server.requests()[since:]
    return [request["body"]["input"] for request in requests if request["path"] == "/v1/embeddings"]


def test_texts_go_in_batches_and_vectors_come_back_in_order(server):
    encoder = load_encoder(server.url)
    texts = [f"第{number}句" for number in range(150)]
    since = len(server.requests())
    found = encoder.encode(texts)
    np.testing.assert_allclose(found, [counted(text) for text in texts], atol=1e-6)
    assert sorted(map(len, asked(server, since))) == [1, 22, 64, 64]  # one to learn the size
    assert (encoder.size, encoder.lacks) == (8, "")


def test_nothing_is_asked_before_it_is_needed(server):
    since = len(server.requests())
    encoder = load_encoder(f"{server.url}#bge")
    assert (encoder.name, encoder.identity) == ("bge", f"{server.url}#bge")
    assert load_encoder(server.url).name == load_encoder(server.url).identity == server.url
    assert server.requests()[since:] == []


def test_it_may_be_given_to_another_process(server):
    encoder = load_encoder(f"{server.url}#bge", Consent(Path("shop"), (server.url,)))
    found = encoder.encode(["我要退款"])
    copied = pickle.loads(pickle.dumps(encoder))
    assert copied.identity == encoder.identity
    assert copied._consent == encoder._consent
    assert (copied.encode(["我要退款"]) == found).all()


def test_one_of_several_models_is_named_behind_the_address(server):
    server.become(models=("chat", "bge"))
    assert ServedEncoder(f"{server.url}#bge").size == 8
    with pytest.raises(KdslError, match=r"name one of the models that the server has \(chat, bge\)"):
        ServedEncoder(server.url).encode(["x"])
    with pytest.raises(KdslError, match="has no model 'e5'"):
        ServedEncoder(f"{server.url}#e5").encode(["x"])


@pytest.mark.parametrize("fault", ["500", "drop"])
def test_passing_faults_are_retried(server, fault):
    encoder = load_encoder(server.url)
    assert encoder.size == 8
    server.fail(fault)
    np.testing.assert_allclose(encoder.encode(["退款"]), [counted("退款")], atol=1e-6)


def test_of_a_text_that_is_too_long_as_much_counts_as_the_server_takes(server):
    server.become(models=("bge",), context=1000)
    long = "甲" * 400 + "乙" * 99_600
    found = load_encoder(server.url).encode(["短", long])
    np.testing.assert_allclose(found, [counted("短"), counted(long[:1000])], atol=1e-6)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('{"data": []}', "an answer without 1 vectors"),
        ('{"data": [{"index": 1, "embedding": [1.0]}]}', "an answer without 1 vectors"),
        ('{"data": [{"embedding": ["a"]}]}', "an answer without 1 vectors"),
        ('{"data": [{"embedding": [1e999]}]}', "an answer without 1 vectors"),
        ('{"data": [{"embedding": 3}]}', "an answer without 1 vectors"),
        ('{"data": [{"embedding": [1.0, 0.0]}]}', "vectors of 2 numbers after some of 8"),
        ("garbage", "instead of a JSON object"),
        ("401", "no key was sent"),
    ],
)
def test_any_other_answer_is_one_sentence(server, body, said):
    encoder = load_encoder(server.url)
    assert encoder.size == 8
    server.fail(body, forever=True)
    with pytest.raises(KdslError, match=said) as error:
        encoder.encode(["退款"])
    assert str(error.value).startswith(f"{server.url}/embeddings: ")


def test_another_machine_is_not_contacted_without_a_yes():
    with pytest.raises(KdslError, match=r"http://192\.0\.2\.1: is not this machine"):
        load_encoder("http://192.0.2.1/v1").encode(["x"])
