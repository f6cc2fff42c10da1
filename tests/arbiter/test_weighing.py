"""What a rule weighs, by what training found out about it and what people decided."""

import numpy as np
import pytest

from kdsl.arbiter.shift import Heard
from kdsl.arbiter.weighing import Measured, Standing, weights_of
from kdsl.mining.reliability import Shown, rule_weights
from kdsl.rules.condition import Condition
from kdsl.rules.rule import Provenance, Review, Rule, When, rule_id
from kdsl.rules.rulebase import MINED
from kdsl.rules.statistics import RuleStatistics, TrainingCounts, wilson_interval

DIMMING = (Condition(field="user", terms=("亮度",)),)
ID = rule_id("lamps", "调光", DIMMING)
RULE = Rule(id=ID, label="调光", when=When(all=DIMMING), provenance=Provenance(source=MINED))
SHOWN = Shown(hits=10, correct=7, positives=12, conditions=1, negations=0, further_terms=0, described=0.0)
DOUBTFUL = Measured(id=ID, when=RULE.when_hash, label="调光", reliability=0.4, hits=10, correct=7)


@pytest.mark.parametrize(
    ("reliability", "base_rate", "weight"),
    [
        (0.8, 0.5, np.log(4)),
        (0.8, 0.2, np.log(16)),
        (0.5, 0.5, 0),
        (0.2, 0.5, 0),  # a rule worse than a guess does not speak against its label
        (1.0, 0.5, np.log(999)),
    ],
)
def test_a_rule_weighs_how_much_it_raises_the_log_odds_of_its_label(reliability, base_rate, weight):
    assert rule_weights(np.array([reliability]), np.array([base_rate])) == pytest.approx([weight])


def measured(reliability: float | None) -> RuleStatistics:
    counts = TrainingCounts(hits=10, correct=7, positives=12, samples=60)
    return RuleStatistics(
        id=ID, when=RULE.when_hash, training=counts, reliability=reliability, base_rate=0.2, candidates=100
    )


def test_a_mined_rule_is_worth_what_mining_measured_and_any_other_what_its_counts_suggest():
    assert Measured.of("lamps", RULE, SHOWN, 0.6, measured(0.7)).reliability == 0.7
    assert Measured.of("lamps", RULE, SHOWN, 0.6, measured(None)).reliability == 0.6
    assert Measured.of("lamps", RULE, SHOWN, 0.6).reliability == 0.6
    by_hand = RULE.model_copy(update={"provenance": Provenance(source="human")})
    assert Measured.of("lamps", by_hand, SHOWN, 0.6, measured(0.7)).reliability == 0.6
    other_label = RULE.model_copy(update={"label": "材质"})
    assert Measured.of("lamps", other_label, SHOWN, 0.6, measured(0.7)).reliability == 0.6


def test_no_estimate_is_above_what_the_counts_allow():
    standing = Measured.of("lamps", RULE, SHOWN, 0.99)
    assert standing.reliability == wilson_interval(7, 10)[1]
    assert (standing.id, standing.when, standing.hits, standing.correct) == (ID, RULE.when_hash, 10, 7)


@pytest.mark.parametrize(("estimate", "reliability"), [(0.0, 0.001), (1.0, 0.999)])
def test_nothing_is_certain(estimate, reliability):
    assert Measured.of("lamps", RULE, SHOWN, 0.6, measured(estimate)).reliability == reliability


@pytest.mark.parametrize(
    ("standing", "reliability"),
    [
        (DOUBTFUL, wilson_interval(7, 10)[1]),
        (DOUBTFUL.model_copy(update={"hits": 10, "correct": 9}), 0.9),  # no more than an approval promises
        (DOUBTFUL.model_copy(update={"hits": 20, "correct": 2}), 0.4),  # the counts say that it is wrong
        (DOUBTFUL.model_copy(update={"reliability": 0.95}), 0.95),
    ],
)
def test_an_approval_lifts_a_rule_as_far_as_its_counts_allow(standing, reliability):
    assert standing.reviewed(True) == reliability
    assert standing.reviewed(False) == standing.reliability


def test_an_approval_counts_while_the_conditions_are_those_that_were_approved():
    accepted = RULE.model_copy(update={"status": "accepted", "review": Review(by="a", of=RULE.when_hash)})
    assert accepted.approved
    assert not accepted.model_copy(update={"review": Review(by="a", of="0" * 16)}).approved


def test_accepted_rules_weigh_what_they_add_to_the_model_and_the_others_go_by_their_precision():
    """Ten hits where the model gives the label 0.9, and the rules are right as often: nothing is added."""
    heard = Heard.of(np.ones((10, 2), dtype=bool), np.zeros(2, dtype=np.int64), np.tile([0.9, 0.1], (10, 1)))
    weights = weights_of(heard, np.full(2, 0.9), np.full(2, 0.5), np.array([True, False]), 0.0)
    assert weights == pytest.approx([0, np.log(9)])


def test_what_would_lower_the_odds_of_its_label_weighs_nothing():
    heard = Heard.of(np.ones((10, 2), dtype=bool), np.zeros(2, dtype=np.int64), np.tile([0.9, 0.1], (10, 1)))
    weights = weights_of(heard, np.full(2, 0.3), np.full(2, 0.5), np.array([True, False]), 0.0)
    assert weights.tolist() == [0, 0]


def test_a_standing_has_the_weight_of_either_case():
    """Nowhere heard: an accepted rule has the mean, a proposed one what its precision says over the base rate."""
    nowhere = Heard(np.zeros(0), np.zeros(0, dtype=np.int64), 1)
    [standing] = Standing.of_all([DOUBTFUL], nowhere, np.array([0.2]), 1.5)
    assert standing.weight == pytest.approx(np.log(0.4 / 0.6) - np.log(0.2 / 0.8))
    assert standing.accepted_weight == pytest.approx(1.5)
