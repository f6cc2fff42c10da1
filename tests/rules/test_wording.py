"""Conditions in plain English and Chinese."""

import pytest

from kdsl.rules.condition import Condition
from kdsl.rules.wording import condition_words

NEAR = {"means": {"last_user": "退钱给我", "at": 0.62}}
ANY = {"means": {"user": ["退钱", "refund"], "at": 0.5, "encoder": "use"}}


@pytest.mark.parametrize(
    ("test", "english", "chinese"),
    [
        (
            NEAR,
            'last user turn means nearly "退钱给我" (similarity at least 0.62)',
            "用户最后一句的意思接近“退钱给我”（相似度不低于 0.62）",
        ),
        (
            {"not": NEAR},
            'last user turn means nothing near "退钱给我" (similarity below 0.62)',
            "用户最后一句的意思不接近“退钱给我”（相似度低于 0.62）",
        ),
        (
            ANY,
            'user turns mean nearly "退钱" or "refund" (similarity at least 0.5)',
            "用户的话的意思接近“退钱” 或 “refund”（相似度不低于 0.5）",
        ),
    ],
)
def test_a_meaning_is_told_with_its_wordings_and_how_near(test, english, chinese):
    condition = Condition.model_validate(test)
    assert (condition_words(condition, "en"), condition_words(condition, "zh")) == (english, chinese)
