"""Conditions and counts in plain language, in English and Chinese."""

from collections.abc import Sequence
from typing import Literal

from kdsl.fields import COLOURS
from kdsl.rules.condition import Colour, Comparison, Condition, Meaning
from kdsl.rules.statistics import wilson_interval

Language = Literal["en", "zh"]

FIELD_NAMES: dict[Language, dict[str, str]] = {
    "en": {
        "text": "text",
        "last_user": "last user turn", "user": "user turns", "last_agent": "last agent turn", "agent": "agent turns",
        "dialogue": "dialogue",
        "ocr": "text on the image", "ocr.top": "text at the top of the image",
        "ocr.bottom": "text at the bottom of the image", "ocr.header": "text in the header of the image",
        "ocr.body": "text in the body of the image", "ocr.bar": "text in the bottom bar of the image",
        "ocr.size": "text on the image", "caption": "caption", "voice": "voice message",
        "audio.seconds": "seconds of voice messages", "audio.count": "number of voice messages",
        "image.aspect": "image height / width", "image.count": "number of images",
        "image.text_area": "share of the image covered by text",
        "image.text_lines": "lines of text on the image", "image.kind": "image", "image.colour": "image",
        "turns": "number of turns", "sees": "the image shows", "means": "means",
    },
    "zh": {
        "text": "文本", "last_user": "用户最后一句", "user": "用户的话", "last_agent": "客服最后一句",
        "agent": "客服的话", "dialogue": "对话",
        "ocr": "图中文字", "ocr.top": "图片顶部文字", "ocr.bottom": "图片底部文字", "ocr.header": "图片标题栏文字",
        "ocr.body": "图片中部文字", "ocr.bar": "图片底栏文字", "ocr.size": "图中文字", "caption": "图片描述",
        "voice": "语音", "audio.seconds": "语音秒数", "audio.count": "语音条数",
        "image.aspect": "图片高宽比", "image.count": "图片数", "image.text_area": "文字占图片面积",
        "image.text_lines": "图中文字行数",
        "image.kind": "图片", "image.colour": "图片", "turns": "轮数", "sees": "看图回答“是”", "means": "意思接近",
    },
}  # fmt: skip
ZONE_NAMES: dict[Language, dict[str, str]] = {
    "en": {
        "page": "the image", "header": "the header of the image", "top": "the top of the image",
        "body": "the body of the image", "bottom": "the bottom of the image", "bar": "the bottom bar of the image",
    },
    "zh": {
        "page": "图片", "header": "图片标题栏", "top": "图片顶部", "body": "图片中部", "bottom": "图片底部",
        "bar": "图片底栏",
    },
}  # fmt: skip
COLOUR_NAMES: dict[Language, dict[str, str]] = {
    "en": {colour: colour for colour in COLOURS},
    "zh": dict(
        zip(COLOURS, ("红色", "橙色", "黄色", "绿色", "蓝色", "紫色", "粉色", "黑色", "灰色", "白色"), strict=True)
    ),
}
KIND_NAMES: dict[Language, dict[str, str]] = {
    "en": {"photo": "a photo", "screenshot": "a screenshot", "long_page": "a long page"},
    "zh": {"photo": "照片", "screenshot": "截图", "long_page": "长截图"},
}
_COMPARED: dict[Language, dict[str, str]] = {
    "en": {">": "more than", ">=": "at least", "<": "less than", "<=": "at most", "=": "exactly"},
    "zh": {">": "超过", ">=": "不少于", "<": "不到", "<=": "不超过", "=": "正好"},
}
_SEVERAL = ("user", "agent")
"""Fields whose English name is a plural."""


def condition_words(condition: Condition, language: Language) -> str:
    """`last user turn contains 亮度 or 调光`."""
    name = FIELD_NAMES[language][condition.field]
    if condition.comparison is not None:
        words = f"{name} {condition.comparison}".replace("<=", "≤").replace(">=", "≥")
        return f"not ({words})" if condition.negated and language == "en" else _not_zh(words, condition)
    if condition.question is not None:
        words = f"{name}: {condition.question}"
        return f"not ({words})" if condition.negated and language == "en" else _not_zh(words, condition)
    if condition.colour is not None:
        words = _colour_words(condition.colour, language)
        return f"not ({words})" if condition.negated and language == "en" else _not_zh(words, condition)
    if condition.image_kind is not None:
        kind = KIND_NAMES[language][condition.image_kind]
        if language == "zh":
            return f"{name}{'不' if condition.negated else ''}是{kind}"
        return f"the {name} is {'not ' if condition.negated else ''}{kind}"
    if condition.meaning is not None:
        return _meaning_words(condition.meaning, condition.negated, language)
    if condition.size is not None:
        high = _share_words(condition.size.height, language)
        name += f" in lines of {high} of its height" if language == "en" else f"（行高{high}）"
    if language == "en":
        several = condition.field in _SEVERAL
        verb = "contain" if several else "contains"
        if condition.negated:
            verb = "do not contain" if several else "does not contain"
        return f"{name} {verb} {' or '.join(condition.sought)}"
    return f"{name}{'不含' if condition.negated else '含'} {' 或 '.join(condition.sought)}"


def _colour_words(colour: Colour, language: Language) -> str:
    zone, name = ZONE_NAMES[language][colour.zone], COLOUR_NAMES[language][colour.colour]
    share = _share_words(colour.share, language)
    return f"{zone} is {share} {name}" if language == "en" else f"{zone}的{name}{share}"


def _share_words(comparison: Comparison, language: Language) -> str:
    """`more than 30 %`"""
    percent = f"{100 * comparison.value:.6g}"
    words = _COMPARED[language][comparison.op]
    return f"{words} {percent} %" if language == "en" else f"{words} {percent}%"


def _meaning_words(meaning: Meaning, negated: bool, language: Language) -> str:
    name, at = FIELD_NAMES[language][meaning.field], f"{meaning.at:g}"
    if language == "zh":
        wordings = " 或 ".join(f"“{wording}”" for wording in meaning.wordings)
        words = ("不接近", "低于") if negated else ("接近", "不低于")
        return f"{name}的意思{words[0]}{wordings}（相似度{words[1]} {at}）"
    wordings = " or ".join(f'"{wording}"' for wording in meaning.wordings)
    verb = "mean" if meaning.field in _SEVERAL else "means"
    words = (f"{verb} nothing near", "below") if negated else (f"{verb} nearly", "at least")
    return f"{name} {words[0]} {wordings} (similarity {words[1]} {at})"


def rule_words(conditions: Sequence[Condition], language: Language) -> str:
    """All conditions, joined: the rule without its label."""
    joint = " and " if language == "en" else "，且"
    return joint.join(condition_words(condition, language) for condition in conditions)


def counted(correct: int, hits: int) -> str:
    """`3/3 (0.44–1.00)`; n/a without hits."""
    if hits == 0:
        return "n/a"
    low, high = wilson_interval(correct, hits)
    return f"{correct}/{hits} ({low:.2f}–{high:.2f})"


def _not_zh(words: str, condition: Condition) -> str:
    return f"并非（{words}）" if condition.negated else words
