"""RuleClassifier where a sample may have several labels: y is a list of lists."""

import numpy as np
import pytest
from several_labels_world import LABELS, world

from kdsl.errors import KdslError
from kdsl.project.rule_classifier import RuleClassifier
from kdsl.sample import Label


def texts(samples):
    return [sample.turns[0].text for sample in samples]


def lists(samples):
    return [list(sample.labels) for sample in samples]


@pytest.fixture(scope="module")
def fitted() -> RuleClassifier:
    learned = world(80, 1)
    return RuleClassifier(iterations=100, encoder="none").fit(texts(learned), lists(learned))


def test_it_gives_all_labels_that_hold(fitted):
    fresh = world(60, 2)
    found = fitted.predict(texts(fresh))
    assert found.shape == (60,)
    right = sum(set(said) == set(sample.labels) for said, sample in zip(found, fresh, strict=True))
    assert right > 50
    assert [] in found.tolist()


def test_probabilities_are_of_each_label_by_itself(fitted):
    fresh = world(20, 3)
    probabilities = fitted.predict_proba(texts(fresh))
    assert probabilities.shape == (20, 5) and fitted.classes_.tolist() == sorted(LABELS)
    assert not np.allclose(probabilities.sum(axis=1), 1)
    for row, said in zip(probabilities, fitted.predict(texts(fresh)), strict=True):
        held = {label for label, p in zip(fitted.classes_, row, strict=True) if p >= 0.5}
        assert held <= set(said)


def test_a_decision_explains_every_label(fitted):
    decision = fitted.explain("我要退款，尺码偏小怎么办")
    assert set(decision.label) == {"退款", "尺码"}
    assert {each.label for each in decision.held} == {"退款", "尺码"}
    assert all(each.reason for each in decision.decisions)


def test_what_is_saved_is_a_project_with_several_labels(fitted, tmp_path, kdsl):
    fresh = texts(world(20, 4))
    fitted.save(tmp_path / "saved")
    loaded = RuleClassifier.load(tmp_path / "saved")
    assert loaded.predict(fresh).tolist() == fitted.predict(fresh).tolist()
    assert "退款" in kdsl("predict", tmp_path / "saved", "--text", "我要退款").out


def test_sets_and_labels_that_no_sample_has_are_fine():
    learned = world(40, 1)
    classifier = RuleClassifier([*LABELS, "别的"], iterations=20, encoder="none")
    classifier.fit(texts(learned), [set(sample.labels) for sample in learned])
    column = classifier.classes_.tolist().index("别的")
    assert classifier.predict_proba(texts(learned))[:, column].max() < 0.5


def test_descriptions_are_allowed():
    learned = world(40, 1)
    described = [Label(label, f"说的是{label}") for label in LABELS]
    RuleClassifier(described, iterations=20, encoder="none").fit(texts(learned), lists(learned))


@pytest.mark.parametrize(
    ("y", "arguments", "message"),
    [
        ([["a"], ["b"]], {}, "X has 3 samples and y has 2 lists of labels; give one for every sample"),
        ([["a"], "b", []], {}, "y, item 2: 'b' is no list of labels as item 1 is; give lists, or none"),
        ([["a", "a"], ["b"], []], {}, r"y, item 1: \['a', 'a'\] names a label twice; keep one of the two"),
        ([[], [], []], {}, "y: no sample has a label; give some that do"),
        ([["a"], ["b"], ["c"]], {"labels": ["a", "b"]}, "'c' is none of the labels; they are 'a', 'b'"),
        ([["a"], ["b"], []], {"large": "neighbours"}, r"large: neighbours: the samples of samples may have several"),
    ],
)
def test_anything_else_is_named(y, arguments, message):
    with pytest.raises(KdslError, match=message):
        RuleClassifier(iterations=10, encoder="none", **arguments).fit(["一", "二", "三"], y)
