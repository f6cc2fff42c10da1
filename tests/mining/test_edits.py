"""Edits in words, in both languages."""

import pytest

from kdsl.mining.edits import Edit, edit_words
from kdsl.rules.condition import Condition


def condition(mapping: dict | None) -> Condition | None:
    return None if mapping is None else Condition.model_validate(mapping)


@pytest.mark.parametrize(
    ("before", "after", "english", "chinese"),
    [
        ({"user": ["退"]}, {"user": ["退", "退钱"]}, ['+ "退钱" (user turns)'], ['+ "退钱" (用户的话)']),
        ({"user": ["退", "换"]}, {"user": ["换"]}, ['- "退" (user turns)'], ['- "退" (用户的话)']),
        (None, {"not": {"ocr": ["物流"]}}, ["+ text on the image does not contain 物流"], ["+ 图中文字不含 物流"]),
        ({"turns": ">3"}, None, ["- number of turns >3"], ["- 轮数 >3"]),
        ({"turns": ">3"}, {"turns": ">5"}, ["number of turns >3 → number of turns >5"], ["轮数 >3 → 轮数 >5"]),
        (
            {"means": {"user": ["退钱", "退我"], "at": 0.6}},
            {"means": {"user": ["退钱"], "at": 0.6}},
            ['- "退我" (user turns)'],
            ['- "退我" (用户的话)'],
        ),
    ],
)
def test_every_change_is_a_line(before, after, english, chinese):
    edits = [Edit(condition(before), condition(after))]
    assert edit_words(edits) == english
    assert edit_words(edits, "zh") == chinese
