"""All rules of a label above 0.95 are looked at and accepted at once, with one undo."""

import re

import pytest
from reviewed_shop import LABELS, stored
from rule_files import TASK, contents

from kdsl.review import decisions
from kdsl.rules.statistics import RuleStatistics, TrainingCounts, statistics_path, write_statistics


@pytest.fixture
def sure(live):
    """Of the two rules for the second label one is above 0.95, the other at it."""
    entries = []
    for term, reliability in (("材质", 0.951), ("立即购买", 0.95)):
        each = stored(live.site, term)
        counts = TrainingCounts(hits=2, correct=2, positives=3, samples=6)
        entries.append(
            RuleStatistics(
                id=each.rule.id, when=each.when, training=counts, reliability=reliability, base_rate=0.5, candidates=9
            )
        )
    write_statistics(statistics_path(live.site.config.rules, TASK), entries)
    return live.site


def test_the_queue_of_a_label_says_how_many_there_are_and_the_list_shows_them(sure, client):
    queue = client.get(f"/t/{TASK}/rules", params={"label": LABELS[1]}).text
    assert re.search(r"Accept all above 0.95 of this label \(1\)", queue)
    page = client.get(f"/t/{TASK}/sure", params={"label": LABELS[1]}).text
    assert re.findall(r'name="rule-([^"]*)"', page) == [stored(sure, "材质").rule.id] and "0.951" in page


def test_what_is_ticked_is_accepted_nothing_else_and_one_undo_takes_it_back(sure, client):
    before, chosen = contents(sure.config.rules), stored(sure, "材质")
    form = {"queue": f"label={LABELS[1]}", f"rule-{chosen.rule.id}": chosen.version}
    assert client.post(f"/t/{TASK}/sure", data=form).status_code == 200
    assert [each.rule.id for each in sure.store.rules(TASK) if each.approved] == [chosen.rule.id]
    decisions.undo(sure.store, sure.reviewer)
    assert contents(sure.config.rules) == before


def test_a_rule_that_is_not_on_the_list_is_not_accepted(sure, client):
    other = stored(sure, "立即购买")
    form = {"queue": f"label={LABELS[1]}", f"rule-{other.rule.id}": other.version}
    answer = client.post(f"/t/{TASK}/sure", data=form)
    assert answer.status_code == 422 and "open the list again" in answer.text
    assert "tick at least one" in client.post(f"/t/{TASK}/sure", data={"queue": ""}).text
    assert sure.store.history() == []
