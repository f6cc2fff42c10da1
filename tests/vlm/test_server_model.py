"""The HTTP backend answers as the local one on the same model, whatever the server can and cannot do."""

import base64
import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tiny_qwen2vl
from model_server import CONSTRAINTS, RunningServer, model_server
from PIL import Image

from kdsl.distribution import install_command
from kdsl.errors import KdslError
from kdsl.vlm.conversation import Conversation, Instruction, Message, Picture, ask
from kdsl.vlm.load import load_model
from kdsl.vlm.model import VisionLanguageModel
from kdsl.vlm.pixels import PixelBudget, load_picture
from kdsl.vlm.server.messages import EncodedMedia, chat_messages, encode_media
from kdsl.vlm.server.model import ServedModel

OPTIONS = (*tiny_qwen2vl.LABELS, "红", "是")


@pytest.fixture(scope="module")
def local(tiny_model: Path) -> VisionLanguageModel:
    return load_model(str(tiny_model), tiny_qwen2vl.BUDGET)


@pytest.fixture(scope="module")
def shared_server(tiny_model: Path) -> Iterator[RunningServer]:
    with model_server(tiny_model) as running:
        yield running


@pytest.fixture
def server(shared_server: RunningServer) -> RunningServer:
    """The tiny model as vLLM would serve it."""
    shared_server.become()
    return shared_server


@pytest.fixture
def poor_server(shared_server: RunningServer) -> RunningServer:
    """The tiny model as transformers serve would serve it."""
    shared_server.become(constraint=None, lacks=("prompt_logprobs", "n", "extras"))
    return shared_server


@pytest.fixture(scope="module")
def conversations(tmp_path_factory: pytest.TempPathFactory) -> list[Conversation]:
    """Two labels, two visual questions and a caption of one page, a text alone, and two pages."""
    examples = tiny_qwen2vl.world(tmp_path_factory.mktemp("pages"), 2, seed=1)
    first, other = examples[0][0], examples[5][0]
    texts = ask("我要", "退货。", Instruction("标签？"))
    return [*(conversation for conversation, _ in examples[:5]), texts, ask(*first[0].pieces, *other[0].pieces)]


def test_exact_scores_equal_the_local_ones(server: RunningServer, local: VisionLanguageModel, conversations) -> None:
    expected = local.score(conversations, OPTIONS)
    scores = ServedModel.connect(server.url, tiny_qwen2vl.BUDGET).score(conversations, OPTIONS)
    np.testing.assert_allclose(scores.log_probabilities, expected.log_probabilities, atol=1e-3)
    assert not scores.estimated
    assert scores.lengths.tolist() == expected.lengths.tolist()
    assert scores.output_tokens.tolist() == expected.output_tokens.tolist()
    assert scores.calls.tolist() == [len(OPTIONS)] * len(conversations)


def test_generated_answers_equal_the_local_ones(
    server: RunningServer, local: VisionLanguageModel, conversations
) -> None:
    remote = ServedModel.connect(server.url, tiny_qwen2vl.BUDGET)
    expected = local.generate(conversations, 12)
    answers = remote.generate(conversations, 12)
    assert [answer.text for answer in answers] == [answer.text for answer in expected]
    assert {answer.calls for answer in answers} == {1}
    chosen = remote.generate(conversations, 1, choices=OPTIONS)
    assert [answer.text for answer in chosen] == [
        answer.text for answer in local.generate(conversations, 1, choices=OPTIONS)
    ]
    assert [answer.output_tokens for answer in chosen] == [len(answer.text) + 1 for answer in chosen]


def test_without_any_ability_the_estimate_has_the_same_best_option(poor_server, local, conversations) -> None:
    model = ServedModel.connect(poor_server.url, tiny_qwen2vl.BUDGET, samples=8)
    learned = conversations[:2]
    scores = model.score(learned, tiny_qwen2vl.LABELS)
    exact = local.score(learned, tiny_qwen2vl.LABELS)
    assert scores.estimated
    assert scores.log_probabilities.argmax(axis=1).tolist() == exact.log_probabilities.argmax(axis=1).tolist()
    assert np.exp(scores.log_probabilities).sum(axis=1) == pytest.approx([1, 1], abs=0.3)
    assert scores.calls.min() >= 8 and scores.output_tokens.min() >= 8 * 2


def test_answers_outside_the_choices_stay_what_they_are(poor_server, conversations) -> None:
    model = ServedModel.connect(poor_server.url, tiny_qwen2vl.BUDGET, samples=2)
    choices = ["没有的标签", "别的标签"]
    [answer, stray] = model.generate(conversations[:1], 5, tiny_qwen2vl.LABELS) + model.generate(
        conversations[:1], 5, choices
    )
    assert answer.text in tiny_qwen2vl.LABELS
    assert stray.text not in choices and stray.label(choices) is None
    assert stray.calls == 1  # how the server is told choices was found out before: not at all
    scores = model.score(conversations[:1], choices)
    assert scores.answered.tolist() == [False] and isinstance(scores.strays[0], str)


def test_estimate_of_constrained_samples_is_the_share_among_the_options(server, local, conversations) -> None:
    server.become(lacks=("prompt_logprobs",))
    model = ServedModel.connect(server.url, tiny_qwen2vl.BUDGET, samples=400)
    scores = model.score(conversations[5:], OPTIONS)  # prompts that leave the model in doubt
    exact = local.score(conversations[5:], OPTIONS).log_probabilities
    expected = np.exp(exact - np.logaddexp.reduce(exact, axis=1, keepdims=True))
    np.testing.assert_allclose(np.exp(scores.log_probabilities), expected, atol=0.1)
    assert scores.estimated and scores.calls.tolist() == [1, 1]
    assert scores.log_probabilities.argmax(axis=1).tolist() == exact.argmax(axis=1).tolist()


@pytest.mark.parametrize("constraint", CONSTRAINTS)
@pytest.mark.parametrize("lacks", [("prompt_logprobs",), ("prompt_logprobs", "extras")], ids=["ignores", "refuses"])
def test_the_servers_own_way_to_constrain_is_found_once(constraint: str, lacks: tuple[str, ...]) -> None:
    with model_server(constraint=constraint, lacks=lacks, answer="不知道") as running:
        model = ServedModel.connect(running.url)
        answers = [model.generate([ask("标签？")], 5, ["实物拍摄(含售后)", '"别的"'])[0] for _ in range(3)]
        first = len(running.requests())
        model.generate([ask("标签？")], 5, ["红", "蓝"])
        assert len(running.requests()) - first <= 3  # a server that refuses what it does not know is asked in vain
    if lacks == ("prompt_logprobs",):
        assert [answer.text for answer in answers] == ["实物拍摄(含售后)"] * 3
        assert [answer.calls for answer in answers[1:]] == [1, 1]


def test_pictures_are_sent_in_the_size_of_the_pixel_budget(tmp_path: Path) -> None:
    Image.effect_noise((900, 400), 80).convert("RGB").save(tmp_path / "page.jpg")
    picture, budget = Picture(tmp_path / "page.jpg"), PixelBudget(28 * 28, 24 * 28 * 28)
    [message] = chat_messages(ask("看", picture, "标签？"), encode_media(ask(picture), budget))
    assert [part["type"] for part in message["content"]] == ["text", "image_url", "text"]
    data = base64.b64decode(message["content"][1]["image_url"]["url"].removeprefix("data:image/png;base64,"))
    sent = Image.open(io.BytesIO(data))
    np.testing.assert_array_equal(np.asarray(sent), np.asarray(load_picture(picture.path, budget)))
    assert sent.width % 28 == sent.height % 28 == 0 and sent.width * sent.height <= budget.max_pixels


def test_to_ask_whether_pictures_are_taken_costs_no_exactness(server: RunningServer) -> None:
    """Refused pictures look like log-probabilities that are not told; so this is asked before any sample is."""
    assert ServedModel.connect(server.url).sees()
    server.become(lacks=("pictures",))
    model = ServedModel.connect(server.url)
    assert not model.sees()
    assert not model.score([ask("我要退货。", Instruction("标签？"))], OPTIONS).estimated


def test_texts_without_pictures_are_one_string_and_special_tokens_are_broken_up() -> None:
    conversation = (Message("system", ("简短。",)), Message("user", ("看<|image_pad|>吗", Instruction("<|im_end|>"))))
    assert chat_messages(conversation, EncodedMedia({})) == [
        {"role": "system", "content": "简短。"},
        {"role": "user", "content": "看< |image_pad| >吗< |im_end| >"},
    ]


def test_prompt_too_long_loses_its_earliest_pieces(server: RunningServer, local, tmp_path) -> None:
    page = Picture(tiny_qwen2vl.draw_page(tmp_path / "page.png", "红", False))
    short = ask(Instruction("标签？"), "我要退货。")
    long = ask("很早的话" * 30, page, "早的话" * 30, *short[0].pieces)
    server.become(context=90)
    model = ServedModel.connect(server.url, tiny_qwen2vl.BUDGET)
    [first, second] = model.generate([long, short], 5)
    scores = model.score([long, short], OPTIONS)
    with pytest.raises(KdslError, match=r"too long even without the pieces .* maximum context length is 90 tokens"):
        model.generate([ask(Instruction("标签？" * 99))], 5)
    assert (first.dropped, second.dropped) == (3, 0) and first.text == second.text
    assert first.calls == 1  # the model has not seen the prompts that were refused
    assert scores.dropped.tolist() == [3, 0] and not scores.estimated
    expected = local.score([short, short], OPTIONS).log_probabilities
    np.testing.assert_allclose(scores.log_probabilities, expected, atol=1e-3)


def test_identity_tells_server_model_and_budget(server: RunningServer) -> None:
    identities = {
        ServedModel.connect(server.url, budget).identity
        for budget in (None, tiny_qwen2vl.BUDGET, PixelBudget(1000, 2000))
    }
    assert len(identities) == 3
    assert all(server.url in identity and "tiny" in identity for identity in identities)


def test_nothing_asked_nothing_answered(server: RunningServer) -> None:
    model = ServedModel.connect(server.url)
    before = len(server.requests())
    assert model.generate([], 5) == []
    assert model.score([], ["是", "否"]).log_probabilities.shape == (0, 2)
    assert len(server.requests()) == before


@pytest.mark.parametrize("options", [[], ["是", "是"], ["是", ""]])
def test_options_must_be_told_apart(server: RunningServer, options: list[str]) -> None:
    with pytest.raises(ValueError, match="different and not empty"):
        ServedModel.connect(server.url).score([ask("？")], options)


def test_neither_torch_nor_transformers_is_needed(tmp_path: Path) -> None:
    page = tiny_qwen2vl.draw_page(tmp_path / "page.png", "红", False)
    program = f"""
import sys
for name in ("torch", "transformers", "peft"):
    sys.modules[name] = None
from pathlib import Path
from kdsl.vlm.conversation import Picture, ask
from kdsl.vlm.load import load_model
model = load_model(sys.argv[1])
print(model.generate([ask(Picture(Path({str(page)!r})), "?")], 5, ["yes", "no"])[0].text)
print(model.score([ask("?")], ["yes", "no"]).estimated)
try:
    load_model("somewhere")
except Exception as error:
    print(type(error).__name__, error)
"""
    with model_server() as running:
        done = subprocess.run(
            [sys.executable, "-c", program, running.url], capture_output=True, text=True, timeout=120
        )
    assert done.stdout.splitlines()[:2] == ["yes", "True"], done.stderr
    assert "KdslError somewhere: a model in this process needs torch and transformers" in done.stdout
    assert install_command("vlm") in done.stdout


def test_a_server_that_told_log_probabilities_is_not_taken_for_one_that_cannot(server, conversations):
    """One answer without them is a failure of that answer: the others stay exact."""
    model = ServedModel.connect(server.url, tiny_qwen2vl.BUDGET)
    exact = model.score(conversations[:1], OPTIONS)
    server.become(mischief=("nonsense",))
    with pytest.raises(KdslError, match="an answer without the log-probabilities of its prompt"):
        model.score(conversations[:1], OPTIONS)
    server.become()
    again = model.score(conversations[:1], OPTIONS)
    assert not again.estimated
    assert np.allclose(again.log_probabilities, exact.log_probabilities, atol=1e-6)


def test_a_server_stops_where_it_is_told_and_scores_no_beginnings(server, conversations):
    model = ServedModel.connect(server.url, tiny_qwen2vl.BUDGET)
    model.generate(conversations[:1], 4, stop="标")
    assert server.requests()[-1]["body"]["stop"] == ["标"]
    with pytest.raises(KdslError, match="a server scores whole answers, not their beginnings; use a local model"):
        model.score(conversations[:1], OPTIONS, ended=False)
