"""Everything that is fitted and decided is what a slow reading of docs/arbiter.md gives, in any small world."""

import numpy as np
import pytest
from hypothesis import Phase, assume, event, given, settings
from reference import World, choose, counted, jaccard, out_of_fold_evidence, predicted, worth_now
from worlds import SEED, TASK_NAMES, arbiter_of, fitted, rules_of, table_of, worlds

NEAR = 1e-4
"""Choices between fits whose log losses are nearer than this may fall either way."""

in_worlds = settings(max_examples=30, deadline=None, derandomize=True, phases=[Phase.generate])


@in_worlds
@given(worlds())
def test_the_arbiter_is_the_references(world: World):
    everything, accepted = out_of_fold_evidence(world)
    model, labels = np.array(world.model), np.array(world.labels)
    listens_to, (a, b), compared, nearest = choose(model, everything, accepted, labels, SEED)
    assume(nearest > NEAR)
    event(listens_to)
    arbiter = arbiter_of(world)
    assert arbiter.listens_to == listens_to
    assert (arbiter.a, arbiter.b) == pytest.approx((a, b), rel=0.02, abs=0.005)
    assert arbiter.model_a == pytest.approx(compared.alone[0], rel=0.02)
    assert arbiter.samples == len(world.texts)
    assert arbiter.base_rates == tuple(world.base_rate(label) for label in range(world.n_labels))
    assert arbiter.model.log_loss == pytest.approx(compared.alone_log_loss, abs=1e-3)
    assert arbiter.model.weighted_f1 == pytest.approx(compared.alone_f1)
    decides_merged = listens_to == "all" or (listens_to == "accepted" and accepted.any())
    log_loss, f1 = (
        (compared.pool_log_loss, compared.pool_f1) if decides_merged else (compared.alone_log_loss, compared.alone_f1)
    )
    assert arbiter.both.log_loss == pytest.approx(log_loss, abs=1e-3)
    assert arbiter.both.weighted_f1 == pytest.approx(f1)


@in_worlds
@given(worlds())
def test_what_every_rule_is_worth_is_the_references(world: World):
    arbiter, everyone = arbiter_of(world), range(len(world.texts))
    active = [(known, rule) for known, rule in zip(world.base, rules_of(world), strict=True) if known.active]
    assert [(each.id, each.when, each.label) for each in arbiter.rules] == [
        (rule.id, rule.when_hash, TASK_NAMES[known.label]) for known, rule in active
    ]
    for standing, (known, _) in zip(arbiter.rules, active, strict=True):
        counts = counted(world, known.conditions, known.label, everyone)
        assert (standing.hits, standing.correct) == (counts.hits, counts.correct)
        assert standing.reliability == pytest.approx(worth_now(world, known))
    shared = {(i, j): value for i, j, value in arbiter.overlaps}
    assert len(shared) == len(arbiter.overlaps)
    for j, (second, _) in enumerate(active):
        for i, (first, _) in enumerate(active[:j]):
            value = jaccard(world, first.conditions, second.conditions, everyone) * (first.label == second.label)
            assert shared.pop((i, j), 0.0) == pytest.approx(value, abs=1e-4)
    assert shared == {}


@in_worlds
@given(worlds())
def test_decisions_are_the_references(world: World):
    task = fitted(world)
    arbiter = task.arbiter
    for i, decision in enumerate(task.decide(table_of(world))):
        alone, both = predicted(
            world, arbiter.listens_to, arbiter.a, arbiter.b, arbiter.model_a, world.model[i], world.texts[i]
        )
        assert decision.model.tolist() == pytest.approx(alone, abs=1e-6)
        assert decision.merged.tolist() == pytest.approx(both, abs=1e-3)
        assert decision.label == TASK_NAMES[int(np.argmax(decision.merged))]
        assert decision.by == ("model" if np.argmax(decision.merged) == np.argmax(decision.model) else "rules")


@in_worlds
@given(worlds())
def test_samples_without_an_answer_of_the_model_are_not_fitted_on(world: World):
    answered = np.arange(len(world.texts)) % 4 != 1
    assume(len(set(np.array(world.labels)[answered].tolist())) > 1)
    everything, accepted = out_of_fold_evidence(world)
    model, labels = np.array(world.model), np.array(world.labels)
    listens_to, (a, b), _, nearest = choose(
        model[answered], everything[answered], accepted[answered], labels[answered], SEED
    )
    assume(nearest > NEAR)
    arbiter = arbiter_of(world, answered)
    assert (arbiter.listens_to, arbiter.samples) == (listens_to, answered.sum())
    assert (arbiter.a, arbiter.b) == pytest.approx((a, b), rel=0.02, abs=0.005)
