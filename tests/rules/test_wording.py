"""Conditions in plain language."""

import pytest

from kdsl.fields import COLOURS, KINDS, ZONES
from kdsl.rules.condition import Condition
from kdsl.rules.wording import COLOUR_NAMES, KIND_NAMES, ZONE_NAMES, condition_words
from kdsl.small.wording import CHINESE, ENGLISH

COLOUR = {"image.colour": {"zone": "top", "colour": "orange", "share": ">0.3"}}
SIZE = {"ocr.size": {"terms": ["退款成功", "退款"], "height": ">=0.035"}}
KIND = {"image.kind": "photo"}


@pytest.mark.parametrize(
    ("condition", "english", "chinese"),
    [
        (COLOUR, "the top of the image is more than 30 % orange", "图片顶部的橙色超过 30%"),
        ({"not": COLOUR}, "not (the top of the image is more than 30 % orange)", "并非（图片顶部的橙色超过 30%）"),
        (
            {"image.colour": {"zone": "bar", "colour": "black", "share": "<=0.05"}},
            "the bottom bar of the image is at most 5 % black",
            "图片底栏的黑色不超过 5%",
        ),
        (KIND, "the image is a photo", "图片是照片"),
        ({"not": KIND}, "the image is not a photo", "图片不是照片"),
        (
            SIZE,
            "text on the image in lines of at least 3.5 % of its height contains 退款成功 or 退款",
            "图中文字（行高不少于 3.5%）含 退款成功 或 退款",
        ),
        (
            {"not": SIZE},
            "text on the image in lines of at least 3.5 % of its height does not contain 退款成功 or 退款",
            "图中文字（行高不少于 3.5%）不含 退款成功 或 退款",
        ),
    ],
)
def test_what_is_seen_is_told_in_both_languages(condition, english, chinese):
    condition = Condition.model_validate(condition)
    assert (condition_words(condition, "en"), condition_words(condition, "zh")) == (english, chinese)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_zone_colour_and_kind_has_a_name_of_its_own(language):
    for names, known in ((ZONE_NAMES, ZONES), (COLOUR_NAMES, COLOURS), (KIND_NAMES, KINDS)):
        assert names[language].keys() == set(known)
        assert len(set(names[language].values())) == len(known)


def test_the_small_model_is_told_what_is_seen():
    conditions = [Condition.model_validate(each) for each in ({"not": KIND}, COLOUR, SIZE)]
    assert CHINESE.rule(conditions) == "并非图片是照片且图片顶部的橙色超过 30%且图中大字有“退款成功”或“退款”"
    assert ENGLISH.rule(conditions[:2]) == (
        "it is not so that the image is a photo and the top of the image is more than 30 % orange"
    )
