"""A column of texts finds terms where `kdsl.rules.matcher` finds them."""

from hypothesis import given
from hypothesis import strategies as st

from kdsl.review import text_column
from kdsl.review.text_column import Piece, TextColumn
from kdsl.rules.matcher import first_occurrence
from kdsl.text import normalise

TEXT = st.text(st.sampled_from("age 5G亮度，。é调😀\U0001f601\n"), max_size=12).map(normalise)
TERM = TEXT.filter(lambda text: text.strip() == text != "" and "\n" not in text)


@given(st.lists(TEXT, max_size=6), TERM, st.integers(1, 5))
def test_a_term_is_found_in_the_texts_that_hold_it_as_whole_words(texts, term, block):
    known, text_column._BLOCK = text_column._BLOCK, block  # terms lie across blocks too
    try:
        found = TextColumn.of(texts).find(term).tolist()
    finally:
        text_column._BLOCK = known
    assert found == [i for i, text in enumerate(texts) if first_occurrence(text, term, len(text)) >= 0]


@given(st.lists(st.lists(TEXT, max_size=4), max_size=4), TERM)
def test_pieces_are_one_column(pieces, term):
    together = [text for texts in pieces for text in texts]
    assert (
        TextColumn([Piece.of(texts) for texts in pieces]).find(term).tolist()
        == TextColumn.of(together).find(term).tolist()
    )


def test_no_term_is_found_across_two_texts():
    column = TextColumn.of(["退", "款 退款", "refund", "ed refund"])
    assert column.find("退款").tolist() == [1]
    assert column.find("refund").tolist() == [2, 3]
    assert column.find("refunded").tolist() == []


def test_half_of_a_character_beyond_the_basic_plane_is_none():
    assert TextColumn.of(["\U0001f600", "\U0001f601"]).find("\U0001f601").tolist() == [1]
