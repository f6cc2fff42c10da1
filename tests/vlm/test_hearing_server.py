"""Sounds to a model behind a server: what is sent, and that it answers as the same model does in this process."""

import base64
import io
import logging
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra vlm")
pytest.importorskip("av", reason="needs the extra voice")

import tiny_hearing  # noqa: E402
from model_server import RunningServer, model_server  # noqa: E402

from kdsl.errors import KdslError  # noqa: E402
from kdsl.vlm.cache import CachedModel  # noqa: E402
from kdsl.vlm.conversation import Audio, Instruction, Message, Picture, ask  # noqa: E402
from kdsl.vlm.local import LocalModel  # noqa: E402
from kdsl.vlm.pixels import PixelBudget  # noqa: E402
from kdsl.vlm.server.messages import chat_messages, encode_media  # noqa: E402
from kdsl.vlm.server.model import ServedModel  # noqa: E402

OPTIONS = ("低", "低音", "高")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_hearing.build_qwen2_audio(tmp_path_factory.mktemp("qwen2-audio"))


@pytest.fixture(scope="module")
def shared_server(directory: Path) -> Iterator[RunningServer]:
    with model_server(directory) as running:
        yield running


@pytest.fixture
def server(shared_server: RunningServer) -> RunningServer:
    shared_server.become()
    return shared_server


@pytest.fixture
def tone(tmp_path: Path) -> Audio:
    return Audio(tiny_hearing.write_tone(tmp_path / "a.wav", 400))


def test_answers_are_those_of_the_same_model_in_this_process(server, directory, tone, tmp_path) -> None:
    other = Audio(tiny_hearing.write_tone(tmp_path / "b.wav", 1500, 0.8))
    conversations = [ask(tone, "标签？"), ask("没有声音，标签？"), ask(tone, "和", other, "标签？")]
    local, served = LocalModel.load(str(directory)), ServedModel.connect(server.url)
    scores = served.score(conversations, OPTIONS)
    expected = local.score(conversations, OPTIONS)
    assert not scores.estimated
    np.testing.assert_allclose(scores.log_probabilities, expected.log_probabilities, atol=1e-3)
    assert [a.text for a in served.generate(conversations, 4)] == [a.text for a in local.generate(conversations, 4)]


def test_a_sound_is_sent_as_wav_of_16_khz_and_one_channel(tmp_path) -> None:
    tone = Audio(tiny_hearing.write_tone(tmp_path / "a.wav", 400, 0.5, rate=44100))
    media = encode_media(ask(tone), PixelBudget())
    [message] = chat_messages(ask("听", tone, "标签？"), media)
    assert [part["type"] for part in message["content"]] == ["text", "input_audio", "text"]
    sent = message["content"][1]["input_audio"]
    assert sent["format"] == "wav"
    with wave.open(io.BytesIO(base64.b64decode(sent["data"]))) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 16000)
        assert abs(file.getnframes() - 8000) <= 32
    assert media.cut == ()


def test_sounds_and_pictures_keep_their_places(tone, tmp_path) -> None:
    import tiny_qwen2vl

    page = Picture(tiny_qwen2vl.draw_page(tmp_path / "page.png", "红", False))
    conversation = ask(page, tone, "和", tone, Instruction("标签？"))
    [message] = chat_messages(conversation, encode_media(conversation, PixelBudget()))
    kinds = [part["type"] for part in message["content"]]
    assert kinds == ["image_url", "input_audio", "text", "input_audio", "text"]


def test_long_sounds_are_cut_with_one_warning(server, tmp_path, caplog) -> None:
    long = [Audio(tiny_hearing.write_tone(tmp_path / f"{i}.wav", 400, 30.5)) for i in range(2)]
    model = ServedModel.connect(server.url)
    with caplog.at_level(logging.WARNING):
        model.generate([ask(sound, "标签？") for sound in long], 2)
        model.generate([ask(long[0], "标签？")], 2)
    [warning] = caplog.messages
    assert warning.startswith("sounds longer than the 30 seconds that the model takes")
    assert warning.endswith(f": 2, such as {long[0].path}")
    sent = server.requests()[-1]["body"]["messages"][0]["content"][0]["input_audio"]["data"]
    with wave.open(io.BytesIO(base64.b64decode(sent))) as file:
        assert file.getnframes() == 30 * 16000


def test_whether_it_hears_is_asked_once(server, tone) -> None:
    model = ServedModel.connect(server.url)
    before = len(server.requests())
    assert model.hears() and model.hears()
    assert len(server.requests()) == before + 1
    model.generate([ask(tone, "标签？")] * 3, 2)
    assert len(server.requests()) == before + 4
    assert ServedModel.connect(server.url).hears()


def test_a_server_that_does_not_hear(server, tone, tmp_path) -> None:
    server.become(lacks=("sounds",))
    model = CachedModel(ServedModel.connect(server.url), tmp_path / "answers.jsonl")
    assert not model.hears()
    with pytest.raises(
        KdslError, match=rf"a\.wav: a sound, but tiny at {server.url} does not hear; serve a model that"
    ):
        model.generate([ask(tone, "标签？")], 2)
    with pytest.raises(KdslError, match=r"a\.wav: a sound, but tiny at .* does not hear"):
        model.score([ask(tone, "标签？")], OPTIONS)
    assert not model.score([ask("没有声音，标签？")], OPTIONS).estimated


def test_a_server_that_takes_fewer_sounds_than_a_prompt_has(server, tone) -> None:
    model = ServedModel.connect(server.url)
    assert model.hears()
    server.become(lacks=("sounds",))
    with pytest.raises(
        KdslError, match=r"does not take sounds for tiny \(At most 0 audio.*\); serve a model that hears"
    ):
        model.generate([ask(tone, "标签？")], 2)


def test_a_server_that_fails_is_not_taken_for_one_that_does_not_hear(server) -> None:
    server.fail("401")
    with pytest.raises(KdslError, match="401"):
        ServedModel.connect(server.url)
    model = ServedModel.connect(server.url)
    server.fail("403")
    with pytest.raises(KdslError, match="403"):
        model.hears()
    assert model.hears()


def test_whole_turns_are_dropped_until_the_server_takes_the_prompt(server, tone) -> None:
    last = Message("user", ("标签？",))
    history = (
        Message("user", (tone, "听"), whole=True),
        Message("assistant", ("低",), whole=True),
        Message("user", ("很早的话" * 9, "早的话"), whole=True),
        last,
    )
    model = ServedModel.connect(server.url)
    assert model.hears()
    server.become(context=50)
    [answer] = model.generate([history], 2)
    sent = server.requests()[-1]["body"]["messages"]
    assert answer.dropped == 5 and sent == [{"role": "user", "content": "标签？"}]
