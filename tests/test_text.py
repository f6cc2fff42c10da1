"""The one normalisation, and the way back from it."""

import re
import sys
import unicodedata

from hypothesis import assume, given
from hypothesis import strategies as st

from kdsl.text import normalise, normalise_lines, original_offsets, original_span

PIECES = [
    "亮度", "调光", " ", "  ", "ＡＢ", "ab", "ß", "，", "？", "…", "①", "\n", "\t", "\u3000", "\u200b", "é", "e\u0301",
    "か\u3099", "\ud800", "\ufe0f", "㎏", "\u240a", "가", "\u1100\u1161", "İ", "¨", "=\u0338", "；\u0338",
]  # fmt: skip
texts = st.one_of(st.lists(st.sampled_from(PIECES), max_size=12).map("".join), st.text(max_size=30))


def by_the_book(text: str) -> str:
    """What `normalise` promises, without any short cut."""
    text = re.sub(r"[\ud800-\udfff]", "\ufffd", text)
    text = "".join(c for c in text if not (unicodedata.category(c) in ("Cc", "Cf") and not c.isspace()))
    text = re.sub("[\ufe00-\ufe0f]", "", text)
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return re.sub(r"\s+", " ", text).strip()


def test_examples():
    assert normalise("　ＬＥＤ 灯，能 不能 调光？\n") == "led 灯,能不能调光?"
    assert normalise("Top  up\tfailed") == "top up failed"
    assert normalise("a\u200bb\ufe0f") == "ab"
    assert normalise("\ud800") == "\ufffd"
    assert normalise("") == normalise(" \n") == ""


@given(texts)
def test_normalising_twice_changes_nothing(text):
    assert normalise(normalise(text)) == normalise(text)


@given(texts)
def test_result_has_no_newline_and_only_single_inner_spaces(text):
    result = normalise(text)
    assert not re.search(r"[^\S ]|  |^ | $", result)


@given(st.text(st.characters(exclude_categories=["Cf", "Cn", "Co"]), max_size=30))
def test_shortcuts_give_what_the_definition_says(text):
    expected = by_the_book(text)
    assume(" " not in expected)  # spaces between CJK characters have tests of their own
    assert normalise(text) == expected


def test_printable_characters_stay_printable():
    # `normalise` skips looking for odd white space and invisible characters in printable text.
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        if character.isprintable() and not character.isascii():
            folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", character).casefold())
            assert folded.isprintable(), hex(code)


@given(st.lists(texts, max_size=6))
def test_lines_are_normalised_as_if_one_by_one(lines):
    assert normalise_lines(lines)[0] == "\n".join(normalise(line) for line in lines)


plain = st.lists(st.sampled_from(["亮度", "，", "led", "ＡＢ", " ", "。", "…"]), max_size=6).map("".join)


@given(st.lists(st.one_of(plain, texts), max_size=4))
def test_every_character_of_aligned_lines_stands_where_it_stood(lines):
    _, aligned = normalise_lines(lines)
    if aligned:
        for line in lines:
            assert original_offsets(line) == tuple(range(len(line) + 1))


def test_chinese_text_with_full_width_punctuation_is_aligned():
    assert normalise_lines(["能调光吗？", "可以，《说明》有。"]) == ("能调光吗?\n可以,《说明》有。", True)
    assert not normalise_lines(["能 调光吗"])[1]


@given(texts)
def test_every_character_has_an_offset(text):
    offsets = original_offsets(text)
    assert len(offsets) == len(normalise(text)) + 1
    assert list(offsets) == sorted(offsets)
    assert offsets[-1] == len(text)


def test_spans_lead_back_to_the_original():
    text = " ＬＥＤ 灯 能调 光…①"
    result = normalise(text)
    for term, original in (("led", "ＬＥＤ"), ("灯能调光", "灯 能调 光"), ("...", "…"), ("1", "①")):
        start = result.index(term)
        first, last = original_span(text, start, start + len(term))
        assert text[first:last] == original


@given(st.lists(st.sampled_from(["亮度", "，", "led", "ＡＢ", " ", "。"]), min_size=1, max_size=10).map("".join))
def test_quick_spans_equal_the_spans_of_offsets(text):
    result = normalise(text)
    offsets = original_offsets(text)
    for start in range(len(result)):
        assert original_span(text, start, start + 1) == (offsets[start], offsets[start] + 1)


def test_a_long_text_of_many_words_is_led_back_at_once():
    """A pattern that tried every space in two ways would not end in the age of the universe."""
    text = "word " * 200 + "é"
    assert original_span(text, len(normalise(text)) - 1, len(normalise(text))) == (len(text) - 1, len(text))
