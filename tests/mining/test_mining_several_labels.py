"""Rules for one of several labels: what has it beside another one is no wrong hit."""

import numpy as np
import pytest
from several_labels_world import LABELS, TOPICS, world

from kdsl.bitmaps import unpack
from kdsl.errors import KdslError
from kdsl.fields.sidecar import Sidecars
from kdsl.fields.table import FieldTable
from kdsl.label_matrix import label_array
from kdsl.mining.archive import archive_of, mined_rules, shown_of
from kdsl.mining.miner import MiningSettings
from kdsl.mining.problem import ALL_SAMPLES
from kdsl.mining.run import mine_task, prepare, require_labels, sample_weights
from kdsl.mining.search import SearchSettings
from kdsl.rules.condition import Condition
from kdsl.rules.engine import Engine
from kdsl.rules.rule import Rule, When
from kdsl.sample import Label, Sample, Task, Turn

SETTINGS = MiningSettings(SearchSettings(2, 100))


def table_of(samples: list[Sample]) -> FieldTable:
    return FieldTable(samples, Sidecars())


def said(number: int, text: str, *labels: str) -> Sample:
    return Sample(str(number), "pair", (Turn("user", text),), labels=labels)


PAIR = Task("pair", (Label("甲"), Label("乙")), multi=True)
TOGETHER = [
    *(said(i, f"苹果 香蕉 {i}", "甲", "乙") for i in range(8)),
    *(said(10 + i, f"苹果 {i}", "甲") for i in range(4)),
    *(said(20 + i, f"香蕉 {i}", "乙") for i in range(4)),
    *(said(30 + i, f"石头 {i}") for i in range(8)),
]
"""苹果 means 甲, 香蕉 means 乙, and mostly both are there."""


def test_a_sample_with_both_labels_is_a_right_hit_of_rules_for_either():
    labels, table = label_array(TOGETHER, PAIR), table_of(TOGETHER)
    for label, term in (("甲", "苹果"), ("乙", "香蕉")):
        rule = Rule(id="r-aaaa", label=label, when=When(all=(Condition(field="text", terms=(term,)),)))
        counts = shown_of(rule, Engine([rule]).matrix(table)[:, 0], labels, PAIR)
        assert (counts.hits, counts.correct, counts.positives) == (12, 12, 12)


def test_what_speaks_for_another_label_speaks_against_one_only_where_that_is_missing():
    problem = prepare(PAIR, table_of(TOGETHER), label_array(TOGETHER, PAIR), SETTINGS, seed=0)
    of = {condition.terms[0]: i for i, condition in enumerate(problem.vocabulary.conditions) if condition.terms}
    against = problem.rivalry(ALL_SAMPLES, 0, 1.28)
    # 香蕉 is on 12 samples of 乙, 8 of which are of 甲 too: it hardly tells that 甲 does not hold.
    assert against[of["香蕉"]] < 0.5
    alone = problem.rivalry(ALL_SAMPLES, 1, 1.28)
    assert alone[of["苹果"]] == pytest.approx(against[of["香蕉"]])


def test_both_labels_get_the_rule_that_was_planted():
    mined = mine_task(PAIR, table_of(TOGETHER), label_array(TOGETHER, PAIR), SETTINGS, seed=0, workers=1)
    rules, statistics = mined_rules(mined, "now", 0)
    found = {rule.label: str(rule.conditions[0]) for rule in reversed(rules)}
    assert "苹果" in found["甲"] and "香蕉" in found["乙"]
    for rule, entry in zip(rules, statistics, strict=True):
        assert entry.training.correct == entry.training.hits, rule
        assert entry.base_rate == pytest.approx(0.5)
    archive = archive_of(mined, [sample.id for sample in TOGETHER])
    assert archive.base_rates == {"甲": 0.5, "乙": 0.5}


def test_the_same_conditions_may_speak_for_two_labels_that_always_come_together():
    twins = [said(i, f"苹果 {i}", "甲", "乙") for i in range(10)] + [said(20 + i, f"石头 {i}") for i in range(10)]
    mined = mine_task(PAIR, table_of(twins), label_array(twins, PAIR), SETTINGS, seed=0, workers=1)
    rules, _ = mined_rules(mined, "now", 0)
    assert {rule.label for rule in rules if "苹果" in str(rule.conditions[0])} == {"甲", "乙"}


def test_rules_of_a_planted_world_are_right_on_samples_to_come():
    learned, fresh = world(80, 1), world(300, 2)
    mined = mine_task(TOPICS, table_of(learned), label_array(learned, TOPICS), SETTINGS, seed=0, workers=1)
    rules, _ = mined_rules(mined, "now", 0)
    assert {rule.label for rule in rules} == set(LABELS)
    hits = Engine(rules).matrix(table_of(fresh))
    right = np.array([[rule.label in (sample.labels or ()) for rule in rules] for sample in fresh])
    assert (hits & right).sum() >= 0.95 * hits.sum()


def test_positives_of_the_search_are_those_that_have_the_label():
    problem = prepare(PAIR, table_of(TOGETHER), label_array(TOGETHER, PAIR), SETTINGS, seed=0)
    assert unpack(problem.having(1), len(TOGETHER)).tolist() == ["乙" in (s.labels or ()) for s in TOGETHER]


def test_mining_looks_where_the_model_is_most_wrong_about_any_label():
    weights = sample_weights(np.array([[0.9, 0.2], [0.9, 0.9]]), np.array([[1, 0], [1, 0]]), 1.0)
    assert weights.tolist() == pytest.approx([0.2, 0.9])


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (
            [said(1, "一", "甲"), Sample("2", "pair", labels=("丙",))],
            r"sample '2' has the label \('丙',\), which is none",
        ),
        ([said(1, "一", "甲"), said(2, "二", "甲")], "every label holds on all 2 samples or on none"),
    ],
)
def test_samples_that_nothing_can_be_learned_from_are_named(samples, message):
    with pytest.raises(KdslError, match=message):
        require_labels(PAIR, samples, label_array(samples, PAIR))


def test_one_label_that_some_samples_have_is_enough():
    samples = [said(1, "一", "甲"), said(2, "二")]
    require_labels(PAIR, samples, label_array(samples, PAIR))
