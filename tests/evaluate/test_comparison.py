"""Two sets of predictions sample by sample, against plain references."""

import itertools
import json
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kept_runs import LABELS, kept
from sklearn.metrics import f1_score

from kdsl.evaluate.bootstrap import intervals
from kdsl.evaluate.comparison import compare, mcnemar
from kdsl.evaluate.metrics import Outcome
from kdsl.evaluate.paired import paired_scores

TASKS = {"shop": LABELS}
A, B, C = LABELS


def sides(rows):
    """(truth, old label, new label) a sample."""
    new = [kept(f"s{i}", truth, after, reason=f"new {i}") for i, (truth, _, after) in enumerate(rows)]
    old = [kept(f"s{i}", truth, before, reason=f"old {i}") for i, (truth, before, _) in enumerate(rows)]
    return new, old


def one(rows):
    [task] = compare(*sides(rows), TASKS, seed=0).tasks
    return task


def test_gains_losses_and_those_wrong_in_another_way_are_told_apart():
    task = one([(A, A, A), (A, B, A), (B, B, C), (B, A, C), (C, None, C), (C, C, None)])
    assert (task.samples, task.gained, task.lost) == (6, 2, 2)
    assert [(change.kind, change.new.id) for change in task.changes] == [
        ("right to wrong", "s2"), ("right to wrong", "s5"), ("wrong to right", "s1"), ("wrong to right", "s4"),
        ("wrong to wrong", "s3"),
    ]  # fmt: skip
    first = task.changes[0]
    assert (first.truth, first.old.reason, first.new.reason) == (B, "old 2", "new 2")
    assert [change.new.id for change in task.of("wrong to wrong")] == ["s3"]


def test_scores_are_those_of_scikit_learn():
    rows = [(A, A, A), (A, B, A), (B, B, B), (B, A, C), (C, C, A), (C, C, C), (C, A, C)]
    task = one(rows)
    truth, old, new = zip(*rows, strict=True)
    for name, gain in (("weighted", task.weighted_f1), ("macro", task.macro_f1)):
        assert gain.old == pytest.approx(f1_score(truth, old, average=name))
        assert gain.new == pytest.approx(f1_score(truth, new, average=name))
        assert gain.difference == pytest.approx(gain.new - gain.old)
    assert (task.accuracy.old, task.accuracy.new) == (pytest.approx(4 / 7), pytest.approx(5 / 7))
    by_label = {row.label: row for row in task.labels}
    assert by_label[A].samples == 2
    assert [by_label[name].new for name in LABELS] == pytest.approx(f1_score(truth, new, average=None, labels=LABELS))


def test_labels_that_moved_come_with_the_largest_change_first():
    task = one([(A, A, A), (A, A, A), (B, B, C), (B, B, B), (C, C, C), (C, C, C), (C, C, C)])
    assert [row.label for row in task.moved] == [B, C]
    assert task.moved[0].difference == pytest.approx(2 / 3 - 1)


def test_where_predictions_went_is_counted():
    task = one([(A, A, B), (B, A, B), (C, A, B), (C, None, C), (A, A, A)])
    assert [(move.old, move.new, move.samples, move.gained, move.lost) for move in task.moves] == [
        (A, B, 3, 1, 1), (None, C, 1, 1, 0),
    ]  # fmt: skip


def test_only_samples_that_both_predicted_are_compared_and_the_others_counted():
    new, old = sides([(A, A, A), (B, A, B), (C, C, C)])
    found = compare([*new, kept("x", A, B)], [*old[1:], kept("y", A, A), kept("z", A, A)], TASKS, seed=0)
    assert (found.tasks[0].samples, found.only_new, found.only_old, found.relabelled) == (2, 2, 2, 0)
    with pytest.raises(ValueError, match="no sample is in both"):
        compare(new, [kept("y", A, A)], TASKS, seed=0)


def test_samples_of_two_tasks_with_one_id_are_two_samples():
    old = [kept("1", A, A), kept("1", B, B, task="other")]
    new = [kept("1", A, A), kept("1", B, C, task="other")]
    found = compare(new, old, {"shop": LABELS, "other": LABELS}, seed=0)
    assert [(task.task, task.samples, task.lost) for task in found.tasks] == [
        ("shop", 1, 0), ("other", 1, 1), ("pooled", 2, 1),
    ]  # fmt: skip
    assert found.tasks[-1].labels == () and found.tasks[-1].changes == ()


def test_where_the_label_of_a_sample_is_another_now_it_counts_for_both():
    found = compare([kept("1", B, B), kept("2", A, A)], [kept("1", A, A), kept("2", A, A)], TASKS, seed=0)
    assert (found.relabelled, found.tasks[0].gained, found.tasks[0].lost) == (1, 1, 0)
    assert found.tasks[0].changes[0].truth == B


def test_a_label_that_the_task_no_longer_has_is_compared_too():
    task = compare([kept("1", A, A), kept("2", B, A)], [kept("1", A, "旧"), kept("2", B, B)], TASKS, seed=0).tasks[0]
    assert [row.label for row in task.labels] == [A, B, "旧"]
    assert task.labels[2].new is None and task.labels[2].old == 0


@given(st.integers(0, 9), st.integers(0, 9))
def test_mcnemars_test_is_the_share_of_all_tosses_that_are_no_likelier(gained, lost):
    n = gained + lost
    chances = [comb(n, heads) for heads in range(n + 1)]
    assert mcnemar(gained, lost) == pytest.approx(sum(c for c in chances if c <= chances[gained]) / 2**n)


def flags(indices, width=3):
    return np.asarray(indices)[:, None] == np.arange(width)


def by_formula(truth, said) -> list[float]:
    """Accuracy, weighted, macro and micro F1, and F1 of each of three labels: 2 hits / (said + true)."""
    true, of_said = flags(truth), flags(said)
    hits, both = (true & of_said).sum(axis=0), true.sum(axis=0) + of_said.sum(axis=0)
    f1 = 2 * hits / np.maximum(both, 1)
    weighted = f1 @ true.sum(axis=0) / len(truth)
    return [np.mean(truth == said), weighted, f1.mean(), 2 * hits.sum() / both.sum(), *f1]


def test_the_formula_is_that_of_scikit_learn():
    truth, said = np.array([0, 0, 1, 2, 2, 1]), np.array([0, 1, 1, -1, 2, 0])
    averages = [
        f1_score(truth, said, average=average, labels=[0, 1, 2], zero_division=0)
        for average in ("weighted", "macro", "micro")
    ]
    by_label = f1_score(truth, said, average=None, labels=[0, 1, 2], zero_division=0)
    assert by_formula(truth, said) == pytest.approx([3 / 6, *averages, *by_label])


def test_intervals_are_those_of_resampling_the_samples_one_by_one():
    generator = np.random.default_rng(1)
    truth = generator.integers(0, 3, 120)
    old = np.where(generator.random(120) < 0.6, truth, generator.integers(0, 3, 120))
    new = np.where(generator.random(120) < 0.3, truth, old)
    new[::10] = -1
    found = paired_scores(flags(truth), flags(new), flags(old), seed=0, n_resamples=4000)
    differences = []
    for _ in range(1500):
        drawn = generator.integers(0, 120, 120)
        differences.append(np.subtract(*(by_formula(truth[drawn], each[drawn]) for each in (new, old))))
    low, high = np.quantile(differences, [0.025, 0.975], axis=0)
    gains = [found.accuracy, found.weighted_f1, found.macro_f1, found.micro_f1, *found.label_f1]
    assert [gain.interval.low for gain in gains] == pytest.approx(low, abs=0.03)
    assert [gain.interval.high for gain in gains] == pytest.approx(high, abs=0.03)


def test_pairing_narrows_the_interval_of_predictors_that_mostly_agree():
    generator = np.random.default_rng(2)
    truth = generator.integers(0, 3, 300)
    old = np.where(generator.random(300) < 0.6, truth, (truth + 1) % 3)
    new = np.where(np.arange(300) < 15, truth, old)
    gain = paired_scores(flags(truth), flags(new), flags(old), seed=0).accuracy
    alone = intervals(Outcome(truth, old), seed=0).accuracy
    assert gain.interval.low <= gain.difference <= gain.interval.high
    assert gain.interval.high - gain.interval.low < (alone.high - alone.low) / 2


def test_samples_with_several_labels_are_right_where_all_of_them_are():
    rows = [((A, B), (A,), (B, A)), ((C,), (C,), ()), ((), (), ()), ((A, C), (A, B), (C,))]
    found = compare(*sides(rows), TASKS, seed=0)
    [task] = found.tasks
    assert [change.kind for change in task.changes] == ["right to wrong", "wrong to right", "wrong to wrong"]
    assert (task.accuracy.old, task.accuracy.new) == (0.5, 0.5)
    truth, old, new = ([[name in given for name in LABELS] for given in side] for side in zip(*rows, strict=True))
    for average, gain in (("micro", task.micro_f1), ("macro", task.macro_f1), ("weighted", task.weighted_f1)):
        assert gain.old == pytest.approx(f1_score(truth, old, average=average, zero_division=0))
        assert gain.new == pytest.approx(f1_score(truth, new, average=average, zero_division=0))
    assert [name for name, _ in task.scores][-1] == "micro F1"
    assert json.loads(json.dumps(found.record()))["tasks"][0]["changes"][1]["new"]["label"] == [B, A]


PREDICTED = st.sampled_from([*LABELS, None])


@settings(max_examples=25)
@given(st.lists(st.tuples(st.sampled_from(LABELS), PREDICTED, PREDICTED), min_size=1, max_size=25))
def test_the_other_way_round_gains_are_losses(rows):
    task, back = one(rows), one([(truth, new, old) for truth, old, new in rows])
    assert (task.gained, task.lost, task.p_value) == (back.lost, back.gained, back.p_value)
    for (_, gain), (_, other) in zip(task.scores, back.scores, strict=True):
        assert gain.difference == pytest.approx(-other.difference)
        assert -1 <= gain.interval.low <= gain.interval.high <= 1
    assert task.accuracy.difference == pytest.approx((task.gained - task.lost) / len(rows))
    changed = sum(old != new for _, old, new in rows)
    assert len(task.changes) == sum(move.samples for move in task.moves) == changed
    json.dumps(compare(*sides(rows), TASKS, seed=0).record(), allow_nan=False)


def test_the_same_predictions_differ_in_nothing():
    task = one([(a, b, b) for a, b in itertools.product(LABELS, LABELS)])
    assert task.changes == task.moves == () and task.moved == [] and task.p_value == 1
    assert {(gain.interval.low, gain.interval.high) for _, gain in task.scores} == {(0.0, 0.0)}
