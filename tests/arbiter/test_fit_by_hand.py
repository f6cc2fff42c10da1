"""What is fitted on samples that neither model nor rules learned from: cases whose numbers one can check by hand."""

from dataclasses import replace

import numpy as np
import pytest
import reference
from hypothesis import Phase, given, settings
from reference import Counts, Known, Mined, World
from worlds import arbiter_of, archive_of, rules_of, table_of, task_of, worlds

from kdsl.arbiter.choice import choose_rules
from kdsl.arbiter.evidence import RuleEvidence
from kdsl.arbiter.fit import fit_arbiter, fold_rules, out_of_fold_evidence
from kdsl.errors import KdslError
from kdsl.mining.reliability import FEATURES
from kdsl.rules.rule import Provenance, Rule
from kdsl.rules.rulebase import DRAFT

A, B = ((("甲",), False),), ((("乙",), False),)
"""Conditions: the sample has the word."""
SURE, EVEN, NEVER = 3.0, 0.0, -3.0
"""Biases of a reliability map that gives every rule the same: 0.953, 0.5 and 0.047."""
SURE_WEIGHT = 3.0
"""Log odds of 0.953 over those of a base rate of one half."""


def halves(inside: str, outside: str, base=(), mined=(), bias=SURE, chance=False) -> World:
    """Eight samples in two folds; the labels are 0 0 1 1 in each. `inside` are the words of fold 0, `outside` those of
    fold 1, and the rules in `mined` were mined without fold 0."""
    labels = (0, 0, 1, 1) * 2
    model = ((0.5, 0.5),) * 8
    texts = tuple(word.replace("-", "无") for word in inside + outside)
    return World(2, texts, labels, (0,) * 4 + (1,) * 4, model, base, (mined, ()), bias, (0.0,) * len(FEATURES), chance)


def speaking(world: World) -> list[tuple[str, float]]:
    """The rules that speak on fold 0: label and reliability."""
    labels, outside = np.array(world.labels), np.array(world.folds) != 0
    spoken = fold_rules(task_of(world), table_of(world), labels, archive_of(world), 0, rules_of(world), outside)
    assert spoken.hits.shape == (8, len(spoken.rules))
    return [
        (rule.label, round(value, 3)) for rule, value in zip(spoken.rules, spoken.reliability.tolist(), strict=True)
    ]


FOUND = Mined(A, 0, Counts(9, 9))


def test_a_rule_that_the_folds_mining_found_speaks_on_it():
    assert speaking(halves("甲---", "甲---", mined=(FOUND,))) == [("子", 0.953)]


@pytest.mark.parametrize("status", ["proposed", "accepted"])
def test_a_rule_of_the_base_does_not_enter_a_fold_without_being_found_there(status):
    known = Known(A, 0, status, approved=status == "accepted", measured=0.9)
    assert speaking(halves("甲甲--", "甲甲--", (known,))) == []


@pytest.mark.parametrize("status", ["rejected", "disabled"])
def test_what_people_ruled_out_does_not_speak_though_it_was_found(status):
    assert speaking(halves("甲---", "甲---", (Known(A, 0, status),), (FOUND,))) == []
    assert speaking(halves("甲---", "甲---", (Known(A, 1, status),), (FOUND,))) == [("子", 0.953)]
    assert speaking(halves("甲---", "甲---", (Known(A, 0, status, as_mined=False),))) == []


@pytest.mark.parametrize(
    ("bias", "correct", "chance", "enters"),
    [
        (1.01, 9, False, True),  # log odds above those of the base rate, 0, by more than 1
        (0.99, 9, False, False),
        (SURE, 1, False, True),
        (SURE, 0, False, False),  # was never right
        (SURE, 9, True, False),  # nothing that was mined is better than chance
    ],
)
def test_mined_rules_enter_a_fold_as_they_would_enter_the_base(bias, correct, chance, enters):
    mined = (Mined(A, 0, Counts(max(correct, 1), correct)),)
    for base in ((), (Known(A, 0, measured=0.9),)):  # that mining found it on all samples too does not help it
        assert bool(speaking(halves("甲---", "甲---", base, mined, bias, chance))) == enters
    assert speaking(halves("甲---", "甲---", (Known(A, 0, "accepted", approved=True),), mined, bias, chance))


def test_a_rule_written_by_hand_is_measured_without_the_fold_it_speaks_on():
    """Right four times of four in the fold and wrong four times of four outside: 0.5 of 4.5."""
    world = replace(halves("甲甲甲甲", "甲甲甲甲", (Known(A, 0, as_mined=False),)), labels=(0, 0, 0, 0, 1, 1, 1, 1))
    assert speaking(world) == [("子", 0.111)]
    assert speaking(replace(world, labels=(1, 1, 1, 1, 0, 0, 0, 0))) == [("子", 0.953)]


@pytest.mark.parametrize(
    ("outside", "reliability"),
    [
        ("----", 0.953),  # no hit: nothing speaks against the estimate
        ("甲甲--", 0.953),  # 2 of 2
        ("甲甲甲-", 0.714),  # 2 of 3
        ("甲甲甲甲", 0.556),  # 2 of 4
        ("--甲甲", 0.2),  # 0 of 2
    ],
)
def test_a_rule_written_by_hand_is_worth_no_more_than_its_own_counts_allow(outside, reliability):
    """Half a correct hit is added to both counts."""
    assert speaking(halves("甲---", outside, (Known(A, 0, as_mined=False),))) == [("子", reliability)]


def test_a_rule_written_by_hand_that_mining_found_too_speaks_once():
    world = halves("甲---", "甲---", (Known(A, 0, as_mined=False),), (FOUND,))
    assert speaking(world) == [("子", 0.953)]
    other = halves("甲---", "甲---", (Known(A, 1, as_mined=False),), (FOUND,))
    assert [label for label, _ in speaking(other)] == ["子", "丑"]


def test_an_approval_lifts_a_rule_out_of_fold_as_far_as_its_counts_there_allow():
    for status, counts, reliability in (
        ("accepted", Counts(10, 7), 0.892),
        ("accepted", Counts(10, 0), 0.278),
        ("proposed", Counts(10, 7), 0.5),
    ):
        known = Known(A, 0, status, approved=status == "accepted")
        found = speaking(halves("甲---", "甲---", (known,), (Mined(A, 0, counts),), EVEN))
        assert found == ([("子", reliability)] if status == "accepted" else [])


def said(world: World) -> RuleEvidence:
    labels, answered = np.array(world.labels), np.ones(len(world.labels), dtype=bool)
    return out_of_fold_evidence(
        task_of(world), table_of(world), labels, np.array(world.model), answered, archive_of(world), rules_of(world)
    )


def test_overlaps_are_measured_on_the_other_folds():
    """Both words stand in one sample of fold 0 and apart everywhere else: the two rules say different things."""
    texts = ("甲乙", "无", "无", "无", "甲", "乙", "无", "无")
    mined = (Mined(A, 0, Counts(9, 9)), Mined(B, 0, Counts(9, 9)))
    world = replace(halves("----", "----", mined=mined), texts=texts)
    assert said(world).mined[0].tolist() == pytest.approx([2 * SURE_WEIGHT, 0])
    together = replace(world, texts=("甲乙", "甲", "乙", "无", "甲乙", "无", "无", "无"))
    assert said(together).mined[0].tolist() == pytest.approx([SURE_WEIGHT, 0])
    half = replace(world, texts=("甲乙", "无", "无", "无", "甲乙", "乙", "无", "无"))  # 1 of 2 samples in common
    assert said(half).mined[0].tolist() == pytest.approx([SURE_WEIGHT * (2 - 1 / 4), 0])


def test_accepted_rules_and_the_others_have_evidence_of_their_own():
    """Nothing is hit outside the fold: an accepted rule shifts what is assumed of all, ln 16."""
    mined = (Mined(A, 0, Counts(9, 9)), Mined(B, 1, Counts(9, 9)))
    world = halves("甲乙--", "----", (Known(A, 0, "accepted", approved=True),), mined)
    people, proposed = said(world)
    assert people.round(3).tolist() == [[2.773, 0]] + [[0, 0]] * 7
    assert proposed.round(3).tolist() == [[0, 0], [0, 3]] + [[0, 0]] * 6
    stale = said(halves("甲乙--", "----", (Known(A, 0, "accepted", approved=False),), mined))
    assert not stale.people.any()
    assert stale.mined.round(3).tolist() == [[3, 0], [0, 3]] + [[0, 0]] * 6


def with_source(world: World, source: str) -> list[Rule]:
    return [rule.model_copy(update={"provenance": Provenance(source=source)}) for rule in rules_of(world)]


@pytest.mark.parametrize(
    ("source", "status", "people", "mined"),
    [
        (DRAFT, "proposed", False, False),  # it was refined on the samples of the fold, too
        (DRAFT, "accepted", True, False),
        ("", "proposed", False, True),
        ("", "accepted", True, False),
    ],
)
def test_what_nobody_accepted_never_speaks_for_people_and_a_draft_only_once_accepted(source, status, people, mined):
    known = Known(A, 0, status, as_mined=False, approved=status == "accepted")
    world = halves("甲甲--", "甲甲--", (known,))
    found = out_of_fold_evidence(
        task_of(world), table_of(world), np.array(world.labels), np.array(world.model), np.ones(8, dtype=bool),
        archive_of(world), with_source(world, source),
    )  # fmt: skip
    assert (found.people.any(), found.mined.any()) == (people, mined)


def test_a_sample_that_gave_a_rule_its_wording_is_not_hit_by_it():
    world = halves("甲甲--", "甲甲--", mined=(FOUND,))
    archive = archive_of(world)
    [rule] = archive.held_out[0]
    given = archive.model_copy(update={"held_out": ((rule.model_copy(update={"gave": ("s1",)}),), ())})
    spoken = fold_rules(
        task_of(world), table_of(world), np.array(world.labels), given, 0, [], np.array(world.folds) != 0
    )
    assert spoken.hits[:, 0].tolist() == [True, False, False, False, True, True, False, False]


@settings(max_examples=100, deadline=None, derandomize=True, phases=[Phase.generate])
@given(worlds())
def test_out_of_fold_evidence_is_the_references(world: World):
    for ours, slow in zip(said(world), reference.out_of_fold_evidence(world, world.model), strict=True):
        assert ours == pytest.approx(slow, abs=1e-6)


def noise(seed: int, n: int = 40) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A fair model of three labels and evidence that has nothing to do with them."""
    source = np.random.default_rng(seed)
    labels = source.integers(0, 3, n)
    model = source.dirichlet((1, 1, 1), n)
    model[np.arange(n), labels] += 0.3
    return model / model.sum(axis=1, keepdims=True), source.choice([0.0, 2.0], (n, 3), p=[0.8, 0.2]), labels


def chosen(seed: int, people: bool, mined: bool) -> tuple[float, float]:
    """b_people and b_mined where the same noise is what these rules say."""
    model, evidence, labels = noise(seed)
    choice = choose_rules(model, RuleEvidence(evidence * people, evidence * mined), labels, 0)
    return choice.both.pool.b_people, choice.both.pool.b_mined


def in_errors(seed: int, people: bool) -> float:
    """By how many standard errors the noise makes the log loss smaller, by the slow reference."""
    model, evidence, labels = noise(seed)
    said = (evidence, 0 * evidence) if people else (0 * evidence, evidence)
    alone = reference.best(model, said, labels, 0)
    ways = [(*alone.steps, (False, True, False))] if people else [((each, True, True),) for each in (False, True)]
    gain, error = reference.gain(reference.best(model, said, labels, 0, ways), alone)
    return gain / error if error else 0.0


def fitted_on_all(seed: int) -> float:
    model, evidence, labels = noise(seed)
    said = 0 * evidence, evidence
    ways = [((each, False, True),) for each in (False, True)]
    return reference.best(model, said, labels, 0, ways).b_mined


@pytest.mark.parametrize("seed", range(12))
def test_accepted_rules_are_left_out_only_where_they_lose_more_than_a_standard_error(seed):
    b_people, _ = chosen(seed, True, False)
    assert (b_people > 0) == (in_errors(seed, True) >= -1)


@pytest.mark.parametrize("seed", range(12))
def test_proposed_rules_count_exactly_where_the_log_loss_gets_smaller(seed):
    _, b_mined = chosen(seed, False, True)
    if b_mined > 0:
        assert in_errors(seed, False) > 0
    else:  # or it is 0 as fitted on all samples
        assert in_errors(seed, False) <= 0 or fitted_on_all(seed) == pytest.approx(0, abs=1e-3)


def test_the_draws_tell_the_bounds_apart():
    """Noise that loses, by less than a standard error and by more, and noise that happens to gain."""
    people, mined = ([in_errors(seed, part) for seed in range(12)] for part in (True, False))
    assert min(people) < -1 < max(people)
    assert any(-1 < each < 0 for each in people)
    assert min(mined) < 0 < max(mined)


def test_accepted_rules_that_no_fold_found_count_in_full():
    world = halves("甲---", "甲---", (Known(A, 0, "accepted", approved=True),))
    arbiter = arbiter_of(world)
    assert (arbiter.listens_to, arbiter.b_people, arbiter.b_mined) == ("accepted", 1, 0)
    assert arbiter.a == arbiter.model_a
    assert arbiter.both == arbiter.model


def test_a_label_without_samples_has_the_base_rate_0():
    third = Mined(B, 2, Counts(9, 9))
    world = replace(halves("甲---", "甲---", mined=(FOUND, third)), n_labels=3, model=((0.4, 0.4, 0.2),) * 8)
    assert said(world).mined.shape == (8, 3)
    assert arbiter_of(world).base_rates == (0.5, 0.5, 0.0)


@pytest.mark.parametrize(("measured", "reliability"), [(1.0, 0.999), (0.0, 0.001), (0.5, 0.5)])
def test_no_reliability_is_certainty(measured, reliability):
    [standing] = arbiter_of(halves("甲---", "甲---", (Known(A, 0, measured=measured),))).rules
    assert standing.reliability == pytest.approx(reliability)


def test_rules_mined_from_other_samples_are_refused():
    world = halves("甲---", "甲---")
    table, labels, model = (
        table_of(replace(world, texts=world.texts[:7])),
        np.array(world.labels[:7]),
        np.full((7, 2), 0.5),
    )
    with pytest.raises(KdslError, match="the training samples are not those that rules were mined on"):
        fit_arbiter(task_of(world), table, labels, model, archive_of(world), [], {}, seed=0)
