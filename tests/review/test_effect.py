"""The page decides as the arbiter does: with a rule and without it, and with an edited or new one after training."""

import numpy as np
import pytest
from reviewed_shop import LABELS, open_shop
from rule_files import TASK

from kdsl.arbiter.arbiter import Arbiter, Quality
from kdsl.arbiter.evidence import overlap
from kdsl.arbiter.shift import Heard
from kdsl.arbiter.weighing import Measured, Standing
from kdsl.mining.archive import shown_of
from kdsl.mining.reliability import FEATURES, Reliability
from kdsl.review.decisions import decide, edit, written
from kdsl.review.effect import TrainedArbiter
from kdsl.review.model_predictions import ModelPredictions
from kdsl.review.site import Site
from kdsl.rules.condition import Condition
from kdsl.rules.engine import Engine
from kdsl.rules.rule import Rule

RELIABILITY = Reliability(0.4, (0.5,) + (0.1,) * (len(FEATURES) - 1))
BRIGHTNESS = Condition(field="last_user", terms=("亮度",))
QUALITY = Quality(log_loss=1.0, weighted_f1=0.5)


@pytest.fixture
def site(tmp_path) -> Site:
    return open_shop(tmp_path).site


@pytest.fixture
def predictions(site: Site) -> ModelPredictions:
    samples = len(site.indexes[TASK].samples)
    model = np.random.default_rng(0).dirichlet([1, 1, 1], samples)
    return ModelPredictions(model, np.ones(samples, dtype=bool))


def trained(site: Site, listens_to: str = "all", rules: int = 3) -> Arbiter:
    """The fourth rule is unknown to training."""
    standings = tuple(
        Standing(
            id=each.rule.id,
            when=each.when,
            label=each.rule.label,
            reliability=0.5 + 0.1 * i,
            hits=5,
            correct=4,
            weight=0.5 + 0.5 * i,
            accepted_weight=2.5 - 0.5 * i,
        )
        for i, each in enumerate(site.overview(TASK).rules[:rules])
    )
    people, mined = {"all": (1.0, 1.0), "accepted": (1.0, 0.0), "proposed": (0.0, 1.0), "none": (0.0, 0.0)}[listens_to]
    return Arbiter(
        task=TASK, labels=LABELS, a=1.0, b_people=people, b_mined=mined, mean_people=1.5,
        model_a=1.0, samples=6, model=QUALITY,
        both=QUALITY, base_rates=(0.3, 0.4, 0.3), rules=standings, overlaps=((0, 1, 0.5), (0, 2, 0.25)),
    )  # fmt: skip


def labels(arbiter: Arbiter, rules: list[Rule], site: Site, predictions: ModelPredictions) -> np.ndarray:
    """What the arbiter itself decides."""
    evidence = arbiter.weigh(rules).evidence(Engine(rules).matrix(site.indexes[TASK].table), len(LABELS))
    return arbiter.pool.probabilities(predictions.probabilities, evidence).argmax(axis=1)


def changes(before: np.ndarray, after: np.ndarray) -> list[tuple[int, int, int]]:
    return [(row, before[row], after[row]) for row in np.flatnonzero(before != after).tolist()]


def with_standing(
    arbiter: Arbiter, rule: Rule, rules: list[Rule], site: Site, predictions: ModelPredictions
) -> Arbiter:
    """The arbiter as training would have made it had it known the rule, all else being as it is."""
    index = site.indexes[TASK]
    hits = Engine([*rules, rule]).matrix(index.table)
    shown = shown_of(rule, hits[:, -1], index.labels, index.task)
    measured = Measured.of(TASK, rule, shown, float(RELIABILITY.estimate([shown])[0]))
    label = LABELS.index(rule.label)
    heard = Heard.of(hits[:, -1:], np.array([label]), predictions.probabilities)
    base_rate = np.array([arbiter.base_rates[label]])
    [standing] = Standing.of_all([measured], heard, base_rate, arbiter.mean_people)
    shared = overlap(np.array([LABELS.index(each.label) for each in [*rules, rule]]), hits)[-1]
    places = {(each.label, each.when): i for i, each in enumerate(arbiter.rules)}
    known = [(places.get((each.label, each.when_hash)), value) for each, value in zip(rules, shared, strict=False)]
    new = tuple((i, len(arbiter.rules), float(value)) for i, value in known if i is not None)
    return arbiter.model_copy(update={"rules": (*arbiter.rules, standing), "overlaps": (*arbiter.overlaps, *new)})


@pytest.mark.parametrize("listens_to", ["all", "proposed", "none"])
def test_the_page_decides_as_the_arbiter_does_with_and_without_the_rule(site, predictions, listens_to):
    overview, index, arbiter = site.overview(TASK), site.indexes[TASK], trained(site, listens_to)
    rules = [each.rule for each in overview.rules]
    for rule in range(len(rules)):
        effect = TrainedArbiter(arbiter).effect(index, overview, rule, predictions)
        without = [each for i, each in enumerate(rules) if i != rule]
        expected = changes(labels(arbiter, without, site, predictions), labels(arbiter, rules, site, predictions))
        assert list(effect.changed) == expected
        assert (effect.weight is None) is (rule == 3) is effect.estimated
        assert not effect.once_accepted


def test_where_only_accepted_rules_count_the_page_says_what_accepting_changes(site, predictions):
    overview, index, arbiter = site.overview(TASK), site.indexes[TASK], trained(site, "accepted")
    rules = [each.rule for each in overview.rules]
    for rule in range(3):
        effect = TrainedArbiter(arbiter).effect(index, overview, rule, predictions)
        accepted = [
            each.model_copy(update={"status": "accepted"}) if i == rule else each for i, each in enumerate(rules)
        ]
        assert effect.weight == pytest.approx(float(arbiter.weigh(accepted).weights[rule])) and effect.once_accepted
        assert list(effect.changed) == changes(
            labels(arbiter, rules, site, predictions), labels(arbiter, accepted, site, predictions)
        )


def test_a_stale_approval_is_looked_at_as_if_it_were_given_again(site, predictions):
    stored = site.overview(TASK).rules[0]
    decide(site.store, "小王", TASK, stored.rule.id, stored.version, "accepted")
    stored = site.store.get(TASK, stored.rule.id)
    edit(site.store, "小王", TASK, stored.rule.id, stored.version, [BRIGHTNESS], LABELS[0], accept=False)
    overview, arbiter = site.overview(TASK), trained(site, "accepted", rules=4)
    place = overview.position[stored.rule.id]
    effect = TrainedArbiter(arbiter).effect(site.indexes[TASK], overview, place, predictions)
    approved = written("小李", TASK, LABELS[0], [BRIGHTNESS])
    assert overview.rules[place].stale and effect.once_accepted
    assert effect.weight == pytest.approx(float(arbiter.weigh([approved]).weights[0]))


def test_a_rule_that_training_did_not_know_weighs_what_training_would_give_it(site, predictions):
    overview, index, arbiter = site.overview(TASK), site.indexes[TASK], trained(site)
    rules = [each.rule for each in overview.rules]
    effect = TrainedArbiter(arbiter, RELIABILITY).effect(index, overview, 3, predictions)
    then = with_standing(arbiter, rules[3], rules[:3], site, predictions)
    assert effect.weight == pytest.approx(float(then.weigh(rules).weights[3])) and effect.estimated
    assert list(effect.changed) == changes(
        labels(then, rules[:3], site, predictions), labels(then, rules, site, predictions)
    )


@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize("terms", [("亮度",), ("吗",), ("材质", "你好"), ("什么都不是",)])
@pytest.mark.parametrize("saved", [0, 2, None])
def test_an_edit_changes_the_decisions_that_it_would_change_after_training(site, predictions, saved, terms, label):
    overview, index, arbiter = site.overview(TASK), site.indexes[TASK], trained(site)
    rules = [each.rule for each in overview.rules]
    rule = written("小王", TASK, label, [Condition(field="user", terms=terms)])
    hits = index.flags(rule.conditions)
    effect = TrainedArbiter(arbiter, RELIABILITY).edited(index, overview, saved, rule, hits, predictions)
    others = [each for i, each in enumerate(rules) if i != saved]
    then = with_standing(arbiter, rule, others, site, predictions)
    assert list(effect.changed) == changes(
        labels(arbiter, rules, site, predictions), labels(then, [*others, rule], site, predictions)
    )
    assert effect.weight == pytest.approx(float(then.weigh([rule]).weights[0])) and effect.estimated
    truth = [sample.label for sample in index.samples]
    right = [(LABELS[old] == truth[row], LABELS[new] == truth[row]) for row, old, new in effect.changed]
    assert effect.gains(index.samples, LABELS) == sum(new for _, new in right)
    assert effect.losses(index.samples, LABELS) == sum(old for old, _ in right)


def test_an_edit_that_says_the_same_is_weighed_as_training_weighed_it(site, predictions):
    overview, index, arbiter = site.overview(TASK), site.indexes[TASK], trained(site)
    stored = overview.rules[2]
    rule = written("小王", TASK, stored.rule.label, stored.rule.conditions)
    effect = TrainedArbiter(arbiter).edited(index, overview, 2, rule, index.flags(rule.conditions), predictions)
    assert effect.weight == pytest.approx(float(arbiter.weigh([rule]).weights[0])) and not effect.estimated
    rules = [each.rule for each in overview.rules]
    accepted = [*rules[:2], rule, *rules[3:]]
    assert list(effect.changed) == changes(
        labels(arbiter, rules, site, predictions), labels(arbiter, accepted, site, predictions)
    )


def test_an_edit_of_a_rejected_rule_brings_it_back(site, predictions):
    stored = site.overview(TASK).rules[0]
    decide(site.store, "小王", TASK, stored.rule.id, stored.version, "rejected")
    overview, index, arbiter = site.overview(TASK), site.indexes[TASK], trained(site)
    rule = written("小王", TASK, stored.rule.label, stored.rule.conditions)
    effect = TrainedArbiter(arbiter).edited(index, overview, 0, rule, index.flags(rule.conditions), predictions)
    others = [each.rule for each in overview.rules[1:]]
    assert list(effect.changed) == changes(
        labels(arbiter, others, site, predictions), labels(arbiter, [rule, *others], site, predictions)
    )
