"""Conditions and counts in plain language, in English and Chinese."""

from collections.abc import Sequence
from typing import Literal

from kdsl.rules.condition import Condition, Meaning
from kdsl.rules.statistics import wilson_interval

Language = Literal["en", "zh"]

FIELD_NAMES: dict[Language, dict[str, str]] = {
    "en": {
        "last_user": "last user turn", "user": "user turns", "last_agent": "last agent turn", "agent": "agent turns",
        "dialogue": "dialogue",
        "ocr": "text on the image", "ocr.top": "text at the top of the image",
        "ocr.bottom": "text at the bottom of the image", "ocr.header": "text in the header of the image",
        "ocr.body": "text in the body of the image", "ocr.bar": "text in the bottom bar of the image",
        "ocr.size": "text on the image", "caption": "caption", "image.aspect": "image height / width",
        "image.count": "number of images", "image.text_area": "share of the image covered by text",
        "image.text_lines": "lines of text on the image", "image.kind": "image", "image.colour": "image",
        "turns": "number of turns", "sees": "the image shows", "means": "means",
    },
    "zh": {
        "last_user": "用户最后一句", "user": "用户的话", "last_agent": "客服最后一句",
        "agent": "客服的话", "dialogue": "对话",
        "ocr": "图中文字", "ocr.top": "图片顶部文字", "ocr.bottom": "图片底部文字", "ocr.header": "图片标题栏文字",
        "ocr.body": "图片中部文字", "ocr.bar": "图片底栏文字", "ocr.size": "图中文字", "caption": "图片描述",
        "image.aspect": "图片高宽比", "image.count": "图片数", "image.text_area": "文字占图片面积",
        "image.text_lines": "图中文字行数",
        "image.kind": "图片", "image.colour": "图片", "turns": "轮数", "sees": "看图回答“是”", "means": "意思接近",
    },
}  # fmt: skip
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
    if condition.meaning is not None:
        return _meaning_words(condition.meaning, condition.negated, language)
    if language == "en":
        several = condition.field in _SEVERAL
        verb = "contain" if several else "contains"
        if condition.negated:
            verb = "do not contain" if several else "does not contain"
        return f"{name} {verb} {' or '.join(condition.terms)}"
    return f"{name}{'不含' if condition.negated else '含'} {' 或 '.join(condition.terms)}"


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
