"""Which terms say nothing."""

import pytest

from kdsl.mining.function_words import says_nothing


@pytest.mark.parametrize("term", ["的", "是这个", "您好", "好的", "有一款", "the", "is my", "i'm", "亲 the"])
def test_grammar_and_politeness_say_nothing(term):
    assert says_nothing(term)


@pytest.mark.parametrize(
    "term", ["怎么", "不", "不是", "能", "没有", "水", "的效果", "how", "not", "can i", "theme", "card", "these2"]
)
def test_questions_denials_wishes_and_things_say_something(term):
    assert not says_nothing(term)
