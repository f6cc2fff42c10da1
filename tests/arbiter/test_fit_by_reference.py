"""Everything that is fitted and decided is what a slow reading of docs/arbiter.md gives, in any small world."""

import numpy as np
import pytest
from hypothesis import Phase, assume, event, given, settings
from reference import (
    Fitted,
    World,
    best,
    choose,
    counted,
    jaccard,
    out_of_fold_evidence,
    predicted,
    speaking,
    tempered,
    worth_now,
)
from worlds import SEED, TASK_NAMES, arbiter_of, fitted, rules_of, table_of, worlds

NEAR = 1e-4
"""Choices between fits whose log losses are nearer than this may fall either way."""

in_worlds = settings(max_examples=10, deadline=None, derandomize=True, phases=[Phase.generate])


def chosen(world: World, answered: np.ndarray | None = None) -> tuple[Fitted, Fitted, float]:
    """The model alone, what decides, and how near the nearest choice was."""
    model, labels = np.array(world.model), np.array(world.labels)
    used = np.ones(len(labels), dtype=bool) if answered is None else answered
    alone = best(model[used], (0 * model[used], 0 * model[used]), labels[used], SEED)
    people, mined = out_of_fold_evidence(world, tempered(alone.a, model.tolist()), np.flatnonzero(used).tolist())
    return choose(model[used], (people[used], mined[used]), labels[used], SEED)


@in_worlds
@given(worlds())
def test_the_arbiter_is_the_references(world: World):
    alone, both, nearest = chosen(world)
    assume(nearest > NEAR)
    arbiter = arbiter_of(world)
    event(arbiter.listens_to)
    assert (arbiter.a, arbiter.b_people, arbiter.b_mined) == pytest.approx(
        (both.a, both.b_people, both.b_mined), rel=0.02, abs=0.005
    )
    assert arbiter.model_a == pytest.approx(alone.a, rel=0.02)
    assert arbiter.samples == len(world.texts)
    assert arbiter.base_rates == tuple(world.base_rate(label) for label in range(world.n_labels))
    assert arbiter.model.log_loss == pytest.approx(alone.log_loss, abs=1e-3)
    assert arbiter.model.weighted_f1 == pytest.approx(alone.f1(world.labels))
    assert arbiter.both.log_loss == pytest.approx(both.log_loss, abs=1e-3)
    assert arbiter.both.weighted_f1 == pytest.approx(both.f1(world.labels))


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
    now = speaking(world, tempered(arbiter.model_a, world.model))
    for standing, rule in zip(arbiter.rules, now, strict=True):
        weight = standing.accepted_weight if rule.approved else standing.weight
        assert weight == pytest.approx(rule.weight, abs=1e-6)
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
        pool = arbiter.a, arbiter.b_people, arbiter.b_mined
        alone, both = predicted(world, pool, arbiter.model_a, world.model[i], world.texts[i])
        assert decision.model.tolist() == pytest.approx(alone, abs=1e-6)
        assert decision.merged.tolist() == pytest.approx(both, abs=1e-3)
        assert decision.label == TASK_NAMES[int(np.argmax(decision.merged))]
        assert decision.by == ("model" if np.argmax(decision.merged) == np.argmax(decision.model) else "rules")


@in_worlds
@given(worlds())
def test_samples_without_an_answer_of_the_model_are_not_fitted_on(world: World):
    answered = np.arange(len(world.texts)) % 4 != 1
    assume(len(set(np.array(world.labels)[answered].tolist())) > 1)
    _, both, nearest = chosen(world, answered)
    assume(nearest > NEAR)
    arbiter = arbiter_of(world, answered)
    assert arbiter.samples == answered.sum()
    assert (arbiter.a, arbiter.b_people, arbiter.b_mined) == pytest.approx(
        (both.a, both.b_people, both.b_mined), rel=0.02, abs=0.005
    )
