"""Which terms say nothing."""

import pytest

from kdsl.mining.function_words import is_cut, says_little, says_nothing


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


@pytest.mark.parametrize("term", ["大", "用", "买", "有", "a", "5", "的", "這"])
def test_light_characters_and_single_letters_say_little(term):
    assert says_little(term)


@pytest.mark.parametrize("term", ["锈", "漏", "鏽", "退", "大小", "5g", "tv"])
def test_content_words_say_something_however_short(term):
    assert not says_little(term)


@pytest.mark.parametrize("term", ["的尺寸", "了尺寸", "颜色和", "尺寸的"])
def test_terms_that_begin_or_end_with_what_leads_to_other_words_are_cut(term):
    assert is_cut(term)


@pytest.mark.parametrize("term", ["目的", "温和", "漏了", "好用吗", "尺寸", "what is"])
def test_words_that_hold_such_characters_and_questions_are_whole(term):
    assert not is_cut(term)
