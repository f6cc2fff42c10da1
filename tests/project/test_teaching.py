"""Accepted rules teach the classifier about words that no labelled sample shares, as far as that helps out of fold."""

from dataclasses import replace

import numpy as np
import pytest

from kdsl.augmentation.augmenter import Augmenter
from kdsl.augmentation.trainer import AugmentingTrainer
from kdsl.fields.sidecar import Sidecars
from kdsl.fields.table import FieldTable
from kdsl.mining.miner import MiningSettings
from kdsl.mining.search import SearchSettings
from kdsl.mining.update import MinedRules
from kdsl.models.embedded import Embedded, EmbeddedTrainer
from kdsl.models.linear import LinearTrainer
from kdsl.models.soft_labels import SoftLabels
from kdsl.project import teaching
from kdsl.project.ablation import ablate
from kdsl.project.fitting import fit, mine_in_memory
from kdsl.project.task import TaskProject
from kdsl.project.teaching import WEIGHTS, teach
from kdsl.rules.rule import Review, Rule
from kdsl.sample import Label, Sample, Task, Turn

TASK = Task("shop", (Label("甲"), Label("乙")))
TOPICS = {"甲": "春夏秋冬东南西北金木水火", "乙": "天地玄黄宇宙洪荒日月盈昃"}
"""Of each labelled sample one character, which no other has: labelled samples teach nothing about each other."""
WORDS = {"甲": "变暗", "乙": "起球"}


def samples(texts: list[str], labels: list[str | None], prefix: str) -> FieldTable:
    made = [
        Sample(f"{prefix}{i}", "shop", (Turn("user", text),), label=label)
        for i, (text, label) in enumerate(zip(texts, labels, strict=True))
    ]
    return FieldTable(made, Sidecars())


def labelled() -> tuple[FieldTable, np.ndarray]:
    texts = [f"{character}·" * 3 for pair in zip(*TOPICS.values(), strict=True) for character in pair]
    return samples(texts, list(TOPICS) * 12, "s"), np.arange(24) % 2


def unlabelled(wrong: bool = False) -> FieldTable:
    """Samples that a rule hits, each with characters of its label's labelled samples, or of the other's if `wrong`."""
    source = np.random.default_rng(0)
    texts = []
    for i in range(120):
        label = "甲乙"[i % 2]
        shown = TOPICS["甲乙"[(i + wrong) % 2]]
        texts.append(WORDS[label] + "".join(f"{c}·" * 2 for c in source.choice(list(shown), 4)))
    return samples(texts, [None] * 120, "u")


def rule(label: str, status: str = "accepted") -> Rule:
    found = Rule.model_validate(
        {"id": f"r-{ord(label):05d}", "label": label, "when": {"all": [{"user": [WORDS[label]]}]}}
    )
    review = Review(by="Li", at="2026-11-30T09:00", of=found.when_hash) if status == "accepted" else Review()
    return found.model_copy(update={"status": status, "review": review})


ACCEPTED = (rule("甲"), rule("乙"))


@pytest.fixture(scope="module")
def own() -> TaskProject:
    table, labels = labelled()
    settings = MiningSettings(SearchSettings(max_conditions=1, iterations=5))
    plain = EmbeddedTrainer(TASK)
    return TaskProject(TASK, table, labels, settings, learn=lambda rules: plain)


@pytest.fixture(scope="module")
def mined(own) -> MinedRules:
    return mine_in_memory(own, workers=1)


def with_rules(mined: MinedRules, *rules: Rule) -> MinedRules:
    return replace(mined, rules=(*mined.rules, *rules))


def with_unlabelled(own: TaskProject, table: FieldTable) -> TaskProject:
    return replace(own, unlabelled=lambda: table)


def loss(probabilities: np.ndarray, labels: np.ndarray) -> float:
    return float(-np.log(probabilities[np.arange(len(labels)), labels]).mean())


def test_what_rules_know_of_unlabelled_samples_is_learned(own, mined):
    before = fit(own, with_rules(mined, *ACCEPTED))
    after = fit(with_unlabelled(own, unlabelled()), with_rules(mined, *ACCEPTED))
    assert after.taught.weight in WEIGHTS
    assert (after.taught.unlabelled, after.taught.rules, after.taught.labelled) == (120, 2, 120)
    new = samples(["春·夏·冬·水·", "天·地·月·盈·"], [None] * 2, "n")
    assert after.classifier.predict(new).probabilities.argmax(axis=1).tolist() == [0, 1]
    # The arbiter is fitted on what taught classifiers say of samples that they have not seen.
    assert loss(after.trained_on.probabilities, own.labels) < loss(before.trained_on.probabilities, own.labels) - 0.1
    assert after.arbiter.model.weighted_f1 > before.arbiter.model.weighted_f1 + 0.2


def test_nothing_is_learned_from_rules_that_are_wrong_about_unlabelled_samples(own, mined):
    before = fit(own, with_rules(mined, *ACCEPTED))
    after = fit(with_unlabelled(own, unlabelled(wrong=True)), with_rules(mined, *ACCEPTED))
    assert (after.taught.weight, after.taught.learned, after.taught.labelled) == (0.0, 0, 120)
    assert after.trained_on.probabilities.tolist() == before.trained_on.probabilities.tolist()
    assert after.arbiter == before.arbiter
    assert "the classifier learns from none, as that does not make its log loss smaller" in after.taught.told("shop")


@pytest.mark.parametrize(
    ("rules", "table", "why"),
    [
        ((), unlabelled(), "no rule is accepted yet"),
        ((rule("甲", "proposed"),), unlabelled(), "no rule is accepted yet"),
        ((rule("甲", "rejected"),), unlabelled(), "no rule is accepted yet"),
        (ACCEPTED, samples(["何时到货"], [None], "u"), "no accepted rule hits one"),
    ],
)
def test_without_an_accepted_rule_that_hits_nothing_changes(own, mined, rules, table, why):
    before, after = (fit(each, with_rules(mined, *rules)) for each in (own, with_unlabelled(own, table)))
    assert before.taught is None
    assert after.taught.told("shop") == f"shop: none of {len(table)} unlabelled samples is learned from: {why}"
    assert after.trained_on.probabilities.tolist() == before.trained_on.probabilities.tolist()
    assert after.arbiter == before.arbiter


def test_a_project_may_leave_teaching_out(own, mined):
    apart = replace(with_unlabelled(own, unlabelled()), teaching=False)
    before, after = (fit(each, with_rules(mined, *ACCEPTED)) for each in (own, apart))
    assert after.taught is None
    assert after.trained_on.probabilities.tolist() == before.trained_on.probabilities.tolist()


def test_a_stale_approval_teaches_nothing(own, mined):
    stale = ACCEPTED[0].model_copy(update={"review": Review(by="Li", at="2026-11-30T09:00", of="0" * 16)})
    found = teach(with_unlabelled(own, unlabelled()), EmbeddedTrainer(TASK), with_rules(mined, stale))
    assert found.taught.hindrance == "no rule is accepted yet"


@pytest.mark.parametrize(
    ("learner", "why"),
    [
        (LinearTrainer(), "this classifier learns nothing from what rules say"),
        (EmbeddedTrainer(TASK, Embedded(("neighbours",))), "this classifier learns nothing from what rules say"),
        (
            EmbeddedTrainer(TASK, soft_labels=SoftLabels(unlabelled(), np.full((120, 2), 0.5))),
            "a teacher's labels are, in which rules had their say",
        ),
    ],
)
def test_a_classifier_that_cannot_be_taught_is_left_as_it_is_and_that_is_said(own, mined, learner, why):
    found = teach(with_unlabelled(own, unlabelled()), learner, with_rules(mined, *ACCEPTED))
    assert found.taught.hindrance == why
    assert found.learner(learner) is learner and found.learner_without(learner, 0) is learner


def test_changed_copies_of_labelled_samples_may_be_learned_from_besides(own, mined):
    copying = AugmentingTrainer(EmbeddedTrainer(TASK), Augmenter(TASK, 1))
    found = teach(with_unlabelled(own, unlabelled()), copying, with_rules(mined, *ACCEPTED))
    assert found.learner(copying).inner.soft_labels is found.soft_labels


def test_a_fold_is_taught_by_written_rules_but_by_no_mined_one_that_was_not_found_again(own, mined):
    """A rule that was found on all samples knows the labels of those that are left out."""
    project = with_unlabelled(own, unlabelled())
    written = teach(project, EmbeddedTrainer(TASK), with_rules(mined, *ACCEPTED))
    assert all(len(soft_labels) for soft_labels in written.without.values())
    as_mined = [
        Rule.model_validate({**each.record(), "id": id_of(each), "provenance": {"source": "mcts"}})
        for each in ACCEPTED
    ]
    found = teach(project, EmbeddedTrainer(TASK), with_rules(mined, *as_mined))
    assert found.taught.labelled == 120
    assert found.taught.weight == 0.0  # there is nothing to learn without a fold, so nothing shows that it helps


def id_of(rule: Rule) -> str:
    from kdsl.rules.rule import rule_id

    return rule_id("shop", rule.label, rule.conditions)


def test_of_many_samples_those_of_all_labels_are_learned_from(own, mined, monkeypatch):
    monkeypatch.setattr(teaching, "MOST_TAUGHT", 60)
    everything = unlabelled()
    unbalanced = everything.select([row for row in range(120) if row % 2 == 0 or row < 40])
    found = teach(with_unlabelled(own, unbalanced), EmbeddedTrainer(TASK), with_rules(mined, *ACCEPTED))
    assert (found.taught.labelled, found.taught.learned) == (80, 50)
    assert np.bincount(found.soft_labels.shares.argmax(axis=1)).tolist() == [30, 20]


def test_what_was_taught_is_told_in_a_line(own, mined):
    one = teach(with_unlabelled(own, unlabelled()), EmbeddedTrainer(TASK), with_rules(mined, ACCEPTED[0])).taught
    assert one.told("shop").startswith("shop: 1 accepted rule labels 60 of 120 unlabelled samples; ")
    both = teach(with_unlabelled(own, unlabelled()), EmbeddedTrainer(TASK), with_rules(mined, *ACCEPTED)).taught
    assert both.told("shop") == (
        "shop: 2 accepted rules label 120 of 120 unlabelled samples; the classifier learns from 120, each at "
        f"{both.weight:g} of a labelled sample"
    )
    assert both.record() == {"unlabelled": 120, "rules": 2, "labelled": 120, "learned": 120, "weight": both.weight}


def test_ablation_tells_what_teaching_brings_beside_what_the_rules_themselves_say(own):
    plain = own.deciding(ACCEPTED)
    known = with_unlabelled(plain, unlabelled())
    tasks = {(): replace(known, teaching=False), ("teaching",): known}
    found = ablate(tasks, [(), ("teaching",), ("rules",), ("teaching", "rules")], 3, workers=1)
    right = {steps: float((each.predicted == each.truth).mean()) for steps, each in found.items()}
    assert right["teaching",] > right[()] + 0.2
    assert right["rules",] == right[()]  # no labelled sample has the words that rules look for
    assert right["teaching", "rules"] == right["teaching",]
