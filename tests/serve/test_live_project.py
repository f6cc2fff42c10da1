"""A project that decides while its files change: as a whole or not at all."""

import json
import logging
from pathlib import Path

import pytest
from service_shop import MONEY, opened, picture

from kdsl.errors import KdslError
from kdsl.sample import Sample, Turn
from kdsl.serve import live as live_module
from kdsl.serve.live import LiveProject, Unusable

ASKED = Sample("a", "returns", (Turn("user", "钱不够"),))


def rules_that_hold(live: LiveProject) -> set[str]:
    [decision] = live.served.decide([ASKED])
    return {hit.rule.id for hit in decision.rules}


def rule_file(shop: Path) -> Path:
    [path] = (shop / "rules" / "returns").rglob(f"*{MONEY.id}.yaml")
    return path


def reject(shop: Path) -> None:
    base = opened(shop).rules("returns")
    base.save(base.get(MONEY.id).model_copy(update={"status": "rejected"}))


def test_a_changed_rule_counts_from_then_on_and_what_was_served_before_stays_as_it_was(shop):
    live = LiveProject(opened(shop))
    before = live.served
    assert rules_that_hold(live) == {MONEY.id}
    reject(shop)
    assert rules_that_hold(live) == {MONEY.id}
    live.refresh()
    assert rules_that_hold(live) == set()
    assert before.decide([ASKED])[0].rules[0].rule.id == MONEY.id
    assert before.versions["rules"] != live.served.versions["rules"]
    assert before.versions["checkpoint"] == live.served.versions["checkpoint"]


def test_a_rule_file_that_is_broken_keeps_the_rules_of_before_until_it_is_mended(shop, caplog):
    live, told = LiveProject(opened(shop)), []
    live.tell = told.append
    text = rule_file(shop).read_text("utf-8")
    rule_file(shop).write_text("label: [", "utf-8")
    with caplog.at_level(logging.WARNING):
        live.refresh()
    assert rules_that_hold(live) == {MONEY.id}
    [problem] = live.problems
    assert str(rule_file(shop)) in problem
    assert f"{problem}; what was read before is still used" in caplog.text
    rule_file(shop).write_text(text, "utf-8")
    live.refresh()
    assert live.problems == []
    assert told == [False, True]


def test_a_rule_file_that_is_broken_at_the_start_is_left_out_and_told(shop):
    rule_file(shop).write_text("label: [", "utf-8")
    live = LiveProject(opened(shop))
    assert rules_that_hold(live) == set()
    assert str(rule_file(shop)) in live.problems[0]


def test_what_is_trained_anew_decides_from_then_on(shop):
    live = LiveProject(opened(shop))
    before = live.served.versions
    train = shop / "data" / "train.json"
    more = {"id": "new", "task": "returns", "text": "袖子太长", "label": "尺码"}
    train.write_text(json.dumps([*json.loads(train.read_text("utf-8")), more], ensure_ascii=False), "utf-8")
    again = opened(shop)
    again.mine(workers=1)
    again.train()
    live.refresh()
    assert live.problems == []
    assert live.served.versions["checkpoint"] != before["checkpoint"]
    assert live.served.versions["config"] == before["config"]


def test_a_checkpoint_that_was_trained_for_other_labels_is_not_taken(shop):
    live = LiveProject(opened(shop))
    task = shop / "tasks" / "returns.yaml"
    renamed = task.read_text("utf-8").replace("尺码", "大小")
    old = task.read_text("utf-8")
    task.write_text(renamed, "utf-8")
    train = shop / "data" / "train.json"
    records = [r for r in json.loads(train.read_text("utf-8")) if r["task"] == "returns"]
    other = [{**r, "label": r["label"].replace("尺码", "大小")} for r in records]
    train.write_text(json.dumps(other, ensure_ascii=False), "utf-8")
    again = opened(shop, tasks=[str(task)])
    again.mine(workers=1)
    again.train()
    live.refresh()
    assert any("trained for other labels than returns has now" in problem for problem in live.problems)
    assert any("start `kdsl serve` again" in problem for problem in live.problems)
    assert live.served.decide([ASKED])[0].labels == ("退款", "尺码")
    task.write_text(old, "utf-8")


def test_what_was_deleted_goes_on_deciding(shop):
    live = LiveProject(opened(shop))
    for file in (shop / "checkpoints" / "run" / "returns").iterdir():
        file.unlink()
    live.refresh()
    assert rules_that_hold(live) == {MONEY.id}
    assert live.problems != []


def test_half_of_a_change_is_not_taken(shop, monkeypatch):
    live = LiveProject(opened(shop))
    before = live.served
    reject(shop)
    stamps = live._current.stamps
    changes = iter([stamps(), ({}, {})])
    monkeypatch.setattr(live._current, "stamps", lambda: next(changes, stamps()))
    live._reload(stamps())
    assert live.served is before


def test_a_fault_of_its_own_is_told_and_it_goes_on_looking(shop, monkeypatch, caplog):
    live = LiveProject(opened(shop))
    reject(shop)
    with monkeypatch.context() as patch:
        patch.setattr(live_module, "versions_of", lambda *_: 1 / 0)
        live.refresh()
    assert live.problems == ["what has changed cannot be read (division by zero); the service's log says more"]
    assert "Traceback" in caplog.text
    assert rules_that_hold(live) == {MONEY.id}
    rule_file(shop).touch()
    live.refresh()
    assert (live.problems, rules_that_hold(live)) == ([], set())


def test_it_looks_by_itself(shop, monkeypatch):
    monkeypatch.setattr(live_module, "LOOK", 0.01)
    live = LiveProject(opened(shop))
    live.start()
    try:
        reject(shop)
        while rules_that_hold(live):
            pass
    finally:
        live.stop()


def test_where_nothing_is_trained_there_is_nothing_to_serve(shop):
    for file in (shop / "checkpoints" / "run").rglob("*.*"):
        file.unlink()
    with pytest.raises(KdslError, match="none of the project's tasks was trained"):
        LiveProject(opened(shop))


def test_a_task_that_was_not_trained_cannot_be_decided(shop):
    for file in (shop / "checkpoints" / "run" / "desk").iterdir():
        file.unlink()
    live = LiveProject(opened(shop))
    assert rules_that_hold(live) == {MONEY.id}
    with pytest.raises(Unusable, match="run `kdsl train` first"):
        live.served.decide([Sample("b", "desk", (Turn("user", "钱"),))])


def test_nothing_of_what_customers_send_is_kept_on_disk(shop):
    before = {path: path.stat().st_mtime_ns for path in shop.rglob("*") if path.is_file()}
    live = LiveProject(opened(shop, data__ocr=str(shop / "data" / "ocr.jsonl")))
    (shop / "data" / "images" / "new.png").write_bytes(picture("green"))
    live.served.decide([ASKED, Sample("p", "desk", images=("new.png",))])
    after = {path: path.stat().st_mtime_ns for path in shop.rglob("*") if path.is_file()}
    live.stop()
    del after[shop / "data" / "images" / "new.png"]
    assert after == before
