"""Where the threshold of a meaning lies among the samples."""

import numpy as np
import pytest
from concept_encoder import ConceptEncoder, concept_vectors
from rule_files import TASK
from seeing_shop import MEANING, PARCEL, REFUND, open_seeing_shop, with_encoder

from kdsl.embeddings.sentence_vectors import SentenceVectors
from kdsl.review import threshold
from kdsl.review.threshold import thresholds, unlike
from kdsl.rules.condition import Condition


def conditions(*mappings: dict) -> list[Condition]:
    return [Condition.model_validate(each) for each in mappings]


def means(*wordings: str, at: float = 0.6, field: str = "last_user", **known: str) -> dict:
    return {"means": {field: list(wordings), "at": at, **known}}


def test_the_farthest_hits_and_the_nearest_others_stand_on_either_side_in_order(tmp_path):
    index = with_encoder(tmp_path).site.indexes[TASK]
    [found] = thresholds(index, conditions(means("退钱", at=0.6)), REFUND)
    assert [(each.id, each.label, round(each.similarity, 2)) for each in found.reached] == [
        ("s0", REFUND, 1.0), ("s1", REFUND, 1.0), ("s2", PARCEL, 0.71),
    ]  # fmt: skip
    assert [(each.id, each.similarity) for each in found.missed] == [("s3", 0), ("s4", 0)]
    assert found.reached[1].piece == "亲，退款到了吗" and found.reached[1].wording == "退钱"
    assert np.allclose(found.right, [1, 1], atol=1e-3) and np.allclose(found.wrong, [0.707, 0, 0], atol=1e-3)


def test_of_several_wordings_the_nearest_is_named(tmp_path):
    index = with_encoder(tmp_path).site.indexes[TASK]
    [found] = thresholds(index, conditions(means("退钱", "快递")), PARCEL)
    assert {each.id: each.wording for each in found.reached} == {
        "s0": "退钱",
        "s1": "退钱",
        "s2": "退钱",
        "s3": "快递",
    }


def test_only_samples_on_which_the_other_conditions_hold_matter(tmp_path):
    index = with_encoder(tmp_path).site.indexes[TASK]
    asked = conditions({"last_user": ["快递", "你好"]}, means("退钱"), {"not": means("快递")})
    one, other = thresholds(index, asked, REFUND)
    assert [each.id for each in (*one.reached, *one.missed)] == ["s4"]
    assert [each.id for each in (*other.reached, *other.missed)] == ["s2"] and other.negated
    assert not one.negated


def test_of_many_samples_those_next_to_the_threshold_are_shown(tmp_path, monkeypatch):
    assert threshold.BESIDE == 5
    monkeypatch.setattr(threshold, "BESIDE", 2)
    index = with_encoder(tmp_path).site.indexes[TASK]
    [found] = thresholds(index, conditions(means("退钱", at=0.6)), REFUND)
    assert [each.id for each in found.reached] == ["s1", "s2"]
    [found] = thresholds(index, conditions(means("退钱", at=1.0)), REFUND)
    assert [each.id for each in found.missed] == ["s2", "s3"] and len(found.wrong) == 3


@pytest.mark.parametrize(
    ("vectors", "asked", "sentence"),
    [
        (None, means("退钱"), "the project has none: the rule never hits; set `encoder:`"),
        (concept_vectors(), means("退钱", encoder="bge-m3"), "the encoder 'bge-m3', and the project has 'concepts'"),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_is_told_and_has_no_threshold(tmp_path, vectors, asked, sentence):
    index = open_seeing_shop(tmp_path, vectors=vectors).site.indexes[TASK]
    assert thresholds(index, conditions(asked), REFUND) == []
    [told] = unlike(index, conditions({"user": ["退"]}, asked), "en")
    assert sentence in told
    [chinese] = unlike(index, conditions({"user": ["退"]}, asked), "zh")
    assert "规则永远不会命中" in chinese


def test_an_encoder_that_is_not_installed_is_told(tmp_path):
    encoder = ConceptEncoder()
    encoder.lacks = "the package x (pip install x)"
    index = open_seeing_shop(tmp_path, vectors=SentenceVectors(encoder)).site.indexes[TASK]
    [told] = unlike(index, conditions(MEANING), "en")
    assert told.endswith("the encoder needs the package x (pip install x)")
    assert unlike(index, conditions({"user": ["退"]}), "en") == []


def test_what_can_be_compared_needs_no_words(tmp_path):
    index = with_encoder(tmp_path).site.indexes[TASK]
    assert unlike(index, conditions(MEANING, means("退钱")), "en") == []
