"""What plays: the model's answers where there is time and memory, and otherwise why there are none."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the extra vlm")

import tiny_hearing
import tiny_qwen2vl
import torch

from kdsl.audio.transcribe import Transcribed, Transcriber
from kdsl.audio.transcript import Transcript
from kdsl.chat.fusionbrain.contestant import Contestant
from kdsl.chat.fusionbrain.media import Media
from kdsl.chat.fusionbrain.settings import Settings
from kdsl.chat.fusionbrain.time_budget import TimeBudget
from kdsl.config_parts import PixelsConfig
from kdsl.errors import KdslError
from kdsl.vlm.conversation import Conversation, Instruction, Picture, ask, in_words, pictures, sounds
from kdsl.vlm.local import LocalModel

COLOUR = {"type": "text", "content": "图中有红色吗？"}
CAPTION = {"type": "text", "content": "描述图片。"}


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> LocalModel:
    return LocalModel.load(str(tiny_model), tiny_qwen2vl.BUDGET, 512, "cpu")


@pytest.fixture
def contestant(model: LocalModel) -> Callable[..., Contestant]:
    """contestant(key=value): the tiny model, or another, with these settings and an hour."""

    def contestant(seconds: float = 3600, model: LocalModel = model, **settings: object) -> Contestant:
        values = {"model": Path("model"), "max_new_tokens": 8, "max_tokens": 512, **settings}
        values["pixels"] = PixelsConfig(min=tiny_qwen2vl.BUDGET.min_pixels, max=tiny_qwen2vl.BUDGET.max_pixels)
        return Contestant(model, Settings(**values), TimeBudget(seconds, 1, 3600))

    return contestant


@pytest.fixture
def red(tmp_path: Path) -> dict:
    return {"type": "image", "content": str(tiny_qwen2vl.draw_page(tmp_path / "red.png", "红", False))}


@pytest.fixture
def calls(model: LocalModel, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many messages the model was asked about, each time; it has no memory for more than `calls.limit` tokens."""

    class Calls(list):
        limit = 10**6

    calls = Calls()
    encode = model.processor.encode

    def counted(conversation):
        calls.append(len(conversation))
        return encode(conversation)

    def limited(real):
        def forward(*arguments, **named):
            ids = named.get("input_ids")
            if ids is not None and ids.shape[1] > calls.limit:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 8 GiB.")
            return real(*arguments, **named)

        return forward

    monkeypatch.setattr(model.processor, "encode", counted)
    monkeypatch.setattr(model.model, "generate", limited(model.model.generate))
    monkeypatch.setattr(model.model.model, "forward", limited(model.model.model.forward))
    return calls


def test_it_answers_and_gives_the_messages_back(contestant, red):
    outcome = contestant().answer([red, COLOUR], None)
    assert (outcome.value, outcome.problem) == ("是", "")
    assert outcome.history == [{"role": "user", "content": [red, COLOUR]}]


def test_the_history_is_shown_to_the_model(contestant, red, calls):
    contestant().answer([CAPTION], [([red, COLOUR], "是")])
    assert calls == [3]


@pytest.mark.parametrize(("base", "of_mean"), [("e", math.exp), (2, math.exp2)])
def test_perplexity_is_that_of_the_answers_tokens(contestant, model, red, base, of_mean):
    outcome = contestant(perplexity_base=base).perplexity(([red, COLOUR], "否"), None)
    [[total]] = model.score(
        [ask(Picture(Path(red["content"])), Instruction(COLOUR["content"]))], ["否"]
    ).log_probabilities
    assert outcome.value == pytest.approx(of_mean(-total / len(model.processor.answer_ids("否"))), rel=1e-4)
    assert outcome.history == [{"role": "user", "content": [red, COLOUR]}]


@pytest.mark.parametrize("given", [None, 5, [], ([], "是"), ([COLOUR], None), ([COLOUR], "  "), [COLOUR], {"a": 1}])
def test_what_cannot_be_scored_has_no_perplexity(contestant, given):
    outcome = contestant().perplexity(given, None)
    assert outcome.value is None and outcome.problem


def test_system_message_comes_first(contestant, calls):
    contestant(system="You are a helpful assistant.").answer([COLOUR], None)
    assert calls == [2]


def test_out_of_memory_it_answers_the_last_turn_alone(contestant, red, calls, caplog):
    calls.limit = 60
    history = [([red, COLOUR], "是")] * 5
    outcome = contestant().answer([CAPTION], history)
    assert outcome.value and not outcome.problem
    assert calls == [11, 1] and len(outcome.history) == 11
    assert "out of memory" in caplog.text


def test_then_what_is_said_in_it_and_the_end_of_that(contestant, red, calls):
    calls.limit = 300
    outcome = contestant().answer([red, {"type": "text", "content": "退换" * 200}, COLOUR], None)
    assert outcome.value and calls == [1, 1]
    contestant().perplexity(([red, {"type": "text", "content": "退换" * 200}], "是"), None)
    assert calls == [1, 1] * 2


@pytest.mark.parametrize("ask", ["answer", "perplexity"])
def test_where_nothing_fits_the_problem_is_told(contestant, red, calls, ask):
    calls.limit = 1
    query = [red, COLOUR] if ask == "answer" else ([red, COLOUR], "是")
    outcome = getattr(contestant(), ask)(query, None)
    assert outcome.value is None and "out of memory" in outcome.problem and len(calls) == 2
    assert outcome.history == [{"role": "user", "content": [red, COLOUR]}]


@pytest.fixture
def sound(tmp_path: Path) -> dict:
    pytest.importorskip("av", reason="needs the extra voice")
    return {"type": "audio", "content": str(tiny_hearing.write_tone(tmp_path / "tone.wav", 300))}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Conversation]:
    """What models were asked, in all."""
    asked: list[Conversation] = []
    generate = LocalModel.generate

    def noted(self, conversations, *arguments, **named):
        asked.extend(conversations)
        return generate(self, conversations, *arguments, **named)

    monkeypatch.setattr(LocalModel, "generate", noted)
    return asked


def test_what_a_model_does_not_hear_it_reads(contestant, sound, asked, monkeypatch):
    heard: list[str] = []

    def transcribed(self, names, folder):
        heard.extend(names)
        assert all((folder / name).is_file() for name in names)
        return iter([Transcribed(name, Transcript(name, 0.5, "where is my order")) for name in names])

    monkeypatch.setattr(Transcriber, "transcribed", transcribed)
    player = contestant()
    first = player.answer([sound, COLOUR], None)
    player.answer([COLOUR], (first.history, first.value))
    assert [in_words(each).count("【声音：“where is my order”】") for each in asked] == [1, 1]
    assert len(heard) == 1


def test_a_sound_that_nobody_writes_down_is_told_to_the_model(contestant, sound, asked, monkeypatch, caplog):
    def transcribed(self, names, folder):
        raise KdslError("speech recognition needs pocketsphinx")

    monkeypatch.setattr(Transcriber, "transcribed", transcribed)
    assert contestant().answer([sound, COLOUR], None).value
    assert "【听不到的声音】" in in_words(asked[0])
    assert "speech recognition needs pocketsphinx" in caplog.text


def test_a_model_that_hears_is_given_the_sound(contestant, sound, red, asked, tmp_path):
    pytest.importorskip("av", reason="needs the extra voice")
    hearing = LocalModel.load(str(tiny_hearing.build_omni(tmp_path / "omni")), tiny_qwen2vl.BUDGET, 512, "cpu")
    outcome = contestant(model=hearing).answer([red, sound, COLOUR], None)
    assert outcome.value and not outcome.problem
    assert [len(found(asked[0])) for found in (pictures, sounds)] == [1, 1] and len(asked) == 1


def test_a_model_that_only_hears_is_told_of_pictures(contestant, sound, red, asked, tmp_path):
    folder = tiny_hearing.build_qwen2_audio(tmp_path / "audio")
    outcome = contestant(model=LocalModel.load(str(folder), None, 512, "cpu")).answer([red, sound, COLOUR], None)
    assert outcome.value and not outcome.problem
    assert "[a picture that cannot be shown]" in in_words(asked[0]) and len(sounds(asked[0])) == 1 == len(asked)


class Panic(BaseException):
    """As a tokenizer raises it, whose library is in Rust."""


@pytest.mark.parametrize("failure", [Panic("index out of bounds"), RuntimeError("CUDA error"), SystemExit(1)])
def test_whatever_a_library_raises_is_a_problem_of_this_question(contestant, model, monkeypatch, failure, caplog):
    def broken(*arguments: object) -> None:
        raise failure

    monkeypatch.setattr(model.processor, "encode", broken)
    outcome = contestant().answer([COLOUR], [([CAPTION], "红色页面")])
    assert (outcome.value, outcome.problem) == (None, f"{type(failure).__name__}: {failure}")
    assert len(outcome.history) == 3 and "Traceback" in caplog.text


def test_when_the_time_is_over_the_model_is_not_asked(contestant, red, calls):
    outcome = contestant(seconds=0).answer([red, COLOUR], None)
    assert (outcome.value, outcome.problem, calls) == (None, "the time is over", [])
    assert contestant(seconds=0).perplexity(([red, COLOUR], "是"), None).value is None


def test_decoding_ends_when_an_answers_time_is_over(model, red):
    model.decoding_seconds = 0.0
    try:
        [cut] = model.generate([ask("描述图片。描述图片。")], 50)
    finally:
        model.decoding_seconds = None
    [whole] = model.generate([ask("描述图片。描述图片。")], 50)
    assert cut.output_tokens == 1 < whole.output_tokens


def test_an_answer_gets_what_its_time_leaves(contestant, model, monkeypatch):
    seen = []
    generate = model.model.generate
    monkeypatch.setattr(
        model.model, "generate", lambda **named: seen.append(named["generation_config"].max_time) or generate(**named)
    )
    contestant(seconds=100).answer([COLOUR], None)
    assert 50 < seen[0] <= 100


def test_half_of_it_is_for_decoding_sounds(contestant, monkeypatch):
    seen = []
    prepared = Media.prepared
    monkeypatch.setattr(
        Media, "prepared", lambda self, turns, seconds: seen.append(seconds) or prepared(self, turns, seconds)
    )
    contestant(seconds=100).answer([COLOUR], None)
    assert 49 < seen[0] <= 50


def test_ctrl_c_ends_it(contestant, model, monkeypatch):
    def interrupted(**named):
        raise KeyboardInterrupt

    monkeypatch.setattr(model.model, "generate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        contestant().answer([COLOUR], None)
