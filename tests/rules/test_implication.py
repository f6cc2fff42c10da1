"""Which conditions follow from which."""

from pathlib import Path

import numpy as np
import pytest
from concept_encoder import concept_vectors
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from kdsl.fields import KINDS
from kdsl.fields.pictures import Pictures
from kdsl.fields.sidecar import OcrLine, OcrPage, Sidecars
from kdsl.fields.table import FieldTable
from kdsl.fields.visual import PictureFeatures, picture_features
from kdsl.rules.condition import Condition
from kdsl.rules.engine import Engine
from kdsl.rules.implication import contradicts, implies, redundant_terms, subsumed
from kdsl.rules.rule import Rule
from kdsl.sample import Sample, Turn


def condition(test) -> Condition:
    return Condition.model_validate(test)


def colour(zone, name, share):
    return {"image.colour": {"zone": zone, "colour": name, "share": share}}


def large(terms, height):
    return {"ocr.size": {"terms": terms, "height": height}}


def rule(id, *conditions, label="x") -> Rule:
    return Rule(id=f"r-000{id}", label=label, when={"all": list(conditions)})


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"user": ["手机亮度"]}, {"user": ["亮度"]}),
        ({"user": ["亮度"]}, {"user": ["亮度", "调光"]}),
        ({"last_user": ["亮度"]}, {"dialogue": ["亮度"]}),
        ({"ocr.top": ["ＡＢ"]}, {"ocr": ["ab"]}),
        ({"voice": ["手机亮度"]}, {"dialogue": ["亮度"]}),
        ({"audio.seconds": ">20"}, {"audio.seconds": ">10"}),
        ({"not": {"dialogue": ["亮度"]}}, {"not": {"user": ["手机亮度"]}}),
        ({"turns": ">3"}, {"turns": ">=3"}),
        ({"turns": "=3"}, {"turns": "<4"}),
        ({"turns": ">3"}, {"not": {"turns": "<2"}}),
        ({"means": {"user": "退钱", "at": 0.7}}, {"means": {"user": "退钱", "at": 0.6}}),
        ({"means": {"user": "退钱", "at": 0.6}}, {"means": {"user": ["退 钱", "快递"], "at": 0.6}}),
        ({"means": {"last_user": "退钱", "at": 0.6}}, {"means": {"dialogue": "退钱", "at": 0.6}}),
        ({"sees": "快递？ "}, {"sees": "快递？"}),
        (colour("top", "red", ">0.3"), colour("top", "red", ">0.2")),
        (colour("top", "red", "<0.3"), {"not": colour("top", "red", ">=0.3")}),
        ({"image.kind": "photo"}, {"not": {"image.kind": "screenshot"}}),
        (large(["退款成功"], ">0.03"), large(["退款"], ">0.02")),
        (large(["退款成功"], ">0.03"), {"ocr": ["退款成功"]}),
        ({"not": {"ocr": ["退款"]}}, {"not": large(["退款成功"], "<0.1")}),
    ],
)
def test_what_follows(first, second):
    assert implies(condition(first), condition(second))
    assert not implies(condition(second), condition(first)) or first.keys() == {"sees"}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"user": ["手机亮度"]}, {"not": {"user": ["亮度"]}}),
        ({"last_user": ["亮度"]}, {"not": {"dialogue": ["亮"]}}),
        ({"turns": ">3"}, {"turns": "<=3"}),
        ({"turns": "=3"}, {"turns": "=4"}),
        ({"image.aspect": ">1"}, {"not": {"image.aspect": ">0.5"}}),
        ({"means": {"user": "退钱", "at": 0.7}}, {"not": {"means": {"user": "退钱", "at": 0.7}}}),
        ({"sees": "快递？"}, {"not": {"sees": "快递？"}}),
        (colour("top", "red", ">0.3"), colour("top", "red", "<=0.3")),
        (colour("top", "red", ">0.3"), {"not": colour("top", "red", ">0.1")}),
        ({"image.kind": "photo"}, {"image.kind": "long_page"}),
        ({"image.kind": "photo"}, {"not": {"image.kind": "photo"}}),
        (large(["退款"], ">0.03"), {"not": {"ocr": ["退款"]}}),
    ],
)
def test_what_contradicts(first, second):
    assert contradicts(condition(first), condition(second))
    assert contradicts(condition(second), condition(first))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"user": ["亮度"]}, {"not": {"user": ["手机亮度"]}}),
        ({"user": ["亮度"]}, {"agent": ["亮度"]}),
        ({"user": ["message"]}, {"user": ["age"]}),
        ({"turns": ">=3"}, {"turns": "<=3"}),
        ({"not": {"user": ["亮"]}}, {"not": {"user": ["暗"]}}),
        ({"means": {"user": "退钱", "at": 0.6}}, {"means": {"user": "退钱", "at": 0.7}}),
        ({"means": {"user": "退钱", "at": 0.7}}, {"means": {"user": "快递", "at": 0.6}}),
        ({"means": {"user": "退钱", "at": 0.7, "encoder": "a"}}, {"means": {"user": "退钱", "at": 0.6}}),
        ({"means": {"user": "退钱", "at": 0.7}}, {"user": ["退钱"]}),
        ({"sees": "快递？"}, {"not": {"sees": "页面？"}}),
        (colour("top", "red", ">0.3"), colour("header", "red", "<=0.3")),
        (colour("top", "red", ">0.3"), colour("top", "blue", ">0.2")),
        ({"not": {"image.kind": "photo"}}, {"image.kind": "screenshot"}),
        ({"not": {"image.kind": "photo"}}, {"not": {"image.kind": "screenshot"}}),
        (large(["退款"], ">0.02"), large(["退款"], ">0.03")),
        (large(["退款"], ">0.03"), large(["退款"], "<0.03")),
        ({"ocr": ["退款"]}, large(["退款"], ">0.03")),
        (large(["退款"], ">0.03"), {"ocr.top": ["退款"]}),
        # Without an image neither comparison holds, and both negations do.
        ({"not": {"image.aspect": ">1"}}, {"not": {"image.aspect": "<=1"}}),
    ],
)
def test_what_goes_together(first, second):
    assert not contradicts(condition(first), condition(second))
    assert not implies(condition(first), condition(second))


def test_redundant_terms_contain_another_term():
    assert redundant_terms(condition({"user": ["手机亮度", "亮度", "调光"]})) == [("手机亮度", "亮度")]
    assert redundant_terms(condition({"user": ["亮度", "调光"]})) == []
    assert redundant_terms(condition({"user": ["age", "message", "my age"]})) == [("my age", "age")]


def test_redundant_terms_are_told_as_they_are_written():
    """So that a person finds them in the file; of two spellings of one term the first."""
    assert redundant_terms(condition({"user": ["回T退订", "退订"]})) == [("回T退订", "退订")]
    assert redundant_terms(condition({"user": ["AB", "ab", "AB 包"]})) == [("AB 包", "AB")]


def test_a_special_rule_is_subsumed_by_a_general_one_of_its_label():
    general = rule(1, {"dialogue": ["亮度"]})
    special = rule(2, {"last_user": ["手机亮度"]}, {"turns": ">3"})
    other_label = rule(3, {"last_user": ["手机亮度"]}, label="y")
    assert list(subsumed([general, special, other_label])) == [(special, general)]


def test_rules_with_equal_conditions_are_no_subsumption():
    assert list(subsumed([rule(1, {"user": ["a"]}), rule(2, {"user": ["A"]})])) == []


def test_of_two_rules_that_hit_the_same_one_is_named():
    short, long = rule(1, {"user": ["亮"]}), rule(2, {"user": ["亮", "亮度"]})
    assert list(subsumed([short, long])) == list(subsumed([long, short])) == [(long, short)]


terms = st.lists(st.text("亮度a", min_size=1, max_size=2), min_size=1, max_size=2)
tests = st.one_of(
    st.builds(lambda field, found: {field: found}, st.sampled_from(["user", "dialogue", "ocr", "ocr.top"]), terms),
    st.builds(
        lambda field, op, value: {field: f"{op}{value}"},
        st.sampled_from(["turns", "image.aspect"]),
        st.sampled_from([">", ">=", "<", "<=", "="]),
        st.integers(0, 2),
    ),
    st.builds(
        lambda field, wordings, at: {"means": {field: wordings, "at": at}},
        st.sampled_from(["last_user", "user", "dialogue"]),
        st.lists(st.sampled_from(["亮度", "灯", "快递"]), min_size=1, max_size=2),
        st.sampled_from([0.5, 0.9]),
    ),
    st.just({"sees": "?"}),
    st.builds(lambda kind: {"image.kind": kind}, st.sampled_from(KINDS)),
    st.builds(
        colour, st.sampled_from(["top", "page"]), st.sampled_from(["red", "white"]),
        st.sampled_from([">0", ">0.1", ">=0.5", "<0.5", "<=0.1", "=1"]),
    ),
    st.builds(large, terms, st.sampled_from([">0.1", ">=0.1", "<=0.1", ">0.3", "<0.3"])),
)  # fmt: skip
conditions = st.one_of(tests, tests.map(lambda test: {"not": test}))


class Drawn(Pictures):
    """What is seen, without files."""

    def __init__(self, known):
        super().__init__(Path())
        self.get = known.get

    def read(self, images):
        return {image: self.get(image) for image in images}


def _picture(number: int) -> PictureFeatures:
    """Of each kind, with a top that is red or white in part or as a whole."""
    size = [(8, 8), (8, 16), (8, 32)][number % 3]
    image = Image.fromarray(np.random.default_rng(number).integers(0, 256, (*size[::-1], 3), dtype=np.uint8))
    image.paste("white", (0, 0, 8, size[1] // 4))
    image.paste("red", (0, 0, number % 5 * 2, size[1] // 4))
    return picture_features(image)


def _every_kind_of_sample() -> FieldTable:
    texts = ["", "亮", "度", "a", "亮度", "度亮", "a度", "亮a", "aa", "亮\n度"]
    pages = {
        f"{i}": OcrPage(
            f"{i}", (10, 10 * aspect), (OcrLine(top, 1, (0, 0, 9, 1)), OcrLine("度", 1, (0, 5, 9, 5 * aspect)))
        )
        for i, (top, aspect) in enumerate((top, aspect) for top in texts for aspect in (1, 2))
    }
    answers = {name: {"?": float(int(name) % 2)} for name in pages}
    pictures = Drawn({name: _picture(int(name)) for name in pages})
    samples = [
        Sample("1", "t", (Turn("user", user), Turn("agent", agent))[:count], (image,) if image else ())
        for user in texts
        for agent in ("", "亮度")
        for count in (0, 1, 2)
        for image in (None, *pages)
    ]
    return FieldTable(samples, Sidecars(ocr=pages, answers=answers, pictures=pictures, vectors=concept_vectors()))


TABLE = _every_kind_of_sample()


@given(conditions, conditions)
def test_claims_hold_on_samples(first, second):
    a, b = Engine([rule(1, first), rule(2, second)]).matrix(TABLE).T
    if implies(condition(first), condition(second)):
        assert not (a & ~b).any()
    if contradicts(condition(first), condition(second)):
        assert not (a & b).any()


@given(st.lists(st.lists(conditions, min_size=1, max_size=2), min_size=2, max_size=8))
def test_subsumption_by_index_equals_comparing_every_pair(found):
    rules = [Rule(id=f"r-000{i}", label="x", when={"all": tests}) for i, tests in enumerate(found)]

    def follows(special, general):
        return all(any(implies(one, other) for one in special.conditions) for other in general.conditions)

    def is_special(rule):
        return any(
            follows(rule, other)
            and rule.when_hash != other.when_hash
            and (not follows(other, rule) or longer(rule, other))
            for other in rules
        )

    def longer(rule, other):
        return (len(str(rule)), rules.index(rule)) > (len(str(other)), rules.index(other))

    pairs = list(subsumed(rules))
    assert all(follows(special, general) for special, general in pairs)
    assert {special.id for special, _ in pairs} == {rule.id for rule in rules if is_special(rule)}
