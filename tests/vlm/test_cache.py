"""Nothing is asked twice: answers are kept by the content of what was asked."""

import re
from pathlib import Path

import numpy as np
import pytest
from counting_model import CountingModel
from tiny_qwen2vl import draw_page

from kdsl.errors import KdslError
from kdsl.vlm.cache import CachedModel
from kdsl.vlm.conversation import Instruction, Picture, ask

WORDS = [ask("甲"), ask("乙"), ask("甲")]


def test_the_same_is_asked_once_and_never_again(tmp_path: Path) -> None:
    model = CountingModel(reply=lambda conversation: str(conversation[0].pieces[0]) + "。")
    cached = CachedModel(model, tmp_path / "small.jsonl")
    assert [answer.text for answer in cached.generate(WORDS, 5)] == ["甲。", "乙。", "甲。"]
    again = CachedModel(model, tmp_path / "small.jsonl")
    assert again.generate(WORDS, 5) == cached.generate(WORDS, 5)
    assert (len(model.asked), cached.asked, again.asked) == (2, 2, 0)
    assert again.identity == model.identity


def test_it_says_beforehand_what_it_need_not_ask(tmp_path: Path) -> None:
    model = CountingModel(reply=lambda conversation: "" if conversation == WORDS[1] else "甲。")
    cached = CachedModel(model, tmp_path / "small.jsonl")
    cached.generate(WORDS, 5)
    again = CachedModel(model, tmp_path / "small.jsonl")
    for each in (cached, again):
        assert [each.knows(words, 5) for words in WORDS] == [True, False, True]  # an empty answer is asked again
        assert not each.knows(WORDS[0], 6)


def test_scores_come_back_to_the_last_digit(tmp_path: Path) -> None:
    model = CountingModel(yes=lambda conversation: 1 / 3)
    first = CachedModel(model, tmp_path / "small.jsonl").score(WORDS, ["是", "否"])
    second = CachedModel(model, tmp_path / "small.jsonl").score(WORDS, ["是", "否"])
    np.testing.assert_array_equal(first.log_probabilities, second.log_probabilities)
    np.testing.assert_array_equal(first.log_probabilities, model.score(WORDS, ["是", "否"]).log_probabilities)
    assert second.calls.tolist() == [1, 1, 1] and not second.estimated


def test_other_content_is_another_question(tmp_path: Path) -> None:
    page = draw_page(tmp_path / "a.png", "红", False)
    asked = []

    def ask_again(identity: str = "one", options: tuple[str, str] = ("是", "否"), *pieces: object) -> None:
        model = CountingModel(identity=identity)
        CachedModel(model, tmp_path / "small.jsonl").score([ask(*pieces)], options)
        asked.append(len(model.asked))

    ask_again("one", ("是", "否"), Picture(page), Instruction("吗？"))
    ask_again("one", ("是", "否"), Picture(page), Instruction("吗？"))
    ask_again("two", ("是", "否"), Picture(page), Instruction("吗？"))
    ask_again("one", ("否", "是"), Picture(page), Instruction("吗？"))
    ask_again("one", ("是", "否"), Picture(page), "吗？")
    draw_page(page, "蓝", False)
    ask_again("one", ("是", "否"), Picture(page), Instruction("吗？"))
    ask_again("one", ("是", "否"), Picture(draw_page(tmp_path / "b.png", "蓝", False)), Instruction("吗？"))
    assert asked == [1, 0, 1, 1, 1, 1, 0]


def test_what_was_answered_before_an_interruption_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "small.jsonl"
    CachedModel(CountingModel(lambda conversation: "甲。"), path).generate(WORDS, 5)
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    model = CountingModel(lambda conversation: "甲。")
    CachedModel(model, path).generate(WORDS, 5)
    assert len(model.asked) == 1
    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            b'{"image": "a.png"}',
            "not an answer that KDSL kept; take this line out to ask again for its answer, or delete",
        ),
        (b'{"key": "torn', "not valid JSON (Unterminated string starting at); take this line out"),
        (b'{"key": "\xe6"}', "byte 9 is not UTF-8; take this line out"),
        (b"[1]", "'[1]' is not a JSON object like {\"id\": …}; take this line out"),
    ],
)
def test_what_is_no_answer_is_named_with_what_to_do(tmp_path: Path, line: bytes, message: str) -> None:
    """A line in the middle may be torn where a disk was full, or people edited the file."""
    path = tmp_path / "small.jsonl"
    path.write_bytes(line + b'\n{"key": "k", "answer": {"calls": 1, "dropped": 0}}\n')
    with pytest.raises(KdslError, match=re.escape(f"small.jsonl, line 1: {message}")):
        CachedModel(CountingModel(), path)


def test_what_says_nothing_is_not_kept_and_asked_again(tmp_path: Path) -> None:
    path = tmp_path / "small.jsonl"
    evading = CachedModel(
        CountingModel(lambda c: "" if "乙" in str(c) else "甲。", evades=lambda c: "乙" in str(c)), path
    )
    conversations = [ask("甲"), ask("乙")]
    assert [answer.text for answer in evading.generate(conversations, 5)] == ["甲。", ""]
    assert [answer.text for answer in evading.generate(conversations, 5, ["甲。"])] == ["甲。", ""]
    scores = evading.score(conversations, ["是", "否"])
    assert scores.answered.tolist() == [True, False] and scores.strays == (None, "看情况")
    assert evading.strays.told("empty") == "3 of 6 answers are empty, for example '看情况'"
    assert len(path.read_text("utf-8").splitlines()) == 3
    willing = CountingModel(lambda c: "甲。")
    again = CachedModel(willing, path)
    assert [answer.text for answer in again.generate(conversations, 5)] == ["甲。", "甲。"]
    assert again.score(conversations, ["是", "否"]).answered.all()
    assert willing.asked == [ask("乙"), ask("乙")]


def test_an_empty_answer_of_an_earlier_version_is_asked_for_again(tmp_path: Path) -> None:
    path = tmp_path / "small.jsonl"
    CachedModel(CountingModel(lambda c: "甲。"), path).generate([ask("甲")], 5)
    path.write_text(path.read_text("utf-8").replace("甲。", ""), "utf-8")
    model = CountingModel(lambda c: "乙。")
    assert CachedModel(model, path).generate([ask("甲")], 5)[0].text == "乙。" and len(model.asked) == 1


def test_a_model_that_says_nothing_at_all_is_an_error(tmp_path: Path) -> None:
    model = CachedModel(CountingModel(), tmp_path / "small.jsonl")
    with pytest.raises(
        KdslError, match=r"^counting: none of its 32 answers is text, for example ''; name a model that"
    ):
        model.generate([ask(str(i)) for i in range(99)], 5)
    assert model.asked == 32
