"""The detector of what belongs to no label."""

from dataclasses import replace

import numpy as np
import pytest

from kdsl.arbiter.evidence import RuleEvidence
from kdsl.arbiter.pool import Pool
from kdsl.arbiter.scope import SCOPE_FILE, Belief, HeldOutLabels, Scope, _most_lost, fit_scope
from kdsl.errors import KdslError
from kdsl.fields.sidecar import Sidecars
from kdsl.fields.table import FieldTable
from kdsl.sample import Sample, Turn

WORDS = ["退款", "尺码", "物流", "颜色", "保修"]
N_LABELS, OTHER = 6, 5
ALONE = Pool(1.0, 0.0, 0.0)
HEARS = Pool(1.0, 1.0, 1.0)


def table(words: list[str]) -> FieldTable:
    samples = [Sample(f"s{i}", "shop", (Turn("user", f"{word}怎么{i}"),)) for i, word in enumerate(words)]
    return FieldTable(samples, Sidecars())


def sure(labels: np.ndarray, share: float) -> np.ndarray:
    """Probabilities that give each label the share, and the others the rest."""
    found = np.full((len(labels), N_LABELS), (1 - share) / (N_LABELS - 1))
    found[np.arange(len(labels)), labels] = share
    return found


def world(n: int = 20, examples: int = 0, evidence: float = 0.0):
    """`n` samples a label that the model is sure of; a sample of a held-out label gets another, less surely."""
    labels = np.repeat(np.arange(5), n)
    words = [WORDS[label] for label in labels] + ["天气"] * examples
    model = np.vstack([sure(labels, 0.9), sure(np.arange(examples) % 5, 0.4)])
    labels = np.concatenate([labels, np.full(examples, OTHER)])
    rules = RuleEvidence.none(len(labels), N_LABELS)
    rules.mined[np.arange(5 * n), labels[: 5 * n]] = evidence
    rounds = []
    for held_out in range(5):
        seen = np.arange(N_LABELS) != held_out
        rows = np.flatnonzero((labels != OTHER) & ((labels == held_out) | (np.arange(len(labels)) % 5 == 0)))
        outside = labels[rows] == held_out
        guess = np.where(outside, (held_out + 1) % 5, labels[rows])
        said = np.where(outside[:, None], sure(guess, 0.45), sure(guess, 0.9)) * seen
        rounds.append(HeldOutLabels(rows, outside, seen, said))
    return table(words), labels, model, rules, rounds


def fitted(pool: Pool = ALONE, **options) -> Scope:
    own, labels, model, rules, rounds = world(**options)
    found = fit_scope(own, labels, OTHER, pool, model, rules, rounds)
    assert found is not None
    return found[0]


def belief(words: list[str], model: np.ndarray, scope: Scope, rules: RuleEvidence | None = None) -> Belief:
    asked = FieldTable([replace(row.sample, id=f"new{row.sample.id}") for row in table(words).rows], Sidecars())
    return Belief(model, rules or RuleEvidence.none(*model.shape), scope.near(asked))


def test_what_is_unsure_and_far_belongs_to_none_and_what_is_sure_and_near_does():
    scope = fitted()
    model = np.vstack([sure(np.array([0]), 0.9), sure(np.array([0]), 0.3)])
    said = scope.merged(ALONE, belief(["退款", "天气"], model, scope))
    assert said.argmax(axis=1).tolist() == [0, OTHER]
    assert np.allclose(said.sum(axis=1), 1)


def test_each_sign_counts_in_its_direction():
    logit, near, spoken = fitted(evidence=2.0, pool=HEARS).weights
    assert logit > 0 and near > 0 and spoken > 0


def test_rules_that_do_not_count_are_no_sign():
    assert fitted(evidence=2.0, pool=ALONE).weights[2] == 0


def test_labels_but_other_share_the_rest_as_the_pool_has_them():
    scope = fitted()
    model = np.array([[0.5, 0.25, 0.05, 0.05, 0.05, 0.1]])
    said = scope.merged(ALONE, belief(["退款"], model, scope))[0]
    assert said[0] / said[1] == pytest.approx(2.0)


def test_a_rule_for_other_speaks_for_it():
    scope = fitted()
    model, rules = sure(np.array([0]), 0.9), RuleEvidence.none(1, N_LABELS)
    rules.people[0, OTHER] = 12.0
    assert scope.merged(HEARS, belief(["退款"], model, scope)).argmax() == 0
    assert scope.merged(HEARS, belief(["退款"], model, scope, rules)).argmax() == OTHER
    assert scope.merged(ALONE, belief(["退款"], model, scope, rules)).argmax() == 0  # which does not hear rules


def test_few_of_the_samples_that_belong_are_lost():
    own, labels, model, rules, rounds = world(n=40)
    found = fit_scope(own, labels, OTHER, ALONE, model, rules, rounds)
    assert found is not None
    lost = (found[1].argmax(axis=1) != labels).sum()
    assert lost <= _most_lost(len(labels))


@pytest.mark.parametrize(("n_samples", "lost"), [(50, 0), (98, 0), (200, 1), (1000, 20)])
def test_from_few_samples_less_is_given_up(n_samples, lost):
    assert _most_lost(n_samples) == lost


def test_samples_of_other_are_learned_from():
    """What the model says for `other` counts once there are some."""
    assert len(fitted().weights) == 3
    scope = fitted(examples=8)
    assert len(scope.weights) == 4 and scope.weights[3] <= 0


def test_without_rounds_the_examples_tell_alone():
    own, labels, model, rules, _ = world(examples=8)
    found = fit_scope(own, labels, OTHER, ALONE, model, rules, [])
    assert found is not None
    assert (found[1][labels == OTHER].argmax(axis=1) == OTHER).all()


def test_nothing_is_learned_from_nothing():
    own, labels, model, rules, _ = world(examples=4)
    assert fit_scope(own, labels, OTHER, ALONE, model, rules, []) is None


def test_what_is_saved_says_the_same(tmp_path):
    scope = fitted()
    scope.save(tmp_path)
    loaded = Scope.load(tmp_path, N_LABELS)
    model = sure(np.array([0, 2]), 0.6)
    asked = belief(["退款", "物流"], model, scope)
    assert np.array_equal(loaded.merged(ALONE, asked), scope.merged(ALONE, asked))
    assert np.array_equal(belief(["退款", "物流"], model, loaded).near, asked.near)


def test_a_damaged_file_is_one_sentence(tmp_path):
    fitted().save(tmp_path)
    with pytest.raises(KdslError, match=r"scope\.npz: damaged .*label 5 of 3"):
        Scope.load(tmp_path, 3)
    (tmp_path / SCOPE_FILE).write_bytes(b"PK")
    with pytest.raises(KdslError, match=r"scope\.npz"):
        Scope.load(tmp_path, N_LABELS)


def test_the_threshold_gives_up_as_many_as_it_may_and_no_more():
    own, labels, model, rules, rounds = world(n=40)
    unsure = np.arange(0, 200, 10)
    model[unsure] = np.vstack([sure(labels[[row]], 0.25 + row / 4000) for row in unsure])
    found = fit_scope(own, labels, OTHER, ALONE, model, rules, rounds)
    assert found is not None
    scope, said = found
    assert (said.argmax(axis=1) != labels).sum() == _most_lost(200) == 1
    assert scope.shift < 0
    undisturbed = replace(scope, shift=0.0).merged(ALONE, Belief(model, rules, scope.near(own)))
    assert (undisturbed.argmax(axis=1) == OTHER).sum() == len(unsure)
