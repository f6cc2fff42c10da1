"""What mining leaves for the rule base and for the arbiter."""

import json
from dataclasses import replace

import numpy as np
import pytest

from kdsl.bitmaps import unpack
from kdsl.errors import KdslError
from kdsl.mining.archive import (
    archive_of,
    held_out_counts,
    load_archive,
    mined_rules,
    save_archive,
    shown_of,
)
from kdsl.mining.miner import Mined
from kdsl.mining.reliability import FEATURES, Reliability
from kdsl.mining.run import mine_task
from kdsl.mining.update import update_rule_base
from kdsl.rules.condition import Condition
from kdsl.rules.engine import Engine
from kdsl.rules.rule import Rule, When, rule_id
from kdsl.rules.rulebase import RuleBase


@pytest.fixture(scope="module")
def mined(shop, settings) -> Mined:
    return mine_task(*shop, settings, seed=5, workers=0)


def rule(id: str, label: str, *terms: str, **more) -> Rule:
    return Rule(id=id, label=label, when=When(all=(Condition(field="last_user", terms=terms),)), **more)


def test_accepted_rules_come_with_where_they_are_from_and_what_was_measured(shop, mined):
    task, table, labels = shop
    rules, statistics = mined_rules(mined, "2026-11-21T09:00", 5)
    assert len(rules) == len(statistics) > 3
    assert len({(rule.label, rule.when_hash) for rule in rules}) == len(rules)
    hits = Engine(rules).matrix(table)
    names = np.array(task.label_names)
    for index, (found, entry) in enumerate(zip(rules, statistics, strict=True)):
        assert found.id == rule_id("shop", found.label, found.conditions) == entry.id
        assert (found.status, entry.when) == ("proposed", found.when_hash)
        assert found.provenance.model_dump() == {
            "source": "mcts", "proposer": "lexical", "run": "2026-11-21T09:00", "seed": 5,
        }  # fmt: skip
        right = names[labels] == found.label
        assert (entry.training.hits, entry.training.correct) == (hits[:, index].sum(), (hits[:, index] & right).sum())
        assert (entry.training.positives, entry.training.samples) == (30, 90)
        assert entry.base_rate == pytest.approx(1 / 3, abs=1e-6)
        odds = entry.reliability / (1 - entry.reliability) * (1 - entry.base_rate) / entry.base_rate
        assert entry.weight == pytest.approx(max(0, np.log(odds)), abs=0.02)


def test_held_out_counts_are_of_the_folds_that_found_the_very_same_rule(shop, mined):
    task, table, labels = shop
    counts = held_out_counts(mined)
    rules, statistics = mined_rules(mined, "", 5)
    assert any(entry.held_out is None for entry in statistics) or len(rules) <= len(counts)
    checked = 0
    for found, entry in zip(rules, statistics, strict=True):
        folds = [
            part.fold
            for part in mined.held_out
            for other in part.rules
            if task.label_names[other.label] == found.label
            and rule_id("shop", found.label, other.written(mined.problem.vocabulary)) == found.id
        ]
        assert (entry.held_out is None) == (not folds)
        if folds:
            checked += 1
            outside = np.isin(mined.problem.folds, folds)
            hits = Engine([found]).matrix(table)[:, 0] & outside
            right = labels == task.label_names.index(found.label)
            assert (entry.held_out.hits, entry.held_out.correct) == (hits.sum(), (hits & right).sum())
    assert checked


def test_what_a_rule_shows_is_the_same_from_the_engine_as_from_the_search(shop, mined):
    task, table, labels = shop
    names, vocabulary = task.label_names, mined.problem.vocabulary
    rules = [
        Rule(id="r-0000", label=names[found.label], when=When(all=found.written(vocabulary))) for found in mined.rules
    ]
    hits = Engine(rules).matrix(table)
    shown = [shown_of(each, hits[:, index], labels, task) for index, each in enumerate(rules)]
    assert shown == list(mined.shown)
    assert any(each.described for each in shown)


def test_a_rule_for_a_label_that_the_task_does_not_have_shows_no_positives(shop):
    task, _, labels = shop
    shown = shown_of(rule("r-0000", "没有", "灯光", "亮度"), np.ones(90, dtype=bool), labels, task)
    assert (shown.hits, shown.correct, shown.positives, shown.further_terms, shown.described) == (90, 0, 0, 1, 0.0)


def test_forms_of_a_word_are_no_further_terms(shop):
    task, _, labels = shop
    shown = shown_of(rule("r-0000", "调光", "dim", "dimmed", "dims"), np.ones(90, dtype=bool), labels, task)
    assert shown.further_terms == 0


def test_an_archive_comes_back_as_it_was(shop, mined, tmp_path):
    task, table, _ = shop
    ids = [row.sample.id for row in table.rows]
    archive = save_archive(mined, ids, tmp_path / "shop/mining.json")
    assert load_archive(tmp_path / "shop/mining.json") == archive
    assert archive.reliability == mined.reliability
    assert archive.base_rates == pytest.approx(dict.fromkeys(task.label_names, 1 / 3))
    assert archive.folds_of(ids).tolist() == mined.problem.folds.tolist()
    assert archive.folds_of(ids[::-1]).tolist() == mined.problem.folds[::-1].tolist()
    for part in mined.held_out:
        rules, archived = archive.held_out_rules(part.fold)
        listed = [each.listed for each in archived]
        assert [each.shown for each in archived if each.listed] == list(part.shown)
        assert [each.shown for each in archived if not each.listed] == [shown for _, shown in part.others]
        outside = mined.problem.folds == part.fold
        assert (Engine(rules).matrix(table)[outside][:, listed] == unpack(part.bits, len(outside)).T[outside]).all()


def test_an_archive_of_other_samples_is_refused(shop, mined, tmp_path):
    ids = [row.sample.id for row in shop[1].rows]
    archive = save_archive(mined, ids, tmp_path / "mining.json")
    with pytest.raises(
        KdslError, match=r"shop: the training samples are not those .* \('neu' is in one of them only\)"
    ):
        archive.folds_of([*ids, "neu"])
    with pytest.raises(KdslError, match="some ids occur more or less often"):
        archive.folds_of([*ids, ids[0]])


def test_a_damaged_archive_is_one_sentence(tmp_path, shop, mined):
    path = tmp_path / "mining.json"
    with pytest.raises(KdslError, match=r"mining\.json: no such file; call project\.mine\(\) first"):
        load_archive(path)
    save_archive(mined, [row.sample.id for row in shop[1].rows], path)
    whole = path.read_text("utf-8")
    path.write_text(whole[:100])
    with pytest.raises(KdslError, match=r"mining\.json, line 7.*: not valid JSON .*; call project\.mine\(\) again"):
        load_archive(path)
    path.write_text(json.dumps(json.loads(whole) | {"folds": [0]}))
    with pytest.raises(KdslError, match="samples, folds and held_out do not belong together"):
        load_archive(path)


def test_mining_again_changes_nothing(shop, mined, tmp_path):
    first = update_rule_base(RuleBase.load(tmp_path, "shop"), mined, shop[1], "one", 5)
    files = {path: path.read_bytes() for path in tmp_path.rglob("*.*")}
    assert first.added and not first.removed
    second = update_rule_base(RuleBase.load(tmp_path, "shop"), mined, shop[1], "two", 5)
    assert (second.added, second.removed, len(second.kept)) == ((), (), len(first.added))
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.*")} == files


def test_rules_of_people_stay_and_are_measured(shop, mined, tmp_path):
    task, table, labels = shop
    base = RuleBase.load(tmp_path, "shop")
    written = rule("r-hand", "材质", "面料", "棉")
    silent = rule("r-none", "材质", "从不出现")
    strange = rule("r-else", "没有", "面料")
    for each in (written, silent, strange):
        base.save(each)
    report = update_rule_base(base, mined, table, "one", 5)
    assert not report.removed
    statistics = RuleBase.load(tmp_path, "shop").statistics()
    assert {(each.id, each.when_hash) for each in base.rules} == set(statistics)
    entry = statistics["r-hand", written.when_hash]
    hits = Engine([written]).matrix(table)[:, 0]
    assert (entry.training.hits, entry.training.correct) == (hits.sum(), (hits & (labels == 1)).sum())
    estimate = mined.reliability.estimate([shown_of(written, hits, labels, task)])[0]
    assert entry.reliability == pytest.approx(estimate, abs=1e-4)
    assert statistics["r-none", silent.when_hash].reliability is None
    assert statistics["r-else", strange.when_hash].reliability is None


def test_a_rule_that_is_no_longer_found_goes_unless_a_person_accepted_it(shop, mined, tmp_path):
    base = RuleBase.load(tmp_path, "shop")
    update_rule_base(base, mined, shop[1], "one", 5)
    accepted, *others = base.rules
    base.save(accepted.model_copy(update={"status": "accepted"}))
    nothing = replace(mined, reliability=Reliability(-9.0, (0.0,) * len(FEATURES)))
    report = update_rule_base(RuleBase.load(tmp_path, "shop"), nothing, shop[1], "two", 5)
    assert {each.id for each in report.removed} == {each.id for each in others}
    assert [key[0] for key in RuleBase.load(tmp_path, "shop").statistics()] == [accepted.id]


def test_ids_that_occur_twice_are_told_by_their_order_or_not_at_all(mined):
    archive = archive_of(mined, ["twice"] * 2 + [f"s{n}" for n in range(88)])
    assert archive.folds_of(archive.samples).tolist() == list(archive.folds)
    with pytest.raises(KdslError, match="in another order than rules were mined on, and some of their ids"):
        archive.folds_of(archive.samples[::-1])


def test_a_meaning_in_the_words_of_the_label_is_described_and_further_wordings_are_counted(shop):
    task, _, labels = shop
    for wordings, described, further in ((["灯光"], 1.0, 0), (["物流"], 0.0, 0), (["物流", "灯光", "快递"], 1.0, 2)):
        when = When(all=({"means": {"user": wordings, "at": 0.5}},))
        shown = shown_of(Rule(id="r-0000", label="调光", when=when), np.ones(90, dtype=bool), labels, task)
        assert (shown.described, shown.further_terms) == (described, further)
