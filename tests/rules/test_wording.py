"""Conditions in plain English and Chinese."""

import pytest

from kdsl.fields import COLOURS, KINDS, ZONES
from kdsl.rules.condition import Condition
from kdsl.rules.wording import COLOUR_NAMES, KIND_NAMES, ZONE_NAMES, condition_words
from kdsl.small.wording import CHINESE, ENGLISH

NEAR = {"means": {"last_user": "退钱给我", "at": 0.62}}
ANY = {"means": {"user": ["退钱", "refund"], "at": 0.5, "encoder": "use"}}
COLOUR = {"image.colour": {"zone": "top", "colour": "orange", "share": ">0.3"}}
SIZE = {"ocr.size": {"terms": ["退款成功", "退款"], "height": ">=0.035"}}
KIND = {"image.kind": "photo"}


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


@pytest.mark.parametrize(
    ("test", "english", "chinese"),
    [
        ({"voice": ["退款", "refund"]}, "voice message contains 退款 or refund", "语音含 退款 或 refund"),
        ({"audio.seconds": ">20"}, "seconds of voice messages >20", "语音秒数 >20"),
        ({"not": {"audio.count": "=0"}}, "not (number of voice messages =0)", "并非（语音条数 =0）"),
    ],
)
def test_conditions_on_voice_messages(test, english, chinese):
    condition = Condition.model_validate(test)
    assert (condition_words(condition, "en"), condition_words(condition, "zh")) == (english, chinese)


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
    assert CHINESE.rule(conditions[:2]) == "并非图片是照片且图片顶部的橙色超过 30%"
    assert CHINESE.rule(conditions[2:]) == "图中文字（行高不少于 3.5%）含 退款成功 或 退款"
    assert ENGLISH.rule(conditions[:2]) == (
        "it is not so that the image is a photo and the top of the image is more than 30 % orange"
    )
