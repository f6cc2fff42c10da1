"""Which terms say nothing."""

import pytest

from kdsl.mining.function_words import says_nothing


@pytest.mark.parametrize("term", ["的", "是这个", "这款的", "有一款", "我的 the", "the", "is my", "i'm"])
def test_grammar_says_nothing(term):
    assert says_nothing(term)


@pytest.mark.parametrize(
    "term",
    [
        "怎么",
        "不",
        "不是",
        "能",
        "没有",
        "谢谢",
        "在吗",
        "水",
        "的效果",
        "how",
        "not",
        "can i",
        "theme",
        "card",
        "these2",
    ],
)
def test_questions_denials_greetings_wishes_and_things_say_something(term):
    assert not says_nothing(term)
