"""The rule base on disk: nothing a person decided is lost."""

import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant
from hypothesis.stateful import rule as step

from kdsl.errors import KdslError
from kdsl.review import decisions
from kdsl.review.store import RuleStore
from kdsl.rules.lint import lint
from kdsl.rules.rule import Rule, rule_id
from kdsl.rules.rule_file import rule_text
from kdsl.rules.rulebase import RuleBase
from kdsl.sample import Label, Task

TASK = "returns"


def mined(*terms, label="退款", **changes) -> Rule:
    rule = Rule(id="r-0000", label=label, when={"all": [{"user": list(terms)}]}, provenance={"source": "mcts"})
    return rule.model_copy(update={"id": rule_id(TASK, label, rule.conditions), **changes})


@pytest.fixture
def base(tmp_path):
    return RuleBase(tmp_path, TASK)


def reloaded(base: RuleBase) -> list[Rule]:
    return RuleBase.load(base.folder, base.task).rules


def test_rules_are_found_again_by_label_and_status(base):
    one, two, three = mined("退"), mined("换", label="换货"), mined("钱", status="accepted")
    for rule in (one, two, three):
        base.save(rule)
    again = RuleBase.load(base.folder, TASK)
    assert again.rules == base.rules and len(again.rules) == 3
    assert again.by_label("换货") == [two]
    assert again.active(["accepted"]) == [three]
    assert again.get(two.id) == two
    assert again.statistics() == {}


def test_a_missing_folder_is_an_empty_rule_base(tmp_path):
    assert RuleBase.load(tmp_path / "none", TASK).rules == []


def test_files_have_readable_names_and_safe_folders(base):
    rule = mined("退款 #1/2", label="账单/账户页面")
    base.save(rule)
    assert base.path(rule) == base.folder / TASK / "账单%2F账户页面" / f"退款-1-2--{rule.id}.yaml"
    assert reloaded(base) == [rule]


def test_an_edited_rule_stays_in_its_file(base):
    rule = mined("退")
    base.save(rule)
    path = base.path(rule)
    path.write_text(path.read_text("utf-8").replace("status: proposed", "status: proposed  # look again"), "utf-8")
    again = RuleBase.load(base.folder, TASK)
    edited = rule.model_copy(update={"when": mined("别的").when, "label": "换货"})
    again.save(edited)
    assert again.path(edited) == path
    assert "# look again" in path.read_text("utf-8")
    assert reloaded(base) == [edited]


def test_removing_the_last_rule_of_a_label_removes_its_folder(base):
    rule = mined("退")
    base.save(rule)
    base.remove(rule)
    assert reloaded(base) == []
    assert list((base.folder / TASK).iterdir()) == []
    with pytest.raises(KdslError, match=f"no rule has the id '{rule.id}'"):
        base.remove(rule)


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / TASK).write_text("a file where the folder should be")
    with pytest.raises(KdslError, match=r"cannot be written .*; choose a folder that you may write to"):
        RuleBase(tmp_path, TASK).save(mined("退"))


def test_mining_again_replaces_only_what_nobody_touched(base):
    first = [mined("退"), mined("钱"), mined("换")]
    report = base.update_mined(first)
    assert (len(report.added), report.kept, report.removed) == (3, (), ())
    report = base.update_mined([mined("钱"), mined("新")])
    assert report.added == (mined("新"),)
    assert report.kept == (mined("钱"),)
    assert {rule.id for rule in report.removed} == {mined("退").id, mined("换").id}
    assert {rule.id for rule in reloaded(base)} == {mined("钱").id, mined("新").id}


def test_the_same_rules_again_change_no_file(base):
    base.update_mined([mined("退"), mined("钱")])
    before = {path: path.stat().st_mtime_ns for path in base.folder.rglob("*.yaml")}
    report = base.update_mined(
        [mined("退", provenance=mined("退").provenance.model_copy(update={"run": "later"})), mined("钱")]
    )
    assert report.added == report.removed == ()
    assert before == {path: path.stat().st_mtime_ns for path in base.folder.rglob("*.yaml")}


@pytest.mark.parametrize(
    "touch",
    [
        {"status": "accepted"},
        {"status": "disabled"},
        {"status": "rejected"},
        {"notes": "hm"},
        {"review": mined("退").review.model_copy(update={"by": "me"})},
        {"tests": mined("退").tests.model_copy(update={"hit": ["1"]})},
        {"when": mined("退", "款").when},
        {"label": "换货"},
        {"provenance": mined("退").provenance.model_copy(update={"source": "person"})},
    ],
)
def test_what_a_person_touched_stays(base, touch):
    rule = mined("退").model_copy(update=touch)
    base.save(rule)
    report = RuleBase.load(base.folder, TASK).update_mined([mined("新")])
    assert report.kept == (rule,) and report.removed == ()
    assert rule in reloaded(base)


def test_a_comment_in_the_file_counts_as_touched(base):
    rule = mined("退")
    base.save(rule)
    path = base.path(rule)
    path.write_text("# why not?\n" + path.read_text("utf-8"), "utf-8")
    assert RuleBase.load(base.folder, TASK).update_mined([]).removed == ()


def test_a_hash_sign_in_a_term_is_no_comment(base):
    base.save(mined("退 #1"))
    assert len(base.update_mined([]).removed) == 1


def test_a_rejected_rule_is_not_proposed_again(base):
    base.save(mined("退", status="rejected"))
    report = base.update_mined([mined("退"), mined("退", label="换货")])
    assert [rule.label for rule in report.added] == ["换货"]
    assert {rule.status for rule in base.by_label("退款")} == {"rejected"}


def test_an_edited_rule_stands_for_the_form_it_was_found_in(base):
    edited = mined("退", when=mined("退", "款").when)
    base.save(edited)
    report = base.update_mined([mined("退")])
    assert report.added == () and report.kept == (edited,)
    assert reloaded(base) == [edited]


def test_rules_of_another_task_are_not_touched(base):
    other = RuleBase(base.folder, "other")
    other.save(mined("退"))
    base.update_mined([mined("新")])
    assert reloaded(other) == [mined("退")]


NEW, OTHER = mined("新"), mined("别的")


def rule_in(folder, rule: Rule, name: str = "") -> None:
    """The rule in a file of that name, else in its own."""
    base = RuleBase(folder, TASK)
    base.save(rule)
    if name:
        base.path(rule).rename(base.path(rule).with_name(name))


def copied(folder, rule: Rule) -> None:
    """OTHER, and what somebody made of it in a second file with its id."""
    rule_in(folder, rule.model_copy(update={"id": OTHER.id}), "copy.yaml")
    rule_in(folder, OTHER)


def unreadable(folder, name: str, text: str) -> None:
    path = folder / TASK / "退款" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


ALREADY_THERE = {
    "rejected": lambda folder: rule_in(folder, mined("新", status="rejected")),
    "a person's, with an id of its own": lambda folder: rule_in(folder, mined(" 新", id="r-mine")),
    "edited since it was found": lambda folder: rule_in(folder, OTHER.model_copy(update={"id": NEW.id})),
    "in a second file with another rule's id": lambda folder: copied(folder, mined("新", status="disabled")),
    "a copy whose original cannot be read": lambda folder: (
        rule_in(folder, OTHER.model_copy(update={"id": NEW.id}), "copy.yaml"),
        unreadable(folder, f"old--{NEW.id}.yaml", "<<<<<<< HEAD"),
    ),
    "cannot be read, by the file's name": lambda folder: unreadable(folder, f"x--{NEW.id}.yaml", "<<<<<<< HEAD"),
    "cannot be read, by the file's text": lambda folder: unreadable(folder, "x.yaml", f"id: {NEW.id}\n<<<<<<< HEAD"),
    "another rule lies in its place": lambda folder: rule_in(folder, OTHER, f"新--{NEW.id}.yaml"),
}


def files_in(folder) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.yaml")}


@pytest.mark.parametrize("make", ALREADY_THERE.values(), ids=ALREADY_THERE)
def test_what_is_in_the_base_already_is_neither_mined_nor_written_again(tmp_path, make):
    make(tmp_path)
    before = files_in(tmp_path)
    report = RuleBase.load(tmp_path, TASK).update_mined([NEW, OTHER])
    assert NEW not in report.added
    assert {file: text for file, text in files_in(tmp_path).items() if file in before} == before

    store = RuleStore(tmp_path, [TASK])
    clash = RuleBase.load(tmp_path, TASK).clash(NEW)
    with pytest.raises(KdslError, match=f"^{re.escape(clash)}$"):
        decisions.create(store, "小王", TASK, NEW.label, NEW.conditions)
    assert clash.split(": ")[0] in map(str, tmp_path.rglob("*.yaml"))
    assert store.history() == []


def test_what_is_not_there_yet_is_mined_or_written(tmp_path):
    for folder in (tmp_path / "mined", tmp_path / "written"):
        rule_in(folder, OTHER)
        assert RuleBase.load(folder, TASK).clash(NEW) is None
    assert RuleBase.load(tmp_path / "mined", TASK).update_mined([NEW, NEW, OTHER]).added == (NEW,)
    event = decisions.create(RuleStore(tmp_path / "written", [TASK]), "小王", TASK, NEW.label, NEW.conditions)
    assert event.rule == NEW.id and len(files_in(tmp_path / "written")) == 2


def test_two_rules_that_an_edit_made_equal_both_stay_and_lint_tells_it(tmp_path):
    rule_in(tmp_path, NEW)
    rule_in(tmp_path, OTHER)
    store = RuleStore(tmp_path, [TASK])
    version = store.get(TASK, OTHER.id).version
    decisions.edit(store, "小王", TASK, OTHER.id, version, NEW.conditions, NEW.label)
    report = RuleBase.load(tmp_path, TASK).update_mined([NEW])
    assert report.added == report.removed == () and len(report.kept) == 2
    [finding] = lint(tmp_path, Task(TASK, (Label("退款"),)))
    assert finding.check == "duplicate rule"


def test_problems_are_warned_of_listed_or_raised(tmp_path, caplog):
    rule_in(tmp_path, NEW)
    unreadable(tmp_path, "x.yaml", "<<<<<<< HEAD")
    [(path, sentence)] = RuleBase.load(tmp_path, TASK, problems="list").problems.items()
    assert path.name == "x.yaml" and sentence.startswith(f"{path}: holds ") and caplog.text == ""
    with pytest.raises(KdslError, match=f"^{re.escape(sentence)}$"):
        RuleBase.load(tmp_path, TASK, problems="raise")
    assert RuleBase.load(tmp_path, TASK).rules == [NEW] and "1 rule file is left out" in caplog.text
    unreadable(tmp_path, "y.yaml", "<<<<<<< HEAD")
    assert RuleBase.load(tmp_path, TASK).rules == [NEW] and "2 rule files are left out" in caplog.text


def test_what_somebody_changed_since_it_was_read_is_not_overwritten(base):
    rule = mined("退")
    base.save(rule)
    path = base.path(rule)
    path.write_text(path.read_text("utf-8").replace('notes: ""', 'notes: "别删"'), "utf-8")
    with pytest.raises(KdslError, match=rf"was changed since it was read, so rule {rule.id} is not saved"):
        base.save(rule.model_copy(update={"status": "accepted"}))
    assert 'notes: "别删"' in path.read_text("utf-8")
    assert base.refresh() and base.get(rule.id).notes == "别删" and not base.refresh()


def test_a_rule_that_is_removed_makes_room_for_its_copy(tmp_path):
    copied(tmp_path, mined("新"))
    base = RuleBase.load(tmp_path, TASK, problems="list")
    assert len(base.doubles) == 1 and base.get(OTHER.id) == OTHER
    base.remove(OTHER)
    assert base.doubles == {} and base.get(OTHER.id).conditions == NEW.conditions
    assert base.rules == reloaded(base)


class AnyChanges(RuleBasedStateMachine):
    """Whatever is saved, removed, copied, broken or edited: a base that stays open is what a new one reads."""

    @initialize()
    def start(self) -> None:
        self.place = tempfile.TemporaryDirectory()
        self.folder = Path(self.place.name)
        self.base = RuleBase(self.folder, TASK)

    def teardown(self) -> None:
        if hasattr(self, "place"):
            self.place.cleanup()

    @step(term=st.sampled_from("退钱换"), label=st.sampled_from(["退款", "换货"]))
    def add(self, term: str, label: str) -> None:
        new = mined(term, label=label)
        if self.base.clash(new) is None:
            self.base.save(new)

    @step(which=st.integers(0, 9), label=st.sampled_from(["退款", "换货"]))
    def change(self, which: int, label: str) -> None:
        if rules := self.base.rules:
            self.base.save(rules[which % len(rules)].model_copy(update={"label": label, "status": "accepted"}))

    @step(which=st.integers(0, 9))
    def remove(self, which: int) -> None:
        if rules := self.base.rules:
            self.base.remove(rules[which % len(rules)])

    @step(which=st.integers(0, 9), name=st.sampled_from(["{} (1).yaml", "换货/x--{}.yaml"]))
    def copy(self, which: int, name: str) -> None:
        if files := self.base.files:
            file = files[which % len(files)]
            path = self.folder / TASK / name.format(file.rule.id)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(file.text, encoding="utf-8")
            self.base.refresh()

    @step(which=st.integers(0, 9), status=st.sampled_from(["rejected", "disabled"]))
    def edit_outside(self, which: int, status: str) -> None:
        if files := self.base.files:
            file, generation = files[which % len(files)], self.base.generation
            file.path.write_text(
                rule_text(file.rule.model_copy(update={"status": status, "notes": file.text})), "utf-8"
            )
            assert self.base.changed_outside(file.path) and self.base.refresh()
            assert self.base.generation > generation

    @step(which=st.integers(0, 9), text=st.sampled_from(["<<<<<<<", None]))
    def spoil(self, which: int, text: str | None) -> None:
        if paths := sorted(self.folder.rglob("*.yaml")):
            path = paths[which % len(paths)]
            path.unlink() if text is None else path.write_text(text, encoding="utf-8")
            self.base.refresh()

    @invariant()
    def is_what_a_new_one_reads(self) -> None:
        if hasattr(self, "base"):
            new = RuleBase.load(self.folder, TASK, problems="list")
            assert self.base.files == new.files and self.base.problems == new.problems
            generation = self.base.generation
            assert not self.base.changed_outside() and not self.base.refresh() and self.base.generation == generation


TestAnyChanges = AnyChanges.TestCase
TestAnyChanges.settings = settings(max_examples=30, stateful_step_count=20)
