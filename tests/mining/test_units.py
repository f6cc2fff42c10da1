"""Candidate terms of a text."""

from hypothesis import given
from hypothesis import strategies as st

from kdsl.mining.units import candidate_terms, family
from kdsl.text import normalise


def test_all_runs_of_up_to_five_characters():
    terms = candidate_terms("怎么调亮度呢")
    assert {"怎", "亮度", "怎么调亮度", "么调亮度呢"} <= terms
    assert "怎么调亮度呢" not in terms


def test_no_term_crosses_punctuation_or_a_newline():
    assert candidate_terms("调光,亮度\n材质") == {
        *("调", "光", "调光"), *("亮", "度", "亮度"), *("材", "质", "材质"),
    }  # fmt: skip


def test_alphabetic_words_stay_whole():
    terms = candidate_terms("can't open wi-fi 5g网")
    assert {"can't", "open", "can't open", "5g网", "5g"} <= terms
    assert not {"ca", "can", "pen", "wi-fi"} & terms


def test_numbers_alone_and_terms_that_are_too_short_are_none():
    assert candidate_terms("1299") == set()
    assert candidate_terms("调光", 2) == {"调光"}


def test_at_most_three_words_make_a_term():
    assert "how to dim" in candidate_terms("how to dim it")
    assert "how to dim it" not in candidate_terms("how to dim it")


def test_forms_of_english_words_are_a_family():
    assert family("activate my card") == family("activated my cards")
    assert family("refund") != family("fund")


@given(st.text("调亮度光。，5g", max_size=8))
def test_terms_without_english_words_are_their_own_family(term):
    assert family(term) == term


@given(st.text("春夏秋冬abc 1,。\n", max_size=40))
def test_every_term_occurs_in_one_segment_of_the_text(text):
    text = "\n".join(map(normalise, text.split("\n")))
    for term in candidate_terms(text):
        assert term in text
        assert "\n" not in term and "," not in term
