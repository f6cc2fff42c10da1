import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rule_files import LABELS, TASK, contents, rule_base

import kdsl.review.store as store_module
from kdsl.errors import KdslError
from kdsl.review import decisions
from kdsl.review.journal import Journal, journal_path
from kdsl.review.store import RuleStore, StaleVersion, version_of
from kdsl.rules.condition import Condition


@pytest.fixture
def store(tmp_path: Path) -> RuleStore:
    rule_base(tmp_path / "rules")
    return RuleStore(tmp_path / "rules", [TASK])


def first(store: RuleStore):
    return store.rules(TASK)[0]


def terms(*words: str) -> Condition:
    return Condition(field="user", terms=words)


def test_an_accepted_rule_says_by_whom_and_of_which_conditions(store):
    old = first(store)
    decisions.decide(store, "小王", TASK, old.rule.id, old.version, "accepted")
    rule = RuleStore(store.folder, [TASK]).get(TASK, old.rule.id).rule
    assert (rule.status, rule.review.by, rule.review.of) == ("accepted", "小王", rule.when_hash)
    assert not rule.stale


def test_the_reason_of_a_rejection_stands_in_file_and_log(store):
    old = first(store)
    decisions.decide(store, "小王", TASK, old.rule.id, old.version, "rejected", "太宽")
    assert store.get(TASK, old.rule.id).rule.notes == "rejected: 太宽"
    assert [(event.action, event.reason) for event in store.history(old.rule.id)] == [("reject", "太宽")]


def test_undo_goes_all_the_way_back_to_the_byte(store):
    path = first(store).path
    text = "\ufeff" + path.read_text(encoding="utf-8").replace("\n", "\r\n") + "# 备注\r\n"
    path.write_bytes(text.encode())
    before = contents(store.folder)
    store.refresh()
    old = first(store)
    decisions.decide(store, "小王", TASK, old.rule.id, old.version, "accepted")
    decisions.skip(store, "小王", TASK, old.rule.id)
    decisions.edit(store, "小王", TASK, old.rule.id, first(store).version, [terms("灯")], LABELS[0])
    decisions.create(store, "小王", TASK, LABELS[1], [terms("棉")])
    for _ in range(4):
        decisions.undo(store, "小王")
    assert contents(store.folder) == before
    with pytest.raises(KdslError, match="nothing that 小王 did"):
        decisions.undo(store, "小王")


def test_undo_takes_back_only_what_the_same_person_did(store):
    one, two, *_ = store.rules(TASK)
    decisions.decide(store, "小王", TASK, one.rule.id, one.version, "accepted")
    decisions.decide(store, "小李", TASK, two.rule.id, two.version, "rejected")
    decisions.undo(store, "小王")
    assert [each.rule.status for each in store.rules(TASK)] == ["proposed", "rejected", "proposed"]


def test_the_second_of_two_writers_sees_what_the_first_wrote(store):
    old = first(store)
    decisions.decide(store, "小王", TASK, old.rule.id, old.version, "accepted")
    with pytest.raises(StaleVersion, match="changed since you opened it") as caught:
        decisions.decide(store, "小李", TASK, old.rule.id, old.version, "rejected")
    assert "status: accepted" in caught.value.now and "status: rejected" in caught.value.wanted
    assert first(store).rule.status == "accepted"


def test_two_processes_share_one_rule_base(store):
    other = RuleStore(store.folder, [TASK])
    old = first(other)
    decisions.decide(store, "小王", TASK, old.rule.id, old.version, "accepted")
    with pytest.raises(StaleVersion):
        decisions.decide(other, "小王", TASK, old.rule.id, old.version, "rejected")
    decisions.decide(other, "小王", TASK, old.rule.id, other.get(TASK, old.rule.id).version, "rejected")
    decisions.undo(store, "小王")
    assert other.get(TASK, old.rule.id).rule.status == "accepted"


def test_a_change_made_outside_is_noticed_and_never_overwritten(store):
    old = first(store)
    old.path.write_text(old.text.replace('notes: ""', 'notes: "外面写的"'), encoding="utf-8")
    assert store.get(TASK, old.rule.id).rule.notes == "外面写的"
    with pytest.raises(StaleVersion):
        decisions.decide(store, "小王", TASK, old.rule.id, old.version, "accepted")
    assert "外面写的" in old.path.read_text(encoding="utf-8")


def test_files_that_appear_and_vanish_outside_are_noticed(store):
    gone, stays, *_ = store.rules(TASK)
    gone.path.unlink()
    stays.path.with_name("broken.yaml").write_text("id: [", encoding="utf-8")
    assert store.refresh() and not store.refresh()
    assert gone.rule.id not in {each.rule.id for each in store.rules(TASK)}
    assert [path.name for path in store.problems] == ["broken.yaml"]
    with pytest.raises(KdslError, match="may have been deleted outside"):
        store.get(TASK, gone.rule.id)


def test_a_second_file_with_one_id_is_a_problem_until_the_first_goes(store):
    old = first(store)
    copy = old.path.with_name("copy.yaml")
    copy.write_text(old.text, encoding="utf-8")
    store.refresh()
    assert "is already that of" in next(iter(store.problems.values()))
    min(old.path, copy).unlink()
    store.refresh()
    assert store.problems == {} and len(store.rules(TASK)) == 3


def test_an_edit_makes_the_approval_stale_unless_it_is_accepted_anew(store):
    old = first(store)
    decisions.decide(store, "小王", TASK, old.rule.id, old.version, "accepted")
    decisions.edit(store, "小王", TASK, old.rule.id, first(store).version, [terms("灯")], LABELS[0])
    assert store.get(TASK, old.rule.id).rule.stale
    version = store.get(TASK, old.rule.id).version
    decisions.edit(store, "小王", TASK, old.rule.id, version, [terms("灯泡")], LABELS[0], accept=True)
    assert not store.get(TASK, old.rule.id).rule.stale


def test_a_new_rule_lands_in_a_file_of_its_own_and_cannot_be_made_twice(store):
    event = decisions.create(store, "小王", TASK, LABELS[1], [terms("棉", "麻")])
    rule = store.get(TASK, event.rule).rule
    assert (rule.provenance.source, rule.status) == ("person", "accepted")
    with pytest.raises(KdslError, match="is this rule already"):
        decisions.create(store, "小李", TASK, LABELS[1], [terms("麻", "棉")])


def test_two_rules_become_one_and_one_undo_parts_them(store):
    before = contents(store.folder)
    one, two = (each for each in store.rules(TASK) if each.rule.label == LABELS[0])
    decisions.merge(store, "小王", TASK, one.rule.id, one.version, two.rule.id, two.version)
    kept, gone = store.get(TASK, one.rule.id).rule, store.get(TASK, two.rule.id).rule
    assert kept.conditions[0].normalised_terms == {"亮度", "调光", "明暗"}
    assert (gone.status, gone.notes) == ("rejected", f"rejected: merged into {one.rule.id}")
    decisions.undo(store, "小王")
    assert contents(store.folder) == before


def test_rules_that_no_single_rule_can_stand_for_are_not_merged(store):
    one = first(store)
    event = decisions.create(store, "小王", TASK, one.rule.label, [terms("暗"), Condition(field="ocr", terms=("灯",))])
    with pytest.raises(KdslError, match="no single rule says what they say together"):
        decisions.merge(store, "小王", TASK, one.rule.id, one.version, event.rule, store.get(TASK, event.rule).version)


def test_a_pinned_sample_becomes_a_test_of_the_rule(store):
    id = first(store).rule.id
    for must, expected in (("hit", (["s1"], [])), ("miss", ([], ["s1"])), ("none", ([], []))):
        decisions.pin(store, "小王", TASK, id, store.get(TASK, id).version, "s1", must)
        tests = store.get(TASK, id).rule.tests
        assert (tests.hit, tests.miss) == expected


def test_a_nameless_person_decides_nothing(store):
    old = first(store)
    with pytest.raises(KdslError, match="--as NAME"):
        decisions.decide(store, " ", TASK, old.rule.id, old.version, "accepted")


def test_a_name_that_is_a_path_stays_inside_the_folder_of_logs(store):
    decisions.skip(store, "../../x", TASK, first(store).rule.id)
    assert [path.parent.name for path in store.folder.parent.rglob("*.jsonl")] == ["reviews"]


def test_a_full_disk_changes_nothing_and_says_so(store, monkeypatch):
    before = contents(store.folder)
    one, two = (each for each in store.rules(TASK) if each.rule.label == LABELS[0])
    real = store_module.write_rule_text
    calls = []

    def full_after_one(path: Path, text: str) -> None:
        calls.append(path)
        if len(calls) == 2:
            raise KdslError(f"{path}: cannot be written (No space left on device)")
        real(path, text)

    monkeypatch.setattr(store_module, "write_rule_text", full_after_one)
    with pytest.raises(KdslError, match="No space left"):
        decisions.merge(store, "小王", TASK, one.rule.id, one.version, two.rule.id, two.version)
    monkeypatch.undo()
    assert contents(store.folder) == before
    assert RuleStore(store.folder, [TASK]).history() == []


class Killed(BaseException):
    pass


@pytest.mark.parametrize("step", range(8))
def test_after_a_kill_at_any_step_files_and_log_agree(store, monkeypatch, step):
    """A merge changes two files: every write to log or files is where the process may die."""
    before = contents(store.folder)
    one, two = (each for each in store.rules(TASK) if each.rule.label == LABELS[0])
    left = [step]

    def die() -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Killed

    def dying(real):
        def call(*arguments):
            die()
            real(*arguments)
            die()

        return call

    monkeypatch.setattr(store_module, "write_rule_text", dying(store_module.write_rule_text))
    monkeypatch.setattr(Journal, "_append", dying(Journal._append))
    with pytest.raises(Killed):
        decisions.merge(store, "小王", TASK, one.rule.id, one.version, two.rule.id, two.version)
    monkeypatch.undo()
    again = RuleStore(store.folder, [TASK])
    happened = bool(again.history())
    assert (contents(store.folder) == before) is not happened
    assert happened is (step >= 3)  # the log alone is not enough: from the first file on, the second follows
    if happened:
        decisions.undo(again, "小王")
    assert contents(store.folder) == before


def test_a_torn_line_at_the_end_of_the_log_is_taken_away(store):
    decisions.skip(store, "小王", TASK, first(store).rule.id)
    path = journal_path(store.folder, "小王")
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:40])
    again = RuleStore(store.folder, [TASK])
    assert len(again.history()) == 1 and path.read_bytes() == whole


def test_a_damaged_log_is_named_with_its_line(store):
    decisions.skip(store, "小王", TASK, first(store).rule.id)
    path = journal_path(store.folder, "小王")
    path.write_text(json.dumps({"number": "x"}) + "\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(KdslError, match=r"小王\.jsonl, line 1: .*restore the file from git"):
        RuleStore(store.folder, [TASK])


WORKER = """
import sys
from pathlib import Path
from kdsl.review import decisions
from kdsl.review.store import RuleStore
store = RuleStore(Path(sys.argv[1]), ["intent"])
while True:
    for status in ("accepted", "rejected"):
        for each in store.rules("intent"):
            decisions.decide(store, "x", "intent", each.rule.id, store.get("intent", each.rule.id).version, status)
            print(each.rule.id, status, flush=True)
"""


def test_a_process_killed_with_signal_9_loses_nothing_that_it_confirmed(store):
    for delay in (0.02, 0.07):
        process = subprocess.Popen(
            [sys.executable, "-c", WORKER, str(store.folder)], stdout=subprocess.PIPE, text=True, env=dict(os.environ)
        )
        confirmed = [process.stdout.readline().split()]
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        confirmed += [line.split() for line in process.stdout if line.endswith("\n")]
        process.wait()
        process.stdout.close()
        again = RuleStore(store.folder, [TASK])
        events = again.history()
        said = {event.rule: change.after for event in events for change in event.changes}
        assert all(again.get(TASK, id).text == said[id] for id in said)
        assert again.problems == {} and len(events) >= len(confirmed)


def test_logs_of_one_person_on_two_computers_can_be_joined_by_git(store):
    path = journal_path(store.folder, "小王")
    one, two, three = store.rules(TASK)
    decisions.decide(store, "小王", TASK, one.rule.id, one.version, "accepted")
    here = path.read_bytes()
    path.unlink()
    elsewhere = RuleStore(store.folder, [TASK])
    decisions.decide(elsewhere, "小王", TASK, two.rule.id, two.version, "rejected")
    decisions.undo(elsewhere, "小王")
    path.write_bytes(here + path.read_bytes())
    joined = RuleStore(store.folder, [TASK])
    assert [event.action for event in joined.journal("小王")] == ["accept", "reject", "undo"]
    decisions.decide(joined, "小王", TASK, three.rule.id, three.version, "accepted")
    for _ in range(2):
        decisions.undo(joined, "小王")
    assert {each.rule.status for each in joined.rules(TASK)} == {"proposed"}


BUSY = """
import sys
from pathlib import Path
from kdsl.review import decisions
from kdsl.review.store import RuleStore, StaleVersion
store = RuleStore(Path(sys.argv[1]), ["intent"])
for number in range(30):
    each = store.rules("intent")[number % 3]
    try:
        decisions.note(store, sys.argv[2], "intent", each.rule.id, each.version, f"{sys.argv[2]} {number}")
        print("saved")
    except StaleVersion:
        store.refresh()
"""


def test_two_busy_processes_never_overwrite_each_other_silently(store):
    processes = [
        subprocess.Popen([sys.executable, "-c", BUSY, str(store.folder), name], stdout=subprocess.PIPE, text=True)
        for name in ("a", "b")
    ]
    saved = sum(process.communicate(timeout=60)[0].count("saved") for process in processes)
    assert [process.returncode for process in processes] == [0, 0]
    again = RuleStore(store.folder, [TASK])
    events = again.history()
    assert len(events) == saved > 30
    last: dict[str, str] = {}
    for event in events:
        [change] = event.changes
        assert last.setdefault(change.file, change.version_before) == change.version_before  # an unbroken chain
        last[change.file] = change.version_after
    assert {file: version_of(text) for file, text in contents(store.folder).items()} == last
