"""Rule files among what people, editors and systems leave there: each counts, is told, or is hidden."""

import logging
import os
from pathlib import Path

import pytest

from kdsl.errors import KdslError
from kdsl.file_names import safe_name
from kdsl.review.store import RuleStore
from kdsl.rules import rulebase
from kdsl.rules.lint import lint
from kdsl.rules.rule import Rule, rule_id
from kdsl.rules.rule_file import rule_text
from kdsl.rules.rulebase import RuleBase
from kdsl.sample import Label, Task

TASK = Task("returns", (Label("退款"), Label("换货")))
APPLE_DOUBLE = b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X"


def mined(*terms, label="退款", **changes) -> Rule:
    rule = Rule(id="r-0000", label=label, when={"all": [{"user": list(terms)}]}, provenance={"source": "mcts"})
    return rule.model_copy(update={"id": rule_id(TASK.name, label, rule.conditions), **changes})


GOOD, OTHER = mined("退", status="rejected"), mined("换", label="换货")


@pytest.fixture
def base(tmp_path) -> RuleBase:
    base = RuleBase(tmp_path / "rules", TASK.name)
    base.save(GOOD)
    base.save(OTHER)
    return base


def everywhere(base: RuleBase) -> tuple[list[Rule], list[Path]]:
    """The rules and the files that are left out, on which the rule base, the review and lint agree."""
    loaded = RuleBase.load(base.folder, TASK.name)
    store = RuleStore(base.folder, [TASK.name])
    errors = [finding.file for finding in lint(base.folder, TASK) if finding.severity == "error"]
    assert [stored.rule for stored in store.rules(TASK.name)] == loaded.rules
    assert sorted(store.problems) == sorted(errors)
    return loaded.rules, sorted(errors)


def put(base: RuleBase, name: str, content: bytes | str) -> Path:
    path = base.path(GOOD).parent / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    "name",
    [
        "._x.yaml", ".x.yaml", ".x.yaml.swp", "x.yaml~", "#x.yaml#", "x.yaml.orig", "Thumbs.db", "desktop.ini",
        ".DS_Store", ".ipynb_checkpoints/x--r-aaaa.yaml", ".git/x.yaml", ".x.yaml.1a2b3c", "__MACOSX/._x.yaml",
    ],
)  # fmt: skip
def test_what_systems_and_editors_leave_is_passed_over_without_a_word(base, caplog, name):
    put(base, name, APPLE_DOUBLE)
    put(base, f"../../{name}", APPLE_DOUBLE)
    assert everywhere(base) == ([OTHER, GOOD], [])
    assert caplog.text == ""


def test_the_lock_of_an_editor_is_passed_over(base):
    base.path(GOOD).with_name(".#x.yaml").symlink_to("somebody@computer.1234:567")
    assert everywhere(base) == ([OTHER, GOOD], [])


@pytest.mark.parametrize(
    "name",
    ["{} (conflicted copy 2026-01-01).yaml", "{} (1).yaml", "{}.sync-conflict-20260101-120000.yaml", "0 {}.yaml"],
)
def test_of_two_files_with_one_id_the_one_named_after_it_is_the_rule(base, name):
    copy = put(base, name.format(base.path(GOOD).stem), rule_text(mined("退", status="accepted")))
    assert everywhere(base) == ([OTHER, GOOD], [copy])
    [finding] = lint(base.folder, TASK)
    assert (finding.check, finding.rule, finding.line) == ("duplicate id", GOOD.id, 2)
    assert f"the id {GOOD.id} is already that of {base.path(GOOD)}; give one a new id" in finding.message


def test_of_two_files_named_after_an_id_the_one_in_its_labels_folder_is_the_rule(base):
    moved = base.folder / TASK.name / f"a/x--{GOOD.id}.yaml"
    moved.parent.mkdir()
    moved.write_text(rule_text(mined("退", status="accepted")), encoding="utf-8")
    assert everywhere(base) == ([OTHER, GOOD], [moved])


def test_no_copy_stands_for_a_rule_whose_own_file_cannot_be_read(base):
    copy = put(base, f"{base.path(GOOD).stem} (1).yaml", rule_text(mined("退", status="accepted")))
    broken = base.path(GOOD)
    broken.write_text("<<<<<<< HEAD\n", encoding="utf-8")
    assert everywhere(base) == ([OTHER], sorted([broken, copy]))


BAD = {
    "not YAML": b"<<<<<<< HEAD\n=======\n",
    "empty": b"",
    "not UTF-8": b"id: \xff",
    "NUL": b"id: a\x00",
    "AppleDouble": APPLE_DOUBLE,
    "deep": b"[" * 100_000,
    "a long number": b"seed: " + b"9" * 5000,
    "aliases": b"a: &a [*a]",
    "huge": b"# " + b"x" * 1_000_001,
}


@pytest.mark.parametrize("content", BAD.values(), ids=BAD)
def test_one_bad_file_is_told_once_and_every_other_rule_works(base, caplog, content):
    bad = put(base, "x.yaml", content)
    assert everywhere(base) == ([OTHER, GOOD], [bad])
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            RuleBase.load(base.folder, TASK.name)
    [record] = caplog.records
    assert record.getMessage().startswith(f"{base.folder / TASK.name}: 1 rule file is left out: {bad}")
    assert record.getMessage().endswith("; see `kdsl rules lint`") and len(record.getMessage()) < 800
    [finding] = lint(base.folder, TASK)
    assert (finding.check, finding.severity, finding.file) == ("unreadable", "error", bad)


def test_what_is_no_file_is_told_and_never_waited_for(base):
    folder = base.path(GOOD).parent
    os.mkfifo(folder / "pipe.yaml")
    (folder / "device.yaml").symlink_to("/dev/zero")
    (folder / "gone.yaml").symlink_to("nowhere")
    (folder / "loop.yaml").symlink_to("loop.yaml")
    (folder / "folder.yaml").mkdir()  # a label may be called so: what lies in it is read
    (folder / "folder.yaml/mine.yaml").write_text(rule_text(mined("好")), encoding="utf-8")
    rules, left_out = everywhere(base)
    assert len(rules) == 3
    assert [path.stem for path in left_out] == ["device", "gone", "loop", "pipe"]


def test_links_that_lead_out_are_told_and_not_followed(base, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "x.yaml").write_text(rule_text(mined("好")), encoding="utf-8")
    (base.folder / TASK.name / "file.yaml").symlink_to(outside / "x.yaml")
    (base.folder / TASK.name / "linked").symlink_to(outside)
    (base.folder / TASK.name / "again").symlink_to(base.folder / TASK.name / "换货")
    assert everywhere(base) == (
        [OTHER, GOOD],
        [base.folder / TASK.name / name for name in ("again", "file.yaml", "linked")],
    )
    (base.folder / "other").symlink_to(outside)
    with pytest.raises(KdslError, match="'other' leads outside"):
        RuleBase.load(base.folder, "other")


def test_rules_are_not_written_through_a_link(base, tmp_path):
    new = mined("新", label="新品")
    (tmp_path / "outside").mkdir()
    (base.folder / TASK.name / "新品").symlink_to(tmp_path / "outside")
    with pytest.raises(KdslError, match="leads outside"):
        RuleBase.load(base.folder, TASK.name).update_mined([new])
    assert list((tmp_path / "outside").iterdir()) == []


@pytest.mark.parametrize("name", [None, "my own.yaml", f"copy--{GOOD.id} (1).yaml"])
def test_a_decision_in_a_file_that_cannot_be_read_now_is_not_lost(base, name):
    path = base.path(GOOD)
    broken = path.read_text(encoding="utf-8") + "<<<<<<< HEAD\n"
    if name is not None:
        path = path.rename(path.with_name(name))
    path.write_text(broken, encoding="utf-8")
    again = RuleBase.load(base.folder, TASK.name)
    report = again.update_mined([mined("退"), mined("新")])
    assert [rule.id for rule in report.added] == [mined("新").id]
    assert path.read_text(encoding="utf-8") == broken
    path.write_text(broken.replace("<<<<<<< HEAD\n", ""), encoding="utf-8")
    assert RuleBase.load(base.folder, TASK.name).get(GOOD.id).status == "rejected"


def test_a_file_that_is_named_after_a_rule_but_holds_another_is_not_overwritten(base):
    new = mined("新")
    path = base.path(new)
    held = rule_text(mined("别的"))
    path.write_text(held, encoding="utf-8")
    again = RuleBase.load(base.folder, TASK.name)
    assert again.update_mined([new, mined("别的")]).added == ()
    with pytest.raises(KdslError, match=f"is there already, and is not rule {new.id} as it was read"):
        again.save(new)
    assert path.read_text(encoding="utf-8") == held


def test_a_rule_whose_file_cannot_be_read_is_not_written_anew_by_a_person(base):
    from kdsl.review import decisions

    base.path(GOOD).rename(base.path(GOOD).with_name(f"renamed--{GOOD.id}.yaml")).write_text("broken: [")
    store = RuleStore(base.folder, [TASK.name])
    with pytest.raises(KdslError, match=f"cannot be read, and holds rule {GOOD.id}; mend that file"):
        decisions.create(store, "小王", TASK.name, "退款", GOOD.conditions)


def test_a_mended_file_is_a_rule_again_for_a_store_that_stays_open(base):
    path = base.path(GOOD)
    text = path.read_text(encoding="utf-8")
    path.write_text("broken: [", encoding="utf-8")
    store = RuleStore(base.folder, [TASK.name])
    assert len(store.rules(TASK.name)) == 1 and list(store.problems) == [path]
    path.write_text(text, encoding="utf-8")
    assert store.refresh() and len(store.rules(TASK.name)) == 2 and store.problems == {}
    copy = path.with_name("copy.yaml")
    copy.write_text(text, encoding="utf-8")
    assert store.refresh() and list(store.problems) == [copy]
    path.unlink()
    assert store.refresh() and store.get(TASK.name, GOOD.id).path == copy and store.problems == {}


@pytest.mark.parametrize("name", ["x.yml", "x.YAML", "x.Yml"])
def test_lint_names_files_that_look_like_rules_and_are_not_read(base, name):
    path = put(base, name, rule_text(mined("好")))
    [finding] = lint(base.folder, TASK)
    assert (finding.check, finding.file) == ("ignored file", path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look everywhere")
def test_a_folder_that_nobody_may_look_into_stops_everything(base):
    folder = base.path(GOOD).parent
    folder.chmod(0)
    try:
        with pytest.raises(KdslError, match=r"cannot be read .*; rules may be there"):
            RuleBase.load(base.folder, TASK.name)
    finally:
        folder.chmod(0o755)


@pytest.mark.parametrize("label", ["-", "--", "%", ".", " ", "/", "-a-", "\n", "长" * 300, "CON"])
def test_every_label_has_a_folder_of_its_own_below_its_task(tmp_path, label):
    base = RuleBase(tmp_path, TASK.name)
    rule = mined("退", label=label)
    base.save(rule)
    assert base.path(rule).parent == tmp_path / TASK.name / safe_name(label)
    assert RuleBase.load(tmp_path, TASK.name).rules == [rule]
    assert "misplaced file" not in {finding.check for finding in lint(tmp_path, Task(TASK.name, (Label(label),)))}


def test_reading_looks_at_every_file_once(base, monkeypatch):
    opened = []
    real = rulebase.rule_text_of
    monkeypatch.setattr(rulebase, "rule_text_of", lambda folder, path: opened.append(path) or real(folder, path))
    RuleBase.load(base.folder, TASK.name)
    assert sorted(opened) == sorted([base.path(GOOD), base.path(OTHER)])
