"""Changed texts: what may change, and what stays."""

import random
import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdsl.augmentation.synonym_table import SYNONYMS
from kdsl.augmentation.text import USER, Strength, change_text
from kdsl.augmentation.typos import mistyped
from kdsl.augmentation.words import cut, families, joined
from kdsl.mining.proposer import label_texts
from kdsl.sample import Label, Task

NOTHING = Strength(0, 0, 0, 0, 0)
EVERYTHING = Strength(1, 1, 1, 1, 1)
KEPT = ("<image>", "<http>", "https://a.cn/x?y=1", "[微笑]", "/:065", "iPhone15", "3.5cm", "A1024", "50ml*2", "２０")
WORDS = st.sampled_from(
    [*KEPT, "你好", "请问", "亮度", "不能", "什么时候", "，", "。", "？", " ", "\n", "hello", "the lamp"]
)


def change(text: str, strength: Strength, seed: int = 0, **options: object) -> str:
    return change_text(text, random.Random(seed), strength, **options).text


@given(st.text(max_size=60))
def test_words_make_up_the_text_again(text):
    assert joined(cut(text)) == text


@given(st.lists(WORDS, max_size=12), st.integers(0, 1000))
def test_placeholders_numbers_and_ids_stay(parts, seed):
    text = "，".join(parts)
    changed = change(text, EVERYTHING, seed)

    def kept(text: str) -> Counter[str]:
        return Counter(word.text for word in cut(text) if word.kept)

    assert kept(changed) == kept(text)


@given(st.text(max_size=40), st.text(min_size=1, max_size=10), st.text(max_size=40), st.integers(0, 1000))
def test_spared_spans_stay(before, term, after, seed):
    changed = change(before + term + after, EVERYTHING, seed, spared=[(len(before), len(before) + len(term))])
    assert term in changed


@given(st.text(max_size=60), st.integers(0, 1000))
def test_the_same_source_gives_the_same_text(text, seed):
    assert change(text, USER, seed) == change(text, USER, seed)


@given(st.text(max_size=60))
def test_what_is_not_to_be_changed_is_not(text):
    done = change_text(text, random.Random(0), NOTHING)
    assert (done.text, done.operations) == (text, ())


def test_synonyms_of_one_and_of_several_words():
    assert change("快递", Strength(0, 1, 0, 0, 0)) == "物流"
    assert change("能不能退", Strength(0, 1, 0, 0, 0)) in ("可不可以退", "能否退")
    assert change("Hi there", Strength(0, 1, 0, 0, 0)) == "hello there"


def test_words_inside_other_words_are_not_exchanged():
    assert change("买家", Strength(0, 1, 0, 0, 0)) == "买家"


def test_a_small_model_s_words_are_used_too():
    assert change("台灯亮吗", Strength(0, 1, 0, 0, 0), more_synonyms={"台灯": ["桌灯"]}) == "桌灯亮吗"


def test_no_synonym_leads_to_itself_or_to_nothing():
    assert all(word not in others and all(others) for word, others in SYNONYMS.items())


def test_clauses_change_places_and_punctuation_stays():
    assert change("灯坏了，怎么办？", Strength(1, 0, 0, 0, 0)) == "怎么办，灯坏了？"
    assert change("灯坏了", Strength(1, 0, 0, 0, 0)) == "灯坏了"


def test_clauses_of_english_keep_their_spaces():
    assert change("hello, the lamp broke.", Strength(1, 0, 0, 0, 0)) == "the lamp broke, hello."


@pytest.mark.parametrize(
    "text, without",
    [
        ("亲，灯坏了怎么办", "灯坏了怎么办"),
        ("谢谢！！灯坏了怎么办", "灯坏了怎么办"),
        ("灯坏了，亲，灯坏了怎么办", "灯坏了，灯坏了怎么办"),
        ("灯坏了怎么办，谢谢", "灯坏了怎么办"),
        ("灯坏了怎么办，谢谢！", "灯坏了怎么办！"),
        ("灯坏了怎么办？谢谢！！", "灯坏了怎么办？"),
        ("灯坏了怎么办，谢谢~", "灯坏了怎么办~"),
        ("灯坏了怎么办\n谢谢", "灯坏了怎么办"),
        ("灯坏了怎么办。谢谢\n灯坏了", "灯坏了怎么办。\n灯坏了"),
        ("hello, lamp number seven broke again", "lamp number seven broke again"),
        ("lamp number seven broke, it broke really.", "lamp number seven broke, it broke."),
        ("lamp number seven broke really, it broke", "lamp number seven broke, it broke"),
        ("lamp number seven broke again please", "lamp number seven broke again"),
    ],
)
def test_a_clause_that_is_left_out_takes_its_punctuation_with_it(text, without):
    found = {change(text, Strength(0, 0, 0.9, 0, 0), seed) for seed in range(200)}
    assert without in found
    assert not any(re.search(r"^[\s，,。！？!?]|[，,\s]$|[，,]\s*[，,。！？!?]| [,.]", each) for each in found)


@pytest.mark.parametrize(
    ("text", "needed"),
    [
        ("这个灯不能调光", "不能"),
        ("多少钱一个灯", "多少"),
        ("这个灯没收到", "没收"),
        ("这个灯还没到", "没到"),
        ("这个灯坏了怎么办", "怎么办"),
        ("I do not like this lamp", "not"),
    ],
)
def test_negations_and_question_words_are_never_left_out(text, needed):
    for seed in range(50):
        changed = change(text, Strength(0, 0, 1, 1, 0), seed)
        assert needed in changed
        assert len(changed) < len(text)


def test_not_to_need_is_not_made_not_to_want():
    assert change("不需要", Strength(0, 1, 0, 0, 0)) in ("不用", "无需")


def test_short_texts_lose_nothing():
    assert change("好的", Strength(0, 0, 1, 1, 0)) == "好的"


def test_typos():
    assert mistyped("在", random.Random(0)) == "再"
    assert mistyped("lamp", random.Random(0)) == "lmap"
    assert mistyped("it", random.Random(0)) is None
    assert mistyped("爨", random.Random(0)) is None
    assert mistyped("", random.Random(0)) is None


def test_forms_of_telling_words_are_never_left_out():
    [text] = label_texts(Task("bank", (Label("activate_my_card"),)))
    changed = {
        change("it said the cards got activated today", Strength(0, 0, 0.9, 0.9, 0), seed, telling=families(text))
        for seed in range(50)
    }
    assert len(changed) > 3
    assert all("cards" in each and "activated" in each for each in changed)
