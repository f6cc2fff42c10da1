"""Merging what mining found with what people decided, in memory."""

import pytest

from kdsl.mining.archive import mined_rules
from kdsl.mining.miner import Mined
from kdsl.mining.run import mine_task
from kdsl.mining.update import with_decisions
from kdsl.rules.condition import Condition
from kdsl.rules.rule import Rule, When


@pytest.fixture(scope="module")
def mined(shop, settings) -> Mined:
    return mine_task(*shop, settings, seed=5, workers=0)


def in_order(*rules: Rule) -> tuple[Rule, ...]:
    return tuple(sorted(rules, key=lambda rule: (rule.label, rule.id)))


@pytest.fixture
def found(mined) -> list[Rule]:
    return mined_rules(mined, "", 0)[0]


@pytest.fixture
def merged(shop, mined):
    ids = [row.sample.id for row in shop[1].rows]
    return lambda decided: with_decisions(mined, ids, decided, 0)


def decided(rule: Rule, **changes) -> Rule:
    return rule.model_copy(update={"status": "accepted", **changes})


def written(shop, status="accepted", source="hand") -> Rule:
    label = shop[0].label_names[0]
    rule = Rule(id="r-hand", label=label, status=status, when=When(all=(Condition(field="user", terms=("独一份",)),)))
    return rule.model_copy(update={"provenance": rule.provenance.model_copy(update={"source": source})})


def test_without_decisions_the_rules_are_those_that_were_mined(mined, merged):
    found, statistics = mined_rules(mined, "", 0)
    result = merged(())
    assert result.rules == in_order(*found)
    assert result.statistics == {(entry.id, entry.when): entry for entry in statistics}
    assert result.archive.folds == tuple(mined.problem.folds.tolist())


def test_a_rule_that_is_found_again_is_as_people_decided(found, merged):
    accepted, rejected = decided(found[0]), decided(found[1], status="rejected")
    assert merged([accepted, rejected]).rules == in_order(accepted, rejected, *found[2:])


def test_a_decision_under_another_id_keeps_it_and_the_statistics_follow(found, merged):
    own = decided(found[0], id="r-own")
    result = merged([own])
    assert own in result.rules and found[0] not in result.rules
    assert (
        result.statistics["r-own", own.when_hash].id == "r-own"
        and (found[0].id, own.when_hash) not in result.statistics
    )


def test_an_accepted_rule_that_these_samples_do_not_give_is_left_out(shop, merged):
    """That it was mined is owed to other samples, which may be those that are predicted."""
    from kdsl.rules.rule import rule_id

    mined_elsewhere = written(shop, source="mcts")
    conditions = mined_elsewhere.conditions
    own_id = rule_id(shop[0].name, mined_elsewhere.label, conditions)
    elsewhere = mined_elsewhere.model_copy(update={"id": own_id})
    assert elsewhere not in merged([elsewhere]).rules
    ruled_out = elsewhere.model_copy(update={"status": "rejected"})
    assert ruled_out in merged([ruled_out]).rules, "folds of the mining may find it, and must know"


def test_a_rule_that_a_person_wrote_is_there_as_it_stands(shop, found, merged):
    own = written(shop)
    assert merged([own]).rules == in_order(*found, own)


def test_an_edit_stands_for_the_rule_that_was_edited(shop, found, merged):
    edit = found[0].model_copy(update={"when": written(shop).when, "status": "proposed"})
    assert merged([edit]).rules == in_order(*found[1:], edit)
