"""What classifiers expect of rules on unlabelled samples, and what mining makes of it."""

import random
from dataclasses import replace

import numpy as np
import pytest
from planted import noise, table_of

from kdsl.bitmaps import pack
from kdsl.data.splits import stratified_folds
from kdsl.mining.archive import load_archive, mined_rules, save_archive
from kdsl.mining.opinion import Opinion
from kdsl.mining.problem import ALL_SAMPLES, FoundRule
from kdsl.mining.reliability import FEATURES
from kdsl.mining.run import mine_task
from kdsl.mining.update import update_rule_base
from kdsl.mining.vocabulary import build_vocabulary
from kdsl.rules.condition import Condition
from kdsl.rules.engine import Engine
from kdsl.rules.rule import Rule, When, rule_id
from kdsl.rules.rulebase import RuleBase
from kdsl.sample import Label, Task

TEXTS = ["亮度", "面料", "亮度面料", "在吗"]
EXPECTED = FEATURES.index("expected on unlabelled samples")


def opinion(*parts: list[float], texts: list[str] = TEXTS) -> Opinion:
    """Of two labels: `parts[k]` is what the classifier without fold k - 1 says of the first, the first one on all."""
    said = {fold: np.array([[share, 1 - share] for share in part]) for fold, part in enumerate(parts, ALL_SAMPLES)}
    return Opinion(table_of(texts), said)


@pytest.mark.parametrize(
    ("hits", "label", "fold", "mean"),
    [
        ([0, 2], 0, ALL_SAMPLES, (0.9 + 0.4) / 2),
        ([0, 2], 1, ALL_SAMPLES, (0.1 + 0.6) / 2),
        ([1], 0, 0, 0.3),
        ([0, 1, 2, 3], 0, 0, 0.375),
        ([], 0, 0, None),
    ],
)
def test_what_is_expected_is_the_mean_probability_of_the_label_where_the_rule_hits(hits, label, fold, mean):
    here = opinion([0.9, 0.2, 0.4, 0.5], [0.6, 0.3, 0.1, 0.5])
    assert here.mean(fold, label, pack(np.isin(np.arange(4), hits))) == (None if mean is None else pytest.approx(mean))


def test_lists_and_negations_are_looked_up_among_the_unlabelled_samples():
    vocabulary = build_vocabulary(table_of(["亮度", "亮度", "面料", "面料", "快递", "快递"]))
    of = {c.terms[0]: i for i, c in enumerate(vocabulary.conditions) if c.terms and c.field == "text"}
    bright, fabric, parcel = of["亮度"], of["面料"], of["快递"]
    rules = [
        FoundRule(0, ((bright,),), (False,), 1),
        FoundRule(0, ((bright, fabric),), (False,), 1),
        FoundRule(0, ((bright,), (fabric,)), (False, True), 1),
        FoundRule(0, ((parcel,),), (False,), 1),
    ]
    here = opinion([0.5] * 4, [0.9, 0.2, 0.4, 0.5])
    found = here.expected(vocabulary, {(0, 0): rules, (ALL_SAMPLES, 1): rules[:1]})
    assert found[0, 0] == [pytest.approx((0.9 + 0.4) / 2), pytest.approx(0.5), pytest.approx(0.9), None]
    assert found[ALL_SAMPLES, 1] == [pytest.approx(0.5)]


TELLING = [
    [first + second for first in "退赔坏破少错" for second in "款钱件货单"],
    [first + second for first in "尺颜材重产型" for second in "码色质量地"],
]
"""Words of one label each."""
CHANCE = [first + second for first in "早午晚昨今明前后左右" for second in "间里头边方面"]


def world(n: int, seed: int) -> tuple[list[str], np.ndarray]:
    """Of two labels, each text with one word that tells and one that is there by chance; all of them are rare."""
    source, filler = random.Random(seed), noise(seed, 4)
    labels = np.arange(n) % 2
    words = [(source.choice(TELLING[label]), source.choice(CHANCE)) for label in labels]
    return [f"{filler()}，{tells}，{chance}" for tells, chance in words], labels


@pytest.fixture(scope="module")
def chance(settings):
    """Samples in which some words by chance stand beside one label only, and an opinion of unlabelled ones."""
    texts, labels = world(120, 1)
    task = Task("t", (Label("甲"), Label("乙")))
    folds = stratified_folds(labels, settings.folds, 0)
    unlabelled, truth = world(800, 3)
    said = np.where(np.eye(2)[truth] > 0, 0.9, 0.1)
    heard = Opinion(table_of(unlabelled), {fold: said for fold in range(ALL_SAMPLES, settings.folds)})
    return task, table_of(texts), labels, folds, heard


def test_every_rule_of_every_fold_is_told_what_to_expect_of_it(chance, settings):
    task, table, labels, folds, heard = chance
    apart = {fold: np.roll(heard.probabilities[fold], fold, axis=0) for fold in heard.probabilities}
    each = replace(heard, probabilities=apart)
    mined = mine_task(task, table, labels, settings, 0, folds=folds, opinion=each, workers=0)
    assert mined.opinion is each
    parts = [(ALL_SAMPLES, mined.rules, mined.shown)]
    for part in mined.held_out:
        parts.append((part.fold, *zip(*part.others, strict=True)))
        parts.append((part.fold, part.rules, part.shown))
    seen = 0
    for fold, rules, shown in parts:
        for rule, what in zip(rules, shown, strict=True):
            when = rule.written(mined.problem.vocabulary)
            written = Rule(id=rule_id("t", "甲", when), label="甲", when=When(all=when))
            hits = Engine([written]).matrix(each.table)[:, 0]
            mean = float(apart[fold][hits, rule.label].mean()) if hits.any() else None
            assert what.expected == (None if mean is None else pytest.approx(mean))
            seen += mean is not None
    assert seen > 20


def test_words_that_were_right_by_chance_are_no_rules_where_unlabelled_samples_tell(chance, settings):
    task, table, labels, folds, heard = chance
    alone, told = (
        mined_rules(mine_task(task, table, labels, settings, 0, folds=folds, opinion=each, workers=0), "", 0)[0]
        for each in (None, heard)
    )

    def by_chance(rules):
        return sum(any(word in CHANCE for c in rule.conditions for word in c.terms) for rule in rules)

    assert by_chance(alone) > 2 * by_chance(told)
    assert len(told) - by_chance(told) > len(alone) - by_chance(alone)


def test_what_is_expected_counts_as_far_as_it_proves_right(chance, settings):
    task, table, labels, folds, heard = chance
    flat = replace(heard, probabilities={fold: np.full((800, 2), 0.5) for fold in heard.probabilities})
    weights = [
        mine_task(task, table, labels, settings, 0, folds=folds, opinion=each, workers=0).reliability
        for each in (None, flat, heard)
    ]
    assert [each.coefficients[EXPECTED] for each in weights[:2]] == [0, 0]
    assert weights[2].coefficients[EXPECTED] > 0.1
    assert weights[0].unheard == weights[1].unheard == 0 < weights[2].unheard


def test_what_people_wrote_is_measured_on_unlabelled_samples_too(chance, settings, tmp_path):
    task, table, labels, folds, heard = chance
    mined = mine_task(task, table, labels, settings, 0, folds=folds, opinion=heard, workers=0)
    base = RuleBase.load(tmp_path, "t")
    for label in ("甲", "乙", "没有"):
        when = (Condition(field="text", terms=("退款", "赔钱")),)
        base.save(Rule(id=rule_id("t", label, when), label=label, when=When(all=when)))
    update_rule_base(base, mined, table, "", 0)
    statistics = {entry.id: entry for entry in base.statistics().values()}
    right, wrong, strange = (
        statistics[rule_id("t", label, (Condition(field="text", terms=("退款", "赔钱")),))]
        for label in ("甲", "乙", "没有")
    )
    assert right.reliability > 0.8 > 0.2 > wrong.reliability
    assert strange.reliability is None


def test_the_archive_keeps_what_was_expected(chance, settings, tmp_path):
    task, table, labels, folds, heard = chance
    mined = mine_task(task, table, labels, settings, 0, folds=folds, opinion=heard, workers=0)
    ids = [row.sample.id for row in table.rows]
    archive = save_archive(mined, ids, tmp_path / "mining.json")
    assert load_archive(tmp_path / "mining.json") == archive
    kept = [entry.shown.expected for part in archive.held_out for entry in part]
    assert kept == [shown.expected for part in mined.held_out for shown in (*part.shown, *(s for _, s in part.others))]
    assert any(share is not None for share in kept)
    damaged = (tmp_path / "mining.json").read_text("utf-8").replace('"expected": 0.', '"expected": 7.')
    (tmp_path / "mining.json").write_text(damaged, "utf-8")
    with pytest.raises(Exception, match="a share is not from 0 to 1"):
        load_archive(tmp_path / "mining.json")
