"""Perplexities of a real, tiny model are those of a plain forward; answers are its own."""

import math
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra vlm")

import tiny_qwen2vl  # noqa: E402
from counting_model import CountingModel  # noqa: E402
from model_server import model_server  # noqa: E402

from kdsl.chat.answering import ChatModel, NoPerplexity  # noqa: E402
from kdsl.chat.dialogue import ChatTurn, Part, agent_says, conversation  # noqa: E402
from kdsl.errors import KdslError  # noqa: E402
from kdsl.vlm.local import LocalModel  # noqa: E402
from kdsl.vlm.model import Scores  # noqa: E402
from kdsl.vlm.server.model import ServedModel  # noqa: E402

ANSWERS = ["红色页面", "蓝色页面", "是", "一个长得多的回答，它有一个逗号"]


def says(*parts: str) -> ChatTurn:
    return ChatTurn("user", tuple(Part("image" if part.endswith(".png") else "text", part) for part in parts))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    tiny_qwen2vl.draw_page(folder / "red.png", "红", False)
    return folder


@pytest.fixture(scope="module")
def local(tiny_model: Path) -> LocalModel:
    return LocalModel.load(str(tiny_model), tiny_qwen2vl.BUDGET, device="cpu")


DIALOGUES = {
    "a question about a picture": [says("red.png", "描述图片。")],
    "with history": [says("red.png", "图中有红色吗？"), agent_says("是"), says("描述图片。")],
    "text alone": [says("我要退货。"), agent_says("退"), says("标签？")],
}


def plain(local: LocalModel, dialogue: list[ChatTurn], folder: Path, system: str, answer: str) -> float:
    """exp of the mean of -ln p of the answer's tokens and the end token, by one forward over everything."""
    prompt = local.processor.encode(conversation(dialogue, folder, system))
    batch = local.processor.batch([prompt])
    tokens = torch.tensor([local.processor.answer_ids(answer)])
    batch["input_ids"] = torch.cat([batch["input_ids"], tokens], dim=1)
    batch["attention_mask"] = torch.ones_like(batch["input_ids"])
    batch["mm_token_type_ids"] = torch.cat([batch["mm_token_type_ids"], 0 * tokens], dim=1)
    with torch.inference_mode():
        logits = local.model(**batch).logits[0, len(prompt) - 1 : -1]
    return math.exp(torch.nn.functional.cross_entropy(logits.double(), tokens[0]).item())


@pytest.mark.parametrize("system", ["", "用一个词回答。"])
@pytest.mark.parametrize("case", DIALOGUES)
def test_perplexity_is_that_of_a_plain_forward_over_the_answer_alone(local, folder, case, system):
    dialogue = DIALOGUES[case]
    found = ChatModel(local, folder, system).perplexity(dialogue, ANSWERS)
    assert found == pytest.approx([plain(local, dialogue, folder, system, answer) for answer in ANSWERS], rel=1e-4)
    assert min(found) >= 1


def test_a_server_that_tells_log_probabilities_gives_the_same(local, tiny_model, folder):
    dialogue = DIALOGUES["with history"]
    with model_server(tiny_model) as server:
        served = ChatModel(ServedModel.connect(server.url, tiny_qwen2vl.BUDGET), folder)
        here = ChatModel(local, folder)
        assert served.perplexity(dialogue, ANSWERS) == pytest.approx(here.perplexity(dialogue, ANSWERS), rel=1e-3)
        assert served.generate([dialogue]) == here.generate([dialogue])


def test_base_2_keeps_the_mean_in_nats_and_the_order(local, folder):
    chat, dialogue = ChatModel(local, folder), DIALOGUES["with history"]
    by_e, by_2 = chat.perplexity(dialogue, ANSWERS), chat.perplexity(dialogue, ANSWERS, base=2)
    assert by_2 == pytest.approx([2 ** math.log(each) for each in by_e])
    assert np.argsort(by_2).tolist() == np.argsort(by_e).tolist()


def test_the_right_answer_surprises_least_and_is_what_is_generated(local, folder):
    chat, dialogue = ChatModel(local, folder), DIALOGUES["a question about a picture"]
    found = chat.perplexity(dialogue, ANSWERS)
    assert ANSWERS[found.index(min(found))] == "红色页面"
    assert chat.generate([dialogue, [says("red.png", "图中有红色吗？")]]) == ["红色页面", "是"]


def test_answers_are_bounded(local, folder):
    (answer,) = ChatModel(local, folder, max_new_tokens=2).generate([DIALOGUES["a question about a picture"]])
    assert answer == "红色"


def test_early_turns_go_where_a_dialogue_is_too_long(tiny_model, folder):
    """Whole turns from the front: the question about the picture is answered as if it stood alone."""
    chatter = [says("我要退货。" * 20), agent_says("退" * 100)] * 3
    short = LocalModel.load(str(tiny_model), tiny_qwen2vl.BUDGET, max_tokens=100, device="cpu")
    chat, question = ChatModel(short, folder), DIALOGUES["a question about a picture"]
    assert chat.perplexity([*chatter, *question], ANSWERS) == pytest.approx(chat.perplexity(question, ANSWERS))


def test_all_answers_are_scored_in_one_call_and_each_once(folder):
    asked: list[list[str]] = []

    class Scored(CountingModel):
        def score(self, conversations, options):
            asked.append([*options])
            return super().score(conversations, options)

    found = ChatModel(Scored(), folder).perplexity([says("hi")], ["a", "b", "a"])
    assert asked == [["a", "b"]]
    assert found[0] == found[2] == pytest.approx(math.exp(-math.log(0.75) / 2))
    assert ChatModel(Scored(), folder).perplexity([says("hi")], []) == []


def test_an_empty_answer_has_no_perplexity(folder):
    with pytest.raises(KdslError, match="an empty answer has no perplexity"):
        ChatModel(CountingModel(), folder).perplexity([says("hi")], ["a", ""])


def test_an_answer_that_is_held_to_be_impossible_has_the_largest_number(folder):
    class Sure(CountingModel):
        def score(self, conversations, options):
            one = np.ones(1, dtype=np.int64)
            return Scores(np.array([[-9999.0]]), one, one, one, 0 * one)

    (found,) = ChatModel(Sure(), folder).perplexity([says("hi")], ["a"])
    assert found > 1e300 and math.isfinite(found)


def test_an_estimate_is_no_perplexity(folder):
    model = CountingModel(evades=lambda conversation: True)
    with pytest.raises(NoPerplexity, match="counting: the server tells no log-probabilities of a prompt"):
        ChatModel(model, folder).perplexity([says("hi")], ["a", "b"])


@pytest.mark.parametrize("dialogue", [[], [says("hi"), agent_says("hello")], [says("")]])
def test_a_dialogue_that_asks_nothing_is_refused(folder, dialogue):
    with pytest.raises(KdslError, match="does not end with a turn of the user that holds something"):
        ChatModel(CountingModel(), folder).generate([dialogue])
