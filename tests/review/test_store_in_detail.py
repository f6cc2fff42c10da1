"""What the store of rules promises to those who use it, one promise at a time."""

import hashlib
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from rule_files import LABELS, TASK, contents, rule_base

import kdsl.review.store as store_module
from kdsl.errors import KdslError
from kdsl.review import decisions
from kdsl.review.journal import Event, FileChange, Journal, journal_path
from kdsl.review.store import RuleStore, StaleVersion, StoredRule, Wanted, version_of
from kdsl.rules.condition import Condition
from kdsl.rules.rulebase import RuleBase

OTHER = "scene"


@pytest.fixture
def store(tmp_path: Path) -> RuleStore:
    rule_base(tmp_path / "rules")
    return RuleStore(tmp_path / "rules", [TASK])


def rules(store: RuleStore) -> list[StoredRule]:
    return store.rules(TASK)


def in_file(stored: StoredRule, old: str, new: str) -> None:
    """Change a rule's file as an editor would."""
    stored.path.write_text(stored.path.read_text("utf-8").replace(old, new), "utf-8")


def accept(store: RuleStore, number: int = 0, by: str = "小王") -> Event:
    stored = rules(store)[number]
    return decisions.decide(store, by, TASK, stored.rule.id, stored.version, "accepted")


def test_a_stored_rule_is_its_file():
    assert version_of(None) == ""
    assert version_of("亮度") == hashlib.sha256("亮度".encode()).hexdigest()[:16]
    assert version_of("") != "" and len(version_of("\ud800")) == 16


def test_a_stored_rule_is_found_by_id_label_terms_and_notes(store):
    in_file(rules(store)[0], 'notes: ""', 'notes: "ＡＢＣ 备注"')
    store.refresh()
    stored = next(each for each in rules(store) if "备注" in each.rule.notes)
    for words in (stored.rule.id, stored.rule.label, "dialogue has 材质", "abc 备注"):
        assert words in stored.search
    assert stored.text == stored.path.read_text("utf-8")
    assert stored.version == version_of(stored.text)
    assert stored.when == stored.rule.when_hash
    assert (stored.task, stored.stale) == (TASK, False)


def test_approved_is_what_somebody_accepted_as_it_stands(store):
    assert not rules(store)[0].approved
    accept(store)
    stored = rules(store)[0]
    assert stored.approved and not stored.stale
    in_file(stored, stored.when, "0" * 16)
    store.refresh()
    assert rules(store)[0].stale and not rules(store)[0].approved
    decided = rules(store)[0]
    decisions.decide(store, "小王", TASK, decided.rule.id, decided.version, "rejected")
    assert not rules(store)[0].approved


def test_rules_come_by_label_and_id_and_tasks_are_apart(tmp_path):
    rule_base(tmp_path)
    base = RuleBase(tmp_path, OTHER)
    base.save(RuleBase.load(tmp_path, TASK).rules[0].model_copy(update={"id": "r-other"}))
    store = RuleStore(tmp_path, [TASK, OTHER])
    assert [(each.rule.label, each.rule.id) for each in rules(store)] == sorted(
        (each.rule.label, each.rule.id) for each in rules(store)
    )
    assert [each.rule.id for each in store.rules(OTHER)] == ["r-other"]
    assert store.tasks == (TASK, OTHER)
    assert store.get(OTHER, "r-other").task == OTHER


@pytest.mark.parametrize(("task", "id_"), [(TASK, "r-none"), ("elsewhere", "r-none")])
def test_a_rule_that_is_not_there_is_named(store, task, id_):
    with pytest.raises(KdslError) as caught:
        store.get(task, id_)
    place = store.folder / task
    assert str(caught.value) == f"{place}: no rule has the id 'r-none'; it may have been deleted outside"


def test_the_generation_grows_with_every_change_and_with_nothing_else(store):
    seen = [store.generation]
    assert not store.refresh()
    rules(store)
    assert store.generation == seen[0]
    accept(store)
    seen.append(store.generation)
    in_file(rules(store)[1], 'notes: ""', 'notes: "外面"')
    assert store.refresh()
    seen.append(store.generation)
    rules(store)[2].path.unlink()
    assert store.refresh() is True and store.refresh() is False
    seen.append(store.generation)
    assert seen == sorted(set(seen))


def test_the_list_of_rules_is_made_anew_only_where_something_changed(store):
    before = rules(store)
    assert rules(store) is before
    accept(store, 1)
    after = rules(store)
    assert [each.rule.status for each in after] == ["proposed", "accepted", "proposed"]
    assert [each.rule.status for each in before] == ["proposed"] * 3
    assert after[0] is before[0] and after[2] is before[2]


def test_the_list_is_that_of_a_store_that_reads_all_anew_whatever_is_done(store):
    def check() -> None:
        assert rules(store) == RuleStore(store.folder, [TASK]).rules(TASK)

    accept(store, 2)
    check()
    accept(store, 0)
    check()
    made = decisions.create(store, "小王", TASK, LABELS[1], [Condition(field="user", terms=("棉",))])
    check()
    stored = store.get(TASK, made.rule)
    decisions.edit(store, "小王", TASK, made.rule, stored.version, list(stored.rule.conditions), LABELS[0])
    check()
    one, two = (each for each in rules(store) if len(each.rule.conditions) == 1 and "last_user" in str(each.rule))
    decisions.merge(store, "小王", TASK, one.rule.id, one.version, two.rule.id, two.version)
    check()
    for _ in range(5):
        decisions.undo(store, "小王")
        check()


def test_an_event_says_who_did_what_when_to_which_files(store):
    times = (datetime(2026, 11, 21, 9, 0, second) for second in range(60))
    store = RuleStore(store.folder, [TASK], lambda: next(times))
    old = rules(store)[0]
    event = store.commit(
        "小王", "note", TASK, old.rule.id, [Wanted(old.path, old.version, old.text + "# 备注\n")], "因为", None
    )
    assert (event.number, event.at, event.by) == (1, "2026-11-21T09:00:00.000000", "小王")
    assert (event.action, event.task, event.rule, event.reason, event.undoes) == (
        "note",
        TASK,
        old.rule.id,
        "因为",
        None,
    )
    assert event.changes == (
        FileChange(
            file=old.path.relative_to(store.folder).as_posix(),
            before=old.text,
            after=old.text + "# 备注\n",
            version_before=old.version,
            version_after=version_of(old.text + "# 备注\n"),
        ),
    )
    second = store.commit("小王", "skip", TASK, old.rule.id, undoes=1)
    assert (second.number, second.at, second.undoes) == (2, "2026-11-21T09:00:01.000000", 1)
    assert (second.reason, second.changes) == ("", ())
    assert store.commit("小李", "skip", TASK, old.rule.id).number == 1
    assert store.journal("小王") == RuleStore(store.folder, [TASK]).journal("小王") == [event, second]


def test_history_is_by_time_then_person_and_number_and_of_one_rule_where_asked(store):
    start = datetime(2026, 1, 1)
    minutes = iter([2, 1, 3, 3, 3])
    store = RuleStore(store.folder, [TASK], lambda: start + timedelta(minutes=next(minutes)))
    one, _, three = rules(store)
    accept(store, 0, "b")
    accept(store, 2, "a")
    accept(store, 1, "b")
    decisions.skip(store, "b", TASK, three.rule.id)
    decisions.skip(store, "a", TASK, one.rule.id)
    assert [(event.by, event.number) for event in store.history()] == [
        ("a", 1), ("b", 1), ("a", 2), ("b", 2), ("b", 3),
    ]  # fmt: skip
    assert [(event.by, event.number) for event in store.history(one.rule.id)] == [("b", 1), ("a", 2)]
    assert store.history("r-none") == []


def test_history_of_a_rule_holds_merges_that_it_went_into(store):
    one, two = (each for each in rules(store) if each.rule.label == LABELS[0])
    event = decisions.merge(store, "小王", TASK, one.rule.id, one.version, two.rule.id, two.version)
    assert store.history(one.rule.id) == store.history(two.rule.id) == [event]
    assert store.history(rules(store)[2].rule.id if rules(store)[2].rule.label == LABELS[1] else "r-none") == []


def test_a_stale_version_says_what_is_there_and_what_was_wanted_and_leaves_no_trace(store):
    old = rules(store)[0]
    in_file(old, 'notes: ""', 'notes: "外面"')
    before = contents(store.folder)
    with pytest.raises(StaleVersion) as caught:
        store.commit("小王", "note", TASK, old.rule.id, [Wanted(old.path, old.version, "wanted")])
    error = caught.value
    assert str(error) == f"{old.path}: was changed since you opened it, so nothing was saved; look at the difference"
    assert (error.path, error.now, error.wanted) == (
        old.path,
        before[old.path.relative_to(store.folder).as_posix()],
        "wanted",
    )
    assert contents(store.folder) == before
    assert store.history() == [] and not journal_path(store.folder, "小王").exists()
    assert rules(store)[0].rule.notes == "外面"  # and the store has seen it


def test_of_several_files_none_is_written_where_one_is_stale(store):
    one, two, _ = rules(store)
    before = contents(store.folder)
    wanted = [Wanted(one.path, one.version, one.text + "#\n"), Wanted(two.path, "0" * 16, two.text + "#\n")]
    with pytest.raises(StaleVersion):
        store.commit("小王", "note", TASK, one.rule.id, wanted)
    assert contents(store.folder) == before


def test_a_file_may_be_made_and_deleted(store):
    old = rules(store)[0]
    store.commit("小王", "edit", TASK, old.rule.id, [Wanted(old.path, old.version, None)])
    assert not old.path.exists() and len(rules(store)) == 2
    assert not store.refresh()
    store.commit("小王", "edit", TASK, old.rule.id, [Wanted(old.path, "", old.text)])
    assert old.path.read_text("utf-8") == old.text and len(rules(store)) == 3
    assert not store.refresh()
    assert [(each.before is None, each.after is None) for event in store.history() for each in event.changes] == [
        (False, True), (True, False),
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["", " ", "\t"])
def test_who_decides_has_a_name(store, name):
    for ask in (lambda: store.journal(name), lambda: store.commit(name, "skip", TASK, "r-none")):
        with pytest.raises(KdslError) as caught:
            ask()
        assert str(caught.value) == "who decides has no name; give one with --as NAME"


def test_a_file_that_is_no_rule_is_a_problem_until_it_is_mended(store):
    stored = rules(store)[0]
    stored.path.write_bytes(b"\xff" + stored.text.encode())
    assert store.refresh()
    assert list(store.problems) == [stored.path]
    assert "UTF-8" in store.problems[stored.path] and str(stored.path) in store.problems[stored.path]
    assert len(rules(store)) == 2
    stored.path.write_text("\ufeff" + stored.text, "utf-8")
    assert store.refresh()
    assert store.problems == {} and len(rules(store)) == 3


class Killed(BaseException):
    """Stands for the end of the process."""


def merge_killed_after(store: RuleStore, monkeypatch, files: int) -> tuple[StoredRule, StoredRule]:
    """Begin to merge two rules, and die when so many of the two files are written."""
    one, two = (each for each in rules(store) if each.rule.label == LABELS[0])
    real, left = store_module.write_rule_text, [files]

    def put(path: Path, text: str | None) -> None:
        if not left[0]:
            raise Killed
        left[0] -= 1
        real(path, text)

    monkeypatch.setattr(store_module, "write_rule_text", put)
    with pytest.raises(Killed):
        decisions.merge(store, "小王", TASK, one.rule.id, one.version, two.rule.id, two.version)
    monkeypatch.undo()
    return one, two


def test_what_reached_one_file_reaches_all_when_the_store_is_opened_again(store, monkeypatch):
    one, two = merge_killed_after(store, monkeypatch, 1)
    assert {path.read_text("utf-8") == each.text for each in (one, two) for path in [each.path]} == {True, False}
    again = RuleStore(store.folder, [TASK])
    assert [event.action for event in again.history()] == ["merge"]
    for change in again.history()[0].changes:
        assert (store.folder / change.file).read_text("utf-8") == change.after != change.before
    assert again.get(TASK, two.rule.id).rule.status == "rejected"


def test_what_reached_no_file_never_happened(store, monkeypatch):
    before = contents(store.folder)
    merge_killed_after(store, monkeypatch, 0)
    again = RuleStore(store.folder, [TASK])
    assert again.history() == [] and contents(store.folder) == before
    assert RuleStore(store.folder, [TASK]).history() == []  # and stays so


def test_a_file_that_somebody_changed_since_the_crash_is_left_alone(store, monkeypatch):
    written = {each.path for each in merge_killed_after(store, monkeypatch, 1)}
    event = unfinished(store)
    [(done, left)] = [
        (a, b)
        for a in event.changes
        for b in event.changes
        if a is not b and (store.folder / a.file).read_text("utf-8") == a.after
    ]
    assert {store.folder / done.file, store.folder / left.file} == written
    theirs = left.before.replace('notes: ""', 'notes: "我改的"')
    (store.folder / left.file).write_text(theirs, "utf-8")
    again = RuleStore(store.folder, [TASK])
    assert (store.folder / left.file).read_text("utf-8") == theirs
    assert (store.folder / done.file).read_text("utf-8") == done.after
    assert [each.action for each in again.history()] == ["merge"]


def test_where_all_that_was_written_was_changed_since_nothing_more_is_written(store, monkeypatch):
    merge_killed_after(store, monkeypatch, 1)
    event = unfinished(store)
    for change in event.changes:
        path = store.folder / change.file
        if path.read_text("utf-8") == change.after:
            path.write_text(change.after.replace('notes: "', 'notes: "改 '), "utf-8")
    before = contents(store.folder)
    assert RuleStore(store.folder, [TASK]).history() == []
    assert contents(store.folder) == before


def unfinished(store: RuleStore) -> Event:
    journal = Journal(journal_path(store.folder, "小王"))
    journal.refresh()
    [event] = journal.unfinished
    return event


def test_where_nothing_can_be_settled_one_reads_but_does_not_write(store, monkeypatch):
    merge_killed_after(store, monkeypatch, 1)
    path = journal_path(store.folder, "小王")

    def full(journal: Journal, record: dict) -> None:
        raise KdslError(f"{journal.path}: cannot be written (No space left on device)")

    monkeypatch.setattr(Journal, "_append", full)
    again = RuleStore(store.folder, [TASK])
    assert len(rules(again)) == 3
    assert again.problems == {path: f"{path}: cannot be written (No space left on device)"}
    assert again.history() == []
    with pytest.raises(KdslError, match="No space left"):
        decisions.skip(again, "小李", TASK, rules(again)[0].rule.id)
    monkeypatch.undo()
    assert [event.action for event in again.history()] == ["merge"]
    assert again.problems == {}


def test_where_the_end_cannot_be_written_everything_is_put_back(store, monkeypatch):
    before, real = contents(store.folder), Journal.end

    def full(journal: Journal, number: int, done: bool) -> None:
        raise KdslError("full")

    monkeypatch.setattr(Journal, "end", full)
    with pytest.raises(KdslError, match=r"^full$"):
        accept(store)
    assert contents(store.folder) == before
    monkeypatch.setattr(Journal, "end", real)
    assert store.history() == [] and [each.rule.status for each in rules(store)] == ["proposed"] * 3
    accept(store)
    assert [event.number for event in store.history()] == [2]


def test_a_second_store_sees_what_the_first_did_when_it_looks(store):
    other = RuleStore(store.folder, [TASK])
    event = accept(store)
    assert other.get(TASK, event.rule).rule.status == "accepted"
    assert other.journal("小王") == [event]
    assert not other.refresh()
    rules(store)[1].path.unlink()
    assert other.refresh() and len(rules(other)) == 2


def test_a_folder_that_is_not_there_is_made(tmp_path):
    store = RuleStore(tmp_path / "a" / "b", [TASK])
    assert rules(store) == [] and store.problems == {} and store.history() == []
    assert (tmp_path / "a" / "b").is_dir()
