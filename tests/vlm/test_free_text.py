"""What an answer says: thoughts and ornaments go, and never does one label become another."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdsl.errors import KdslError
from kdsl.vlm.free_text import Strays, find_label, said

LABELS = ("退款进度", "尺码推荐", "发票", "-", "C++", "Order status", "能退吗？", "支付页面(售后)")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("发票", "发票"),
        ("\n 发票\t\n", "发票"),
        ("<think>\n\n</think>\n\n发票", "发票"),
        ("<think>退款？不是。</think>发票", "发票"),
        ("用户问的是退款，不对……\n</think>\n\n发票", "发票"),
        ("<THINK>a</THINK>发票", "发票"),
        ("<thinking>a</thinking>发票", "发票"),
        ("<seed:think>a</seed:think>发票", "发票"),
        ("◁think▷a◁/think▷发票", "发票"),
        ("<think>a</think><think>b</think>发票", "发票"),
        ("<think>a<think>b</think>c</think>发票", "发票"),
        ("<|channel|>analysis<|message|>想<|end|><|start|>assistant<|channel|>final<|message|>发票<|return|>", "发票"),
        ("发票<think>对吗", "发票"),
        ("<think>还没想完", ""),
        ("<think>想</think>", ""),
        ("发票<|im_end|>", "发票"),
        ("发票</s>退款进度", "发票"),
        ("<|begin_of_box|>发票<|end_of_box|>", "发票"),
        ("<think>a</think><answer>发票</answer>", "发票"),
        ("", ""),
        ("3 < 5 和 <b>", "3 < 5 和 <b>"),
    ],
)
def test_of_an_answer_thoughts_tokens_and_white_space_go(text: str, answer: str) -> None:
    assert said(text) == answer


@pytest.mark.parametrize(
    "text",
    [
        "发票",
        " 发票\n",
        "发票。",
        "发票！",
        "发票.",
        "“发票”",
        '"发票"',
        "「发票」。",
        "【发票】",
        "**发票**",
        "`发票`",
        "```\n发票\n```",
        "# 发票",
        "- 发票",
        "*发票*。",
        "标签：发票",
        "标签: 发票。",
        "分类标签：“发票”",
        "答案是：发票",
        "Label: 发票",
        "ANSWER：发票",
        "**标签：** 发票",
        "The final answer is: `发票`.",
        "\\boxed{发票}",
        "发 票",
        "<think>退款进度</think>标签：发票。",
    ],
)
def test_a_label_is_found_in_its_ornaments(text: str) -> None:
    assert find_label(text, LABELS) == LABELS.index("发票")


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("ORDER STATUS.", "Order status"),
        ("order  status", "Order status"),
        ("Ｏｒｄｅｒ ｓｔａｔｕｓ", "Order status"),
        ("c++", "C++"),
        ("Ｃ＋＋。", "C++"),
        ("-", "-"),
        ("- ", "-"),
        ("“-”", "-"),
        ("标签：-", "-"),
        ("能退吗", "能退吗？"),
        ("能退吗?", "能退吗？"),
        ("支付页面（售后）", "支付页面(售后)"),
    ],
)
def test_case_width_and_punctuation_of_the_label_itself_do_not_count(text: str, label: str) -> None:
    assert find_label(text, LABELS) == LABELS.index(label)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "。",
        "不知道",
        "退款",
        "退款进度和发票",
        "不是发票",
        "发票吗不是",
        "C",
        "C#",
        "标签：",
        "发票,退款进度",
        "？",
    ],
)
def test_what_is_no_label_is_none(text: str) -> None:
    assert find_label(text, LABELS) is None


@pytest.mark.parametrize(
    "labels", [("是", "是。"), ("A", "a"), ("1", "１"), ("“x”", "x"), ("标签：甲", "甲"), ("...", "。"), ("a b", "ab")]
)
def test_labels_that_only_ornaments_tell_apart_are_found_as_they_are_written_alone(labels: tuple[str, str]) -> None:
    for index, label in enumerate(labels):
        assert find_label(f" {label}\n", labels) == index
        assert find_label(f"**{label}**", labels) is None


@pytest.mark.parametrize(
    ("text", "found"), [("退款", None), ("退款。", None), ("退款进度", 1), ("发票", 2), ("退款进", None)]
)
def test_an_answer_that_was_cut_is_no_label_with_which_another_begins(text: str, found: int | None) -> None:
    assert find_label(text, ("退款", "退款进度", "发票"), cut=True) == found
    assert find_label("退款", ("退款", "退款进度", "发票")) == 0


PARTS = [*'。.!?：:*_`"“”()（）-+#·是为 \n', "标签：", "Label:", "甲", "乙", "a", "A", "ａ"]
texts = st.lists(st.sampled_from(PARTS), min_size=1, max_size=5).map("".join).filter(str.strip)


@given(st.lists(texts, min_size=1, max_size=4, unique_by=str.strip), st.data())
def test_a_label_is_itself_and_its_ornaments_never_make_it_another_one(labels: list[str], data) -> None:
    index = data.draw(st.integers(0, len(labels) - 1))
    label = labels[index]
    assert find_label(label, labels) == index
    before, after = data.draw(st.sampled_from([("", "。"), ("“", "”"), ("**", "**"), ("标签：", ""), ("\n", " ")]))
    text = before + label + after
    if not all(any(map(str.isalnum, other)) for other in labels):  # `标签：。` may mean the label `。` or `标签`
        return
    written = next((i for i, other in enumerate(labels) if other.strip() == text.strip()), None)
    assert find_label(text, labels) in ({written} if written is not None else {index, None})


def test_strays_are_counted_and_told_with_one_of_them() -> None:
    strays = Strays()
    strays.count([None, "天气\n很好" * 20, None, ""])
    assert (
        strays.told("none of the labels")
        == f"2 of 4 answers are none of the labels, for example {('天气 很好' * 20)[:60]!r}"[:-1] + "…'"
    )
    strays.require_any("server", "a label", least=1)


def test_answers_of_which_none_can_be_used_are_an_error_once_they_are_enough() -> None:
    strays = Strays()
    strays.count(["想一想…"] * 15)
    strays.require_any("http://a/v1", "a label")
    strays.count(["想一想…"])
    told = "^http://a/v1: none of its 16 answers is a label, for example '想一想…'; name a model that answers"
    with pytest.raises(KdslError, match=told):
        strays.require_any("http://a/v1", "a label")
    Strays().require_any("http://a/v1", "a label", least=0)
