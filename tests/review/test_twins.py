"""Near copies stand together in the queue, are decided together, and one undo takes all of it back."""

import re

import pytest
from reviewed_shop import LABELS
from rule_files import TASK, contents, rule

import kdsl.review.store as store_module
from kdsl.errors import KdslError
from kdsl.review import decisions
from kdsl.review.journal import Journal
from kdsl.review.live import LiveSite
from kdsl.review.queue import Query
from kdsl.review.store import RuleStore
from kdsl.rules.rulebase import RuleBase

BROAD = rule(LABELS[0], {"last_user": ["亮度", "调光"]})
TWIN = rule(LABELS[0], {"user": ["亮度", "调光"]})
RIVAL = rule(LABELS[1], {"user": ["亮度", "调光"]})


@pytest.fixture
def shop(live: LiveSite) -> LiveSite:
    for each in (TWIN, RIVAL):
        RuleBase(live.site.config.rules, TASK).save(each)
    live.refresh()
    return live


def group(live: LiveSite) -> tuple[str, str]:
    overview = live.site.overview(TASK)
    best = overview.rules[overview.best[overview.position[TWIN.id]]].rule.id
    return best, ({BROAD.id, TWIN.id} - {best}).pop()


def test_copies_have_one_label_and_stand_right_behind_the_best(shop):
    best, copy = group(shop)
    overview = shop.site.overview(TASK)
    assert overview.copies(overview.position[best]) == [overview.position[copy]]
    assert overview.best[overview.position[RIVAL.id]] == overview.position[RIVAL.id]
    queue = shop.site.queue(TASK, Query())
    assert queue.index(copy) == queue.index(best) + 1


def test_a_copy_that_falls_behind_once_the_best_is_accepted_is_not_what_comes_next(shop, client, monkeypatch):
    site, (best, copy) = shop.site, group(shop)
    first, *others = [each for each in site.queue(TASK, Query()) if each not in (best, copy)]
    before, now = [first, best, copy, *others], [first, *others, copy]

    def queue(task, query):
        return before if site.store.get(TASK, best).rule.status == "proposed" else now

    def decide(id):
        form = {"status": "accepted", "version": site.store.get(TASK, id).version, "queue": ""}
        answer = client.post(f"/t/{TASK}/rules/{id}/decide", data=form)
        return re.findall(r'data-rule="([^"]*)"', answer.text)

    monkeypatch.setattr(site, "queue", queue)
    assert decide(best) == [others[0]], "not the copy, behind which nothing is left, nor what stood before"
    assert decide(others[-1]) == [copy]
    assert decide(copy) == []


def test_one_decision_accepts_the_best_and_rejects_the_copies_each_in_the_log(shop, client):
    best, copy = group(shop)
    store, before = shop.site.store, contents(shop.site.config.rules)
    form = {"status": "accepted", "version": store.get(TASK, best).version, "queue": ""}
    form[f"copy-{copy}"] = store.get(TASK, copy).version
    answer = client.post(f"/t/{TASK}/rules/{best}/twins", data=form)
    assert answer.status_code == 200 and copy not in re.findall(r'data-rule="([^"]*)"', answer.text)
    assert store.get(TASK, best).rule.status == "accepted"
    assert store.get(TASK, copy).rule.status == "rejected"
    assert store.get(TASK, copy).rule.notes == f"rejected: copy of {best}"
    assert [(event.action, event.rule) for event in store.history()] == [("accept", best), ("reject", copy)]
    decisions.undo(store, shop.site.reviewer)
    assert contents(shop.site.config.rules) == before
    assert RuleStore(store.folder, [TASK]).history()[-1].rule == best


def test_all_of_them_can_be_rejected(shop):
    best, copy = group(shop)
    store = shop.site.store
    seen = [(id, store.get(TASK, id).version) for id in (best, copy)]
    decisions.decide_twins(store, "小王", TASK, seen[0], seen[1:], "rejected")
    assert [store.get(TASK, id).rule.status for id in (best, copy)] == ["rejected", "rejected"]


def test_where_one_was_changed_since_none_is_decided(shop):
    best, copy = group(shop)
    store, before = shop.site.store, contents(shop.site.config.rules)
    with pytest.raises(KdslError, match="was changed since you opened it"):
        seen = best, store.get(TASK, best).version
        decisions.decide_twins(store, "小王", TASK, seen, [(copy, "0" * 16)], "accepted")
    assert contents(shop.site.config.rules) == before and store.history() == []


def test_a_rule_that_is_no_copy_is_not_decided_along(shop, client):
    best, _ = group(shop)
    version = shop.site.store.get(TASK, best).version
    form = {"status": "accepted", "version": version, f"copy-{RIVAL.id}": "0"}
    answer = client.post(f"/t/{TASK}/rules/{best}/twins", data=form)
    assert answer.status_code == 422 and f"is no near copy of {best}" in answer.text.replace("&#39;", "'")


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize("files", [0, 1, 2])
def test_after_a_kill_the_decision_reached_all_of_them_or_none(shop, monkeypatch, files):
    best, copy = group(shop)
    store, before = shop.site.store, contents(shop.site.config.rules)
    seen = [(id, store.get(TASK, id).version) for id in (best, copy)]
    real, left = store_module.write_rule_text, [files]

    def put(path, text):
        if not left[0]:
            raise Killed
        left[0] -= 1
        real(path, text)

    def end(journal, number, done):
        raise Killed

    monkeypatch.setattr(store_module, "write_rule_text", put)
    monkeypatch.setattr(Journal, "end", end)
    with pytest.raises(Killed):
        decisions.decide_twins(store, "小王", TASK, seen[0], seen[1:], "accepted")
    monkeypatch.undo()
    again = RuleStore(store.folder, [TASK])
    assert len(again.history()) == (2 if files else 0)
    if files:
        assert [again.get(TASK, id).rule.status for id in (best, copy)] == ["accepted", "rejected"]
        decisions.undo(again, "小王")
    assert contents(store.folder) == before


def test_where_only_the_first_end_could_be_written_all_happened(shop, monkeypatch):
    best, copy = group(shop)
    store = shop.site.store
    seen = [(id, store.get(TASK, id).version) for id in (best, copy)]
    real, left = Journal.end, [1]

    def end(journal, number, done):
        if not left[0]:
            raise KdslError("full")
        left[0] -= 1
        real(journal, number, done)

    monkeypatch.setattr(Journal, "end", end)
    decisions.decide_twins(store, "小王", TASK, seen[0], seen[1:], "accepted")
    monkeypatch.undo()
    assert [event.action for event in RuleStore(store.folder, [TASK]).history()] == ["accept", "reject"]
