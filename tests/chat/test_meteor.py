"""METEOR against a plain implementation of both formulas, and what must hold of it whatever is said."""

import itertools
import subprocess
import sys

import pytest

nltk = pytest.importorskip("nltk", reason="needs the extra chat")

from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from kdsl.chat.meteor import Meteor, words  # noqa: E402
from kdsl.errors import KdslError  # noqa: E402

WORDS = st.lists(st.sampled_from(["cat", "cats", "sat", "mat", "红", "色", "the"]), max_size=8)


def plain(answer: list[str], reference: list[str]) -> tuple[float, float]:
    """NLTK's METEOR and the contract's, by exact matches and then matches of stems, each from the last word on."""
    stem = nltk.PorterStemmer().stem
    pairs: list[tuple[int, int]] = []
    for form in (str, stem):
        for said in reversed(range(len(answer))):
            free = [right for right in range(len(reference)) if right not in {pair[1] for pair in pairs}]
            same = [right for right in free if form(answer[said]) == form(reference[right])]
            if said not in {pair[0] for pair in pairs} and same:
                pairs.append((said, same[-1]))
    if not pairs:
        return 0.0, 0.0
    pairs.sort()
    steps = itertools.pairwise(pairs)
    chunks = 1 + sum((after[0] - before[0], after[1] - before[1]) != (1, 1) for before, after in steps)
    precision, recall = len(pairs) / len(answer), len(pairs) / len(reference)
    mean = 10 * precision * recall / (recall + 9 * precision)
    return (1 - 0.5 * (chunks / len(pairs)) ** 3) * mean, mean


@pytest.fixture(scope="module")
def meteor() -> Meteor:
    """Without synonyms, whether or not WordNet is installed."""
    without = pytest.MonkeyPatch()
    without.setattr(nltk.data, "path", [])
    yield Meteor()
    without.undo()


@given(WORDS, WORDS)
def test_both_scores_are_those_of_a_plain_implementation(meteor, answer, reference):
    score = meteor.score(" ".join(answer), " ".join(reference))
    assert (score.nltk, score.formula) == pytest.approx(plain(answer, reference))


@given(st.text(max_size=30), st.text(max_size=30))
def test_scores_lie_between_0_and_1_and_a_penalty_only_takes_away(meteor, answer, reference):
    score = meteor.score(answer, reference)
    assert 0 <= score.nltk <= score.formula <= 1


@given(WORDS.filter(bool))
def test_the_right_answer_has_the_most_that_there_is(meteor, reference):
    score = meteor.score(" ".join(reference), " ".join(reference))
    assert score.formula == 1
    assert score.nltk == pytest.approx(1 - 0.5 / len(reference) ** 3)


@given(WORDS, WORDS)
def test_with_as_many_words_the_formula_does_not_ask_which_is_right(meteor, one, other):
    one, other = one[: len(other)], other[: len(one)]
    there, back = meteor.score(" ".join(one), " ".join(other)), meteor.score(" ".join(other), " ".join(one))
    assert there.formula == pytest.approx(back.formula)


def test_what_is_missing_costs_more_than_what_is_too_much(meteor):
    """Recall counts nine times as much as precision."""
    short, long = meteor.score("a red", "a red cat sat"), meteor.score("a red cat sat", "a red")
    assert short.formula == pytest.approx(10 * 1 * 0.5 / (0.5 + 9 * 1))
    assert long.formula == pytest.approx(10 * 0.5 * 1 / (1 + 9 * 0.5))
    assert long.formula > short.formula


def test_another_order_costs_in_nltk_alone(meteor):
    right, turned = meteor.score("a red cat", "a red cat"), meteor.score("cat red a", "a red cat")
    assert right.formula == turned.formula == 1
    assert turned.nltk < right.nltk


def test_nothing_said_is_worth_nothing(meteor):
    assert meteor.score("", "a cat").formula == meteor.score("a cat", "").nltk == meteor.score("?!", "?!").formula == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It's RED — isn’t it?", ["it's", "red", "isn't", "it"]),
        ("我要A4纸，3.5元。", ["我", "要", "a4", "纸", "3", "5", "元"]),
        ("カタカナ 한국어 문장", ["カ", "タ", "カ", "ナ", "한국어", "문장"]),
        ("ＡＢ１ café👍\u200b", ["ab1", "café", "👍"]),
        ("  \n", []),
    ],
)
def test_words_of_english_and_chinese(text, expected):
    assert [*words(text)] == expected


def test_chinese_answers_are_compared_by_their_characters(meteor):
    assert meteor.score("红色的猫", "红色的狗").formula == pytest.approx(0.75)


def test_without_wordnet_it_says_that_it_makes_no_matches_of_synonyms(meteor):
    assert not meteor.synonyms
    assert meteor.matches == ["exact", "stem"]
    assert meteor.score("a big cat", "a large cat").formula < 1


def test_where_wordnet_is_installed_synonyms_match(monkeypatch):
    class Lemma:
        def name(self) -> str:
            return "vast"

    class Synset:
        def lemmas(self) -> list[Lemma]:
            return [Lemma()]

    class WordNet:
        def ensure_loaded(self) -> None: ...

        def synsets(self, word: str) -> list[Synset]:
            return [Synset()] if word == "big" else []

    monkeypatch.setattr("nltk.corpus.wordnet", WordNet())
    meteor = Meteor()
    assert meteor.matches == ["exact", "stem", "synonym"]
    assert meteor.score("a big cat", "a vast cat").formula == 1


def test_without_nltk_there_is_one_sentence_on_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "nltk.corpus", None)
    with pytest.raises(KdslError, match=r"METEOR needs NLTK, which cannot be imported .*; install it: pip install .*"):
        Meteor()


def test_reading_dialogues_does_not_wait_for_nltk_or_torch():
    program = (
        "import sys, kdsl.chat.meteor, kdsl.chat.reading; print([m for m in ('nltk', 'torch') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "[]\n"
