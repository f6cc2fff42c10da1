"""Fitting the arbiter: what model and rules are worth beside each other."""

from dataclasses import replace

import numpy as np
import pytest
from shop import SETTINGS, TASK, Knowing, samples

from kdsl.arbiter.choice import choose_rules, judge_alone
from kdsl.arbiter.evidence import RuleEvidence
from kdsl.arbiter.fit import fit_arbiter
from kdsl.arbiter.pool import AS_IT_IS, Step, fit_pool
from kdsl.data.splits import stratified_folds
from kdsl.errors import KdslError
from kdsl.mining.proposer import LexicalProposer
from kdsl.mining.update import with_decisions
from kdsl.models.calibrated import Calibrated
from kdsl.project.fitting import fit, mine_in_memory
from kdsl.project.mining import search
from kdsl.project.small_parts import SmallParts
from kdsl.project.task import TaskProject
from kdsl.rules.condition import Condition
from kdsl.rules.rule import Rule, When


def shop(trainer=None, settings=SETTINGS, words=True, **options) -> TaskProject:
    table, labels = samples(words=words)
    return TaskProject(TASK, table, labels, settings, learn=lambda rules: trainer or Knowing(1 / 3), **options)


@pytest.fixture(scope="module")
def mined():
    return mine_in_memory(shop(), workers=1)


@pytest.fixture(scope="module")
def weak():
    """Fitted with a model that knows next to nothing, and rules that know nearly everything."""
    return fit(shop(), workers=1)


def test_rules_decide_where_the_model_is_weak(weak):
    table, labels = samples(30, seed=9)
    model, evidence, merged = weak.predict(table)
    assert weak.arbiter.b_mined > 0
    assert np.allclose(model, 1 / 3)
    assert (merged.argmax(axis=1) == labels).mean() > 0.9
    assert model.shape == evidence.people.shape == evidence.mined.shape == merged.shape == (30, 3)
    assert np.allclose(merged.sum(axis=1), 1)
    assert weak.arbiter.both.log_loss < weak.arbiter.model.log_loss


def test_the_same_seed_gives_the_same_arbiter(weak):
    assert fit(shop(), workers=1).arbiter == weak.arbiter


def test_what_was_mined_before_is_not_mined_again(weak, mined):
    def small(table, labels):
        raise AssertionError("asked")

    fitted = fit(shop(small=small), mined)
    assert fitted.arbiter == weak.arbiter
    assert (fitted.task, fitted.rules) == (TASK, weak.rules)
    assert mined.rules == weak.rules and mined.archive.seed == 0
    assert (mined.archive.folds == stratified_folds(samples()[1], 3, 0)).all()
    assert (search(shop(), workers=1).problem.weights == 1).all()


def test_the_small_model_proposes_and_judges_in_mining():
    asked, told = [], []

    class Named(LexicalProposer):
        name = "small"

    class Doubting:
        choice = 1

        def judge(self, task, rules):
            return [0.25] * len(rules)

    def small(table, labels):
        asked.append((len(table), labels.tolist()))
        return SmallParts(Named(), Doubting())

    found = search(shop(small=small), advance=told.append, workers=1)
    assert asked == [(60, samples()[1].tolist())]
    assert sorted(told) == sorted([f"{TASK.name}: {label}" for label in TASK.label_names] * 4)
    rules = with_decisions(found, shop().sample_ids, (), 0).rules
    assert {rule.provenance.proposer for rule in rules} == {"small"}
    assert {shown.sense for shown in found.shown} == {0.25}


def test_with_a_focus_samples_that_the_weigher_gets_right_count_less():
    problem = search(shop(settings=replace(SETTINGS, focus=0.5, folds=2), weigher=Knowing(0.8)), workers=1).problem
    assert problem.weights == pytest.approx(np.full(60, 0.6))
    assert problem.folds.max() == 1


class HoldingOut(Knowing):
    """Trains on the last ten samples and keeps them from what is fitted on top."""

    def fit_calibrated(self, table, labels, n_labels):
        said = np.where(np.eye(n_labels)[labels] > 0, self.sure, (1 - self.sure) / 2)
        return Calibrated(self, said, np.arange(len(table)) < len(table) - 10)


def test_samples_that_the_model_has_seen_are_not_fitted_on(mined):
    fitted = fit(shop(HoldingOut(0.8)), mined)
    assert fitted.arbiter.samples == 50
    assert fitted.arbiter.model.weighted_f1 == 1
    assert fitted.classifier == HoldingOut(0.8)


def test_the_model_stands_alone_where_rules_are_noise():
    table, _ = samples(words=False)
    fitted = fit(shop(Knowing(0.9), words=False), workers=1)
    assert fitted.arbiter.listens_to == "accepted"  # and there are none
    model, _, merged = fitted.predict(table)
    assert (merged.argmax(axis=1) == model.argmax(axis=1)).all()
    assert all(decision.by == "model" for decision in fitted.decide(table))


def fair_model() -> tuple[np.ndarray, np.ndarray, np.random.Generator]:
    """A model's probabilities for 200 samples of three labels, the labels, and what else is drawn from."""
    source = np.random.default_rng(0)
    labels = source.integers(0, 3, 200)
    model = source.dirichlet((1, 1, 1), 200)
    model[np.arange(200), labels] += 0.3
    return model / model.sum(axis=1, keepdims=True), labels, source


def chosen(model, labels, people=None, mined=None):
    none = np.zeros_like(model)
    return choose_rules(
        model, RuleEvidence(none if people is None else people, none if mined is None else mined), labels, 0
    )


def test_noise_is_not_merged_and_knowledge_is():
    model, labels, source = fair_model()
    noise = source.choice([0.0, 2.0], (200, 3), p=[0.8, 0.2])
    knowledge = noise * (np.eye(3)[labels] * 2 + 0.2)
    choice = chosen(model, labels, mined=knowledge)
    assert choice.both.pool.b_mined > 0.5
    assert choice.both.quality.log_loss < choice.alone.quality.log_loss
    assert choice.both.quality.weighted_f1 > choice.alone.quality.weighted_f1
    choice = chosen(model, labels, mined=noise)
    assert choice.both.pool.b_mined == 0
    assert choice.both.quality == choice.alone.quality


def test_accepted_rules_count_where_proposed_ones_do_not_unless_they_do_harm():
    model, labels, source = fair_model()
    noise = source.choice([0.0, 4.0], (200, 3), p=[0.8, 0.2])
    sound = np.eye(3)[labels] * 2.0
    sound[20:] = 0
    pool = chosen(model, labels, sound, noise).both.pool
    assert pool.b_people > 0.5 and pool.b_mined == 0
    wrong = np.eye(3)[(labels + 1) % 3] * 4.0
    pool = chosen(model, labels, wrong, noise).both.pool
    assert pool.b_people == pool.b_mined == 0
    helped = chosen(model, labels, wrong, np.eye(3)[labels] * 2.0).both.pool
    assert helped.b_people == 0 and helped.b_mined > 0


def test_what_people_add_leaves_the_model_as_sure_as_it_is_alone():
    """Rules are right on the samples that their authors looked at: that says nothing about the model elsewhere."""
    model, labels, source = fair_model()
    right = np.eye(3)[labels] * source.choice([0.0, 1.0], (200, 1))
    for mined in (None, np.eye(3)[labels] * source.choice([0.0, 0.5], (200, 1))):
        choice = chosen(model, labels, right, mined)
        assert choice.both.pool.a == choice.alone.pool.a
        assert choice.both.pool.b_people == 1, "no more than was measured, however right they are"
        assert (choice.both.pool.b_mined > 0) == (mined is not None)
    beside = chosen(model, labels, mined=right * 3)
    assert beside.both.pool.a != beside.alone.pool.a, "where only mined rules speak, all is fitted at once"
    assert beside.both.pool.b_people == 1


def few_sure(n: int, wrong: int) -> tuple[np.ndarray, np.ndarray]:
    """A model that is sure of every sample of five labels, and wrong on the last `wrong`."""
    labels = np.arange(n) % 5
    said = labels.copy()
    said[n - wrong :] = (said[n - wrong :] + 1) % 5
    model = np.full((n, 5), 0.05)
    model[np.arange(n), said] = 0.8
    return model, labels


@pytest.mark.parametrize(("n", "wrong"), [(5, 0), (5, 1), (5, 3), (12, 1)])
def test_a_handful_of_samples_leaves_the_model_about_as_sure_as_it_is(n, wrong):
    model, labels = few_sure(n, wrong)
    choice = choose_rules(model, RuleEvidence.none(n, 5), labels, seed=0)
    assert 1 / 3 < choice.alone.pool.a < 3
    assert 1 / 3 < choice.both.pool.a < 3


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("n", [5, 8, 200])
def test_out_of_fold_neither_is_worse_than_the_models_own_probabilities(n, seed):
    source = np.random.default_rng(seed)
    labels = source.integers(0, 5, n)
    model = source.dirichlet([0.3] * 5, n)
    noise = source.choice([0.0, 2.0], (n, 5))
    choice = choose_rules(model, RuleEvidence(0 * noise, noise), labels, seed)
    own = AS_IT_IS.log_probabilities(model, RuleEvidence.none(n, 5))[np.arange(n), labels]
    assert choice.both.quality.log_loss <= choice.alone.quality.log_loss <= -own.mean() + 1e-9


def test_many_samples_say_how_much_too_sure_the_model_is():
    source = np.random.default_rng(0)
    labels = source.integers(0, 3, 300)
    scores = source.normal(size=(300, 3)) + 1.5 * np.eye(3)[labels]
    true = np.exp(1.5 * scores)
    sure = true**2
    assert 0.4 < judge_alone(sure / sure.sum(axis=1, keepdims=True), labels, seed=0).pool.a < 0.6
    assert 0.8 < judge_alone(true / true.sum(axis=1, keepdims=True), labels, seed=0).pool.a < 1.25


def test_two_hundred_samples_hardly_feel_the_pull_that_holds_five_back():
    """The same samples ten times over feel a tenth of it."""
    source = np.random.default_rng(0)
    labels = source.integers(0, 3, 200)
    sure = np.exp(3 * (source.normal(size=(200, 3)) + 1.5 * np.eye(3)[labels]))
    model = sure / sure.sum(axis=1, keepdims=True)
    once, often = (
        fit_pool(np.tile(model, (times, 1)), RuleEvidence.none(200 * times, 3), np.tile(labels, times), [Step(True)]).a
        for times in (1, 10)
    )
    assert once == pytest.approx(often, rel=0.02)
    assert often < 0.7


def refit(mined, rules):
    table, labels = samples()
    archive = mined.archive
    return fit_arbiter(TASK, table, labels, Knowing(1 / 3).predict(table).probabilities, archive, rules, {}, seed=0)


def test_rules_that_people_rejected_do_not_count_out_of_fold_either(weak, mined):
    rejected = [rule.model_copy(update={"status": "rejected"}) for rule in weak.rules]
    arbiter = refit(mined, rejected)
    assert arbiter.rules == ()
    assert arbiter.both.log_loss > weak.arbiter.both.log_loss + 0.1


def test_a_rule_written_by_hand_gets_its_reliability_from_its_counts(weak, mined):
    written = Rule(
        id="r-hand",
        label="调光",
        when=When(all=(Condition(field="user", terms=("亮度", "变暗")),)),
    )
    arbiter = refit(mined, [*weak.rules, written])
    standing = next(standing for standing in arbiter.rules if standing.id == "r-hand")
    assert (standing.hits, standing.correct) == (20, 20)
    assert standing.reliability > 0.8
    wrong = refit(mined, [written.model_copy(update={"label": "物流"})]).rules[0]
    assert (wrong.hits, wrong.correct) == (20, 0)
    assert wrong.reliability < 0.2


def test_rules_mined_from_other_samples_are_refused(mined):
    table, labels = samples(57)
    archive = mined.archive
    with pytest.raises(KdslError, match="the training samples are not those that rules were mined on"):
        fit_arbiter(TASK, table, labels, Knowing(1 / 3).predict(table).probabilities, archive, [], {}, seed=0)
