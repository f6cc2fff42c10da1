"""What is estimated from folds: which fields inform, and what rules are worth out of sample."""

import random
from dataclasses import replace

import numpy as np
import pytest
from planted import noise, table_of

from kdsl.bitmaps import pack
from kdsl.data.splits import stratified_folds
from kdsl.fields.sidecar import Sidecars
from kdsl.fields.table import FieldTable
from kdsl.mining.archive import accepts, mined_rules
from kdsl.mining.informative import informative_fields
from kdsl.mining.reliability import FEATURES, Reliability, Shown, fit_reliability
from kdsl.mining.run import mine_task
from kdsl.mining.vocabulary import Vocabulary, build_vocabulary
from kdsl.rules.condition import Condition
from kdsl.sample import Sample, Turn


def shown(hits: int, correct: int, positives: int = 20, **more: float) -> Shown:
    rest = {"conditions": 1, "negations": 0, "further_terms": 0, "described": 0.0} | more
    return Shown(hits=hits, correct=correct, positives=positives, **rest)


def test_a_field_of_chance_words_is_left_out():
    filler, source = noise(0, 30), random.Random(0)
    labels = np.arange(90) % 3
    words = [("亮度", "调光"), ("材质", "面料"), ("包邮", "运费")]
    samples = [
        Sample(f"s{i}", "t", (Turn("user", filler()), Turn("user", source.choice(words[label]))))
        for i, label in enumerate(labels)
    ]
    table = FieldTable(samples, Sidecars())
    vocabulary = build_vocabulary(table)
    assert {condition.field for condition in vocabulary.conditions} == {"last_user", "user"}
    fields = informative_fields(vocabulary, labels, 3, stratified_folds(labels, 5, 0))
    assert list(fields) == ["last_user"]
    assert fields["last_user"] > 0.9


def test_no_conditions_and_no_fields():
    assert informative_fields(build_vocabulary(table_of([""] * 4)), np.arange(4) % 2, 2, np.arange(4) % 2) == {}


def test_rules_that_show_more_are_worth_more():
    source = np.random.default_rng(0)
    rules, hits, correct = [], [], []
    for _ in range(400):
        n, good = int(source.integers(2, 20)), source.random() < 0.5
        right = n if good else int(n * 0.6)
        rules.append(shown(n, right))
        hits.append(n // 2 + 1)
        correct.append(source.binomial(hits[-1], 0.9 if good else 0.4))
    reliability = fit_reliability(rules, np.array(hits), np.array(correct))
    good, bad = reliability.estimate([shown(10, 10), shown(10, 6)])
    assert good == pytest.approx(0.9, abs=0.08)
    assert bad == pytest.approx(0.4, abs=0.08)


def test_with_few_held_out_hits_all_rules_get_the_pooled_precision_pulled_towards_0():
    reliability = fit_reliability([shown(3, 3), shown(9, 5)], np.array([3, 4]), np.array([2, 3]))
    assert reliability.coefficients == (0.0,) * len(FEATURES)
    assert reliability.estimate([shown(9, 9), shown(3, 2)]) == pytest.approx([5.5 / 9] * 2)


def test_a_feature_that_never_varied_says_nothing():
    rules = [shown(5, 5), shown(6, 3)] * 20
    reliability = fit_reliability(rules, np.full(40, 4), np.array([4, 1] * 20))
    assert reliability.coefficients[FEATURES.index("negations")] == 0
    one, two = reliability.estimate([shown(5, 5), shown(5, 5, negations=1)])
    assert one == two


def test_on_shuffled_labels_hardly_a_rule_is_left(shop, settings):
    task, table, labels = shop

    def left(labels: np.ndarray) -> int:
        return len(mined_rules(mine_task(task, table, labels, settings, 0, workers=0), "", 0)[0])

    shuffled = [left(np.random.default_rng(seed).permutation(labels)) for seed in (1, 2, 3)]
    assert left(labels) >= 6
    assert sum(shuffled) <= 1


def test_a_rule_no_better_than_guessing_is_not_accepted(shop, settings):
    mined = mine_task(*shop, settings, 0, workers=0)
    for reliability, accepted in ((0.32, False), (0.9, True)):
        alike = Reliability(float(np.log(reliability / (1 - reliability))), (0.0,) * len(FEATURES))
        rules, _ = mined_rules(replace(mined, reliability=alike), "", 0)
        assert bool(rules) == accepted


def test_rules_that_are_together_hardly_better_than_chance_are_not_told_apart():
    source = np.random.default_rng(0)
    rules = [shown(int(n), int(n), positives=10) for n in source.integers(2, 6, 60)]
    hits = np.full(60, 4)
    correct = (np.arange(60) % 5 == 0).astype(np.int64)  # 12 of 240
    chance = fit_reliability(rules, hits, correct, expected=0.05 * hits.sum())
    assert chance.coefficients == (0.0,) * len(FEATURES)
    assert max(chance.estimate(rules)) < 0.1


def test_where_rules_are_chance_together_none_is_accepted_however_rare_its_label():
    """The pooled precision of all labels would be a great promise for the rarest."""
    rules = [shown(6, 5), shown(6, 4)] * 20
    chance = fit_reliability(rules, np.full(40, 5), np.array([1, 2] * 20), expected=55.0)
    assert chance.chance and not accepts(chance, rules[0], float(chance.estimate(rules[:1])[0]), 0.01, least=0.0)
    better = fit_reliability(rules, np.full(40, 5), np.array([4, 2] * 20), expected=55.0)
    assert not better.chance and accepts(better, rules[0], float(better.estimate(rules[:1])[0]), 0.01, least=0.0)


def test_colours_and_parts_of_a_page_that_say_nothing_alone_are_not_searched():
    labels = np.repeat([0, 1, 2], 8)
    covers = {
        "last_user": labels == 0,
        "image.aspect": np.arange(24) % 2 == 0,
        "image.colour": np.arange(24) % 2 == 1,
        "ocr.bar": np.arange(24) % 4 < 2,
    }
    conditions = tuple(Condition(field=field, terms=("x",)) for field in covers)
    vocabulary = Vocabulary(conditions, pack(np.array(list(covers.values()))), 24)
    folds = stratified_folds(labels, 4, 0)
    assert set(informative_fields(vocabulary, labels, 3, folds)) == {"last_user", "image.aspect"}
    vocabulary = Vocabulary(conditions[2:], vocabulary.coverage[2:], 24)
    assert set(informative_fields(vocabulary, labels, 3, folds)) == {"image.colour", "ocr.bar"}


def test_a_rule_enters_from_the_least_precision_on_and_where_it_says_more_than_the_base_rate():
    judge = Reliability(0.0, (0.0,) * len(FEATURES))
    assert accepts(judge, shown(5, 4), 0.6, base_rate=0.1, least=0.6)
    assert not accepts(judge, shown(5, 4), 0.599, base_rate=0.1, least=0.6)
    assert not accepts(judge, shown(5, 0), 0.9, base_rate=0.1, least=0.6)
    odds = float(np.e * 0.5 / 0.5)  # one more in the log odds than a base rate of a half
    assert accepts(judge, shown(5, 5), odds / (1 + odds) + 1e-6, base_rate=0.5, least=0.6)
    assert not accepts(judge, shown(5, 5), odds / (1 + odds) - 1e-6, base_rate=0.5, least=0.6)
