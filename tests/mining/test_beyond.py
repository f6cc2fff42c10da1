"""Rules counted on samples that were not searched, and what that says about them."""

import random
from dataclasses import replace

import numpy as np
import pytest
from planted import noise

from kdsl.fields.sidecar import Sidecars
from kdsl.fields.table import FieldTable
from kdsl.mining import beyond as counting
from kdsl.mining.archive import candidate_rules, counted_beyond, mined_rules, share_with_beyond, with_beyond
from kdsl.mining.beyond import Beyond, count_beyond
from kdsl.mining.miner import Mined
from kdsl.mining.reliability import Shown
from kdsl.mining.run import mine_task
from kdsl.mining.update import update_rule_base
from kdsl.rules.condition import Condition
from kdsl.rules.engine import Engine
from kdsl.rules.rule import Rule, When, rule_id
from kdsl.rules.rulebase import RuleBase
from kdsl.rules.statistics import HeldOutCounts, RuleStatistics, TrainingCounts
from kdsl.sample import Label, Sample, Task, Turn

KEY = ("甲", "hash")
S = 20.0  # hits that the estimate counts for


def beyond_of(samples: int, positives: int, hits: int, correct: int) -> Beyond:
    return Beyond(samples, {"甲": positives}, {KEY: (hits, correct)})


def shown_with(hits: int, positives: int) -> Shown:
    return Shown(hits, hits, positives, 1, 0, 0, 0.0)


def reliability(beyond: Beyond | None, estimate=0.8, hits=30, positives=50, samples=100) -> float:
    return with_beyond(estimate, shown_with(hits, positives), samples, KEY, beyond)


def rule(label: str, *terms: str) -> Rule:
    conditions = (Condition(field="user", terms=terms),)
    return Rule(id=rule_id("t", label, conditions), label=label, when=When(all=conditions))


class TestReliability:
    def test_without_other_samples_or_hits_there_it_is_the_estimate(self):
        assert reliability(None) == reliability(beyond_of(900, 450, 0, 0)) == 0.8
        assert with_beyond(0.8, shown_with(30, 50), 100, KEY, Beyond(900, {"甲": 450})) == 0.8

    def test_where_labels_have_the_same_share_either_part_counts_by_its_hits(self):
        """The others by what was right there, which the estimate begins with the strength of 20 hits."""
        there = (S * 0.8 + 180) / (S + 300)
        assert reliability(beyond_of(900, 450, 300, 180)) == pytest.approx((30 * 0.8 + 300 * there) / 330)

    def test_where_hits_are_many_it_is_the_precision_there(self):
        assert reliability(beyond_of(10**6, 5 * 10**5, 10**6, 7 * 10**5)) == pytest.approx(0.7, abs=1e-4)

    def test_a_rare_label_of_which_all_were_searched_is_not_wronged(self):
        """It can be right on the samples searched alone, so that hits on others only make it as rare as it is."""
        there = 20 / (S + 20) * 0
        assert reliability(beyond_of(900, 0, 20, 0)) == pytest.approx((30 * 0.8 + 20 * there) / 50)

    def test_a_label_searched_more_than_its_share_is_expected_less_among_the_others(self):
        # 50 of 100 searched have it, 90 of the 900 others: of four right hits one is left, of a wrong one nine fifths.
        expected = 0.8 * 90 / 50 / (0.8 * 90 / 50 + 0.2 * 810 / 50)
        there = (S * expected + 6) / (S + 10)
        assert reliability(beyond_of(900, 90, 10, 6)) == pytest.approx((30 * 0.8 + 10 * there) / 40)

    def test_a_label_that_all_have_leaves_the_estimate(self):
        assert reliability(beyond_of(900, 900, 10, 10), estimate=0.0, hits=1) == pytest.approx(10 * 10 / 30 / 11)

    @pytest.mark.parametrize("share", [0.02, 0.3])
    def test_it_is_near_the_precision_on_all_however_many_of_a_label_were_searched(self, share):
        """A rule that hits 60 % of its label and 2 % of the others; 300 of each are searched of 20,000 samples."""
        all_samples, recall, false = 20_000, 0.6, 0.02
        positives = round(share * all_samples)
        negatives = all_samples - positives
        true, wrong = recall * 300, false * 300
        found = beyond_of(
            all_samples - 600,
            positives - 300,
            round(recall * (positives - 300) + false * (negatives - 300)),
            round(recall * (positives - 300)),
        )
        on_all = recall * positives / (recall * positives + false * negatives)
        estimate = true / (true + wrong)
        given = reliability(found, estimate=estimate, hits=round(true + wrong), positives=300, samples=600)
        # The searched part has its own share of hits: counted, not scaled.
        assert given == pytest.approx(on_all, abs=0.02)


def test_the_share_of_a_label_is_that_of_all_samples():
    assert share_with_beyond(0.5, 100, "甲", None) == 0.5
    assert share_with_beyond(0.5, 100, "甲", beyond_of(900, 50, 0, 0)) == pytest.approx(0.1)


def test_counts_of_all_samples_are_those_of_training_and_the_others_are_held_out():
    entry = RuleStatistics(
        id="r", when="hash", training=TrainingCounts(hits=30, correct=27, positives=50, samples=100),
        held_out=HeldOutCounts(hits=8, correct=6), reliability=0.8, weight=1.0, base_rate=0.5, candidates=3,
    )  # fmt: skip
    found = counted_beyond(entry, KEY, beyond_of(900, 450, 300, 180))
    assert found.training == TrainingCounts(hits=330, correct=207, positives=500, samples=1000)
    assert found.held_out == HeldOutCounts(hits=308, correct=186)
    alone = counted_beyond(entry.model_copy(update={"held_out": None}), KEY, beyond_of(900, 450, 300, 180))
    assert alone.held_out == HeldOutCounts(hits=300, correct=180)
    assert counted_beyond(entry, ("乙", "hash"), beyond_of(900, 450, 300, 180)) == entry
    assert counted_beyond(entry, KEY, None) == entry


def sample(number: int, text: str, *labels: str, multi: bool = False) -> Sample:
    given = {"labels": labels} if multi else {"label": labels[0]}
    return Sample(f"s{number}", "t", (Turn("user", text),), **given)


@pytest.mark.parametrize("workers", [0, 2])
def test_counts_are_those_of_all_samples_at_once(workers, monkeypatch):
    monkeypatch.setattr(counting, "PIECE", 7)
    source, filler = random.Random(3), noise(3, 4)
    words = ["亮度", "面料", "包邮"]
    task = Task("t", (Label("甲"), Label("乙"), Label("丙")))
    samples = [sample(i, filler() + source.choice(words), source.choice(task.label_names)) for i in range(40)]
    rules = [rule("甲", "亮度"), rule("乙", "面料", "包邮"), rule("别的", "包邮"), rule("甲", "亮度")]
    found = count_beyond(task, rules, samples, Sidecars(), workers)
    hits = Engine(rules).matrix(FieldTable(samples, Sidecars()))
    given = np.array([each.label for each in samples])
    assert found.samples == 40
    assert found.positives == {name: int((given == name).sum()) for name in task.label_names}
    assert found.counts == {
        (each.label, each.when_hash): (int(of.sum()), int((of & (given == each.label)).sum()))
        for each, of in zip(rules, hits.T, strict=True)
    }


def test_of_several_labels_a_hit_is_right_where_one_of_them_is_the_rules():
    task = Task("t", (Label("甲"), Label("乙")), multi=True)
    given = [("亮度", "甲", "乙"), ("亮度",), ("无", "乙")]
    samples = [sample(i, text, *labels, multi=True) for i, (text, *labels) in enumerate(given)]
    found = count_beyond(task, [rule("乙", "亮度")], samples, Sidecars(), 1)
    assert found.positives == {"甲": 1, "乙": 2}
    assert list(found.counts.values()) == [(2, 1)]


@pytest.fixture(scope="module")
def mined(shop, settings) -> Mined:
    return mine_task(*shop, settings, seed=5, workers=0)


def test_a_rule_that_the_other_samples_refute_does_not_enter_the_rule_base(shop, mined):
    rules, statistics = mined_rules(mined, "", 0)
    first = rules[0].label, rules[0].when_hash
    wrong = Beyond(9000, dict.fromkeys(shop[0].label_names, 3000), {first: (5000, 100)})
    kept, counted = mined_rules(mined, "", 0, wrong)
    assert first not in {(each.label, each.when_hash) for each in kept}
    right = replace(wrong, counts={first: (3000, 2990)})
    kept, counted = mined_rules(mined, "", 0, right)
    [entry] = [entry for each, entry in zip(kept, counted, strict=True) if (each.label, each.when_hash) == first]
    assert entry.reliability > 0.98 and entry.training.samples == 9090 and entry.base_rate == pytest.approx(1 / 3)
    assert statistics[0].training.samples == 90


def test_rules_that_people_wrote_are_counted_on_all_samples_too(shop, mined, tmp_path):
    task, table, labels = shop
    hand, silent = rule(task.label_names[0], "亮度", "变暗"), rule(task.label_names[1], "独一份")
    base = RuleBase.load(tmp_path, "shop")
    base.save(hand)
    base.save(silent)
    counts = {(each.label, each.when_hash): (0, 0) for each in candidate_rules(mined, "", 0)}
    counts |= {(hand.label, hand.when_hash): (100, 70), (silent.label, silent.when_hash): (60, 50)}
    update_rule_base(base, mined, table, "", 0, beyond=Beyond(900, dict.fromkeys(task.label_names, 300), counts))
    statistics = RuleBase.load(tmp_path, "shop").statistics()
    entry = statistics[hand.id, hand.when_hash]
    hits = Engine([hand]).matrix(table)[:, 0]
    assert entry.training.model_dump() == {
        "hits": int(hits.sum()) + 100, "correct": int((hits & (labels == 0)).sum()) + 70,
        "positives": 330, "samples": 990,
    }  # fmt: skip
    # None of the samples searched has it: the label's share is what one expects before the others are looked at.
    assert statistics[silent.id, silent.when_hash].reliability == pytest.approx((S / 3 + 50) / (S + 60), abs=1e-3)
