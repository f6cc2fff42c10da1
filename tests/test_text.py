"""The one normalisation, and the way back from it."""

import re
import sys
import unicodedata

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from kdsl.text import normalise, normalise_lines, original_offsets, original_span

PIECES = [
    "亮度", "调光", " ", "  ", "ＡＢ", "ab", "ß", "，", "？", "…", "①", "\n", "\t", "\u3000", "\u200b", "é", "e\u0301",
    "か\u3099", "\ud800", "\ufe0f", "㎏", "\u240a", "가", "\u1100\u1161", "İ", "¨", "=\u0338", "；\u0338",
]  # fmt: skip
ADVERSARIAL = [
    *PIECES, "か", "ﾊ", "ﾞ", "\uff9f", "\u3099", "゛", "\u302a", "\u302e", "\u0327", "\u0301", "\u0323", "=", "a", "i",
    "α", "\u0345", "ᾳ", "ẞ", "ﬃ", "ﷺ", "㌔", "\u1112", "\u1161", "\u11ab", "\uffa4", "\uffb7", "\u200d", "👩", "क",
    "\u093c", "\u0958", "\u09c7", "\u09be", "\u0f71", "\u0f81", "\u0344", "\u1fed", "\U00011099", "\U000110ba",
    "\u2adc", "\u115f", "\udc00",
]  # fmt: skip
texts = st.one_of(st.lists(st.sampled_from(PIECES), max_size=12).map("".join), st.text(max_size=30))
adversarial = st.lists(st.sampled_from(ADVERSARIAL), max_size=9).map("".join)


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


@given(st.one_of(texts, adversarial))
def test_normalising_twice_changes_nothing(text):
    assert normalise(normalise(text)) == normalise(text)


def test_a_space_that_goes_once_marks_have_changed_places_goes_at_once():
    assert normalise("か\u302a \u3099\u0327 あ") == "が\u0327\u302aあ"


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


@given(st.lists(st.one_of(texts, adversarial), max_size=6))
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


def original(text, term):
    """What `original_span` marks for the first occurrence of a term."""
    start = normalise(text).index(term)
    first, last = original_span(text, start, start + len(term))
    return text[first:last]


def test_spans_lead_back_to_the_original():
    text = " ＬＥＤ 灯 能调 光…①"
    for term, marked in (("led", "ＬＥＤ"), ("灯能调光", "灯 能调 光"), ("...", "…"), ("1", "①")):
        assert original(text, term) == marked


@pytest.mark.parametrize(
    ("text", "term", "marked"),
    [
        ("ﾌﾟﾚｾﾞﾝﾄ用の包装", "包装", "包装"),
        ("ﾌﾟﾚｾﾞﾝﾄ用の包装", "プレゼント", "ﾌﾟﾚｾﾞﾝﾄ"),
        ("\u1112\u1161\u11ab\u1100\u1173\u11af 환불", "환불", "환불"),
        ("\u1112\u1161\u11ab\u1100\u1173\u11af 환불", "글", "\u1100\u1173\u11af"),
        ("\uffa4\uffb7 환불", "환불", "환불"),
        ("e\u200b\u0301e 请退款", "é", "e\u200b\u0301"),
        ("e\u200b\u0301e 请退款", "退款", "退款"),
        ("か ゛包装", "が", "か ゛"),
        ("か\u3099 \u3099包装", "包装", "包装"),
        ("3㌔の包装", "ロの", "㌔の"),
        ("ﷺ 包装", "包装", "包装"),
        ("STRAẞE 包装", "s", "S"),
        ("STRAẞE 包装", "ss", "ẞ"),
        ("oﬃce ﬁle", "ice", "ﬃce"),
        ("L\u0130KE 包装", "i\u0307", "\u0130"),
        ("x\u0301\u0327 包装", "\u0327\u0301", "\u0301\u0327"),
        ("a\u0327\u0301 包装", "á", "a\u0327\u0301"),
        ("\ud83d退款", "退款", "退款"),
        ("👩\u200d👩\u200d👧❤\ufe0f 退款", "👩👩", "👩\u200d👩"),
        ("👩\u200d👩\u200d👧❤\ufe0f 退款", "退款", "退款"),
        ("退 \u3000\n 款", "退款", "退 \u3000\n 款"),
        ("a \t b", "a b", "a \t b"),
    ],
)
def test_a_span_holds_the_characters_that_the_term_came_from(text, term, marked):
    assert original(text, term) == marked


@given(st.one_of(adversarial, texts))
def test_normalising_what_a_span_covers_holds_the_terms_characters(text):
    result = normalise(text)
    for start in range(len(result)):
        for end in range(start + 1, len(result) + 1):
            term = result[start:end]
            if term == term.strip():
                first, last = original_span(text, start, end)
                assert 0 <= first < last <= len(text)
                assert term in normalise(text[first:last])


# NFKC joins a small iota to its letter, and case-folding parts the two again: both come from both.
without_iota = st.sampled_from([piece for piece in ADVERSARIAL if piece != "\u0345"])


def seams(text):
    """The pairs (place in `text`, place in its normalised form) at which nothing reaches across.

    There a separator that composes with nothing, of one of two kinds as spaces are treated by what stands beside
    them, changes nothing else.
    """
    whole = normalise(text)
    for place in range(len(text) + 1):
        for separator in "\u25a0\u4e00":
            left, _, right = normalise(text[:place] + separator + text[place:]).partition(separator)
            if left + right == whole:
                yield place, len(left)


@given(st.lists(without_iota, max_size=7).map("".join))
def test_no_span_reaches_over_a_seam(text):
    """Spans are as small as what stands around them lets them be: found again by trying every cut."""
    cuts = [(0, 0), *seams(text), (len(text), len(normalise(text)))]
    for index in [index for index, character in enumerate(normalise(text)) if character != " "]:
        first, last = original_span(text, index, index + 1)
        if not unicodedata.combining(normalise(text)[index]):  # a mark has the space with it that it stood on
            assert first >= max(place for place, normal in cuts if normal <= index)
        assert last <= min(place for place, normal in cuts if normal > index)


def test_every_composition_of_unicode_leads_back_to_its_parts():
    for code in range(sys.maxunicode + 1):
        mapping = unicodedata.decomposition(chr(code)).split()
        parts = "".join(chr(int(part, 16)) for part in mapping if not part.startswith("<"))
        if (
            not parts
            or any(c.isspace() for c in parts)
            or len(normalise(parts)) != 1
            or not normalise("包" + parts)[1:]
        ):
            continue
        text = f"Ｚ{parts}包装"
        result = normalise(text)
        if len(result) == 4:  # else the parts composed with the letter before, too
            assert original_span(text, 1, 2) == (1, 1 + len(parts)), hex(code)
        assert original_span(text, len(result) - 2, len(result)) == (len(text) - 2, len(text)), hex(code)


def test_whatever_a_character_becomes_its_neighbours_keep_their_place():
    """Every character there is, a thousand in a text; a character's own run is that character."""
    characters = (chr(code) for code in range(sys.maxunicode + 1))
    assigned = [c for c in characters if unicodedata.category(c) not in ("Cn", "Co", "Cs") and c != "\u240a"]
    for first in range(0, len(assigned), 1000):
        text = "".join(f"\u240a{character}" for character in assigned[first : first + 1000])
        position = 0
        for index, piece in enumerate(normalise(text).split("\u240a")[1:]):
            start, end = original_span(text, position, position + 1)
            assert (start, end) == (2 * index, 2 * index + 1)
            for character in range(position + 1, position + 1 + len(piece)):
                if not piece.isspace():
                    assert original_span(text, character, character + 1) == (2 * index + 1, 2 * index + 2)
            position += len(piece) + 1


def test_a_mark_at_the_start_of_a_turn_stays_there():
    text, _ = normalise_lines(["包装e", "\u0301x", "か", "゛", "退 ", "款"])
    assert text == "包装e\n\u0301x\nか\n\u3099\n退\n款"


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
