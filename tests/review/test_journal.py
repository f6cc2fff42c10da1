"""Logs of decisions come with git from anybody: they change rules and nothing else, or are refused whole."""

import json
from pathlib import Path

import pytest
from rule_files import LABELS, TASK, contents, rule, rule_base

import kdsl.review.store as store_module
from kdsl.errors import KdslError
from kdsl.review import decisions
from kdsl.review.journal import journal_path, version_of
from kdsl.review.store import RuleStore
from kdsl.rules.rule_file import rule_text
from kdsl.rules.rule_files import rule_file_name

BY = "小王"
NEW = rule(LABELS[0], {"user": ["新"]})
NEW_FILE = f"{TASK}/{rule_file_name(NEW)}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rule_base(tmp_path / "rules")
    return tmp_path / "rules"


def change(file: str, before: str | None, after: str | None) -> dict:
    versions = {"version_before": version_of(before), "version_after": version_of(after)}
    return {"file": file, "before": before, "after": after, **versions}


def event(number: int, *changes: dict, **entries: object) -> dict:
    head = {"number": number, "at": "2026-01-01T00:00:00", "by": BY, "action": "import", "task": TASK, "rule": ""}
    return {**head, "changes": list(changes), **entries}


def write_log(folder: Path, *lines: object) -> Path:
    path = journal_path(folder, BY)
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def begun(folder: Path, number: int = 1) -> dict:
    """An event that reached the first of its two files: the second has still to be deleted."""
    one, two = sorted(contents(folder))[:2]
    text = contents(folder)[one]
    return event(number, change(one, rule_text(accepted(text)), text), change(two, contents(folder)[two], None))


def accepted(text: str):
    from kdsl.rules.rule_file import parse_rule

    return parse_rule(Path("a.yaml"), text).model_copy(update={"status": "accepted"})


def everything(place: Path) -> dict[Path, bytes | str]:
    return {
        path: str(path.readlink()) if path.is_symlink() else path.read_bytes()
        for path in sorted(place.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


def require_refused(folder: Path, match: str) -> None:
    before = everything(folder.parent)
    with pytest.raises(KdslError, match=match):
        RuleStore(folder, [TASK])
    assert everything(folder.parent) == before


def test_an_event_that_reached_a_file_is_carried_out(folder):
    """What the following tests forbid would happen otherwise."""
    write_log(folder, begun(folder))
    _, two = sorted(contents(folder))[:2]
    RuleStore(folder, [TASK])
    assert two not in contents(folder)


@pytest.mark.parametrize(
    "file",
    [
        "/tmp/evil.yaml", "../evil.yaml", "../../.bashrc", f"{TASK}/../../evil.yaml", f"{TASK}/a/../../../evil.yaml",
        f"{TASK}/..\\..\\evil.yaml", "C:\\evil.yaml", f"{TASK}/a\x00.yaml", f"{TASK}//evil.yaml", f"./{TASK}/x.yaml",
        "evil.yaml", f"{TASK}", f"{TASK}/", "", f"{TASK}/.hidden/evil.yaml", f"{TASK}/能否调光/.evil.yaml",
        f"{TASK}/statistics.jsonl", "reviews/小王.jsonl", "reviews/x/evil.yaml", "other/x/evil.yaml", "~/x/evil.yaml",
        f"{TASK}/x/{'退' * 100}.yaml",
    ],
)  # fmt: skip
@pytest.mark.parametrize("done", [None, True])
def test_a_file_that_is_no_rule_file_is_refused_with_its_line_and_nothing_is_carried_out(folder, file, done):
    text = rule_text(NEW)
    lines = [begun(folder), event(2, change(file, None, text), change(NEW_FILE, text, None))]
    if done is None:
        write_log(folder, *lines)
        require_refused(folder, "小王.jsonl, line 2: .*restore the file from git, or take the line out")
        return
    # What is ended is not carried out, but could be taken back.
    write_log(folder, event(1, change(file, text, text)), {"end": 1, "done": True})
    before = everything(folder.parent)
    with pytest.raises(KdslError):
        decisions.undo(RuleStore(folder, [TASK]), BY)
    assert everything(folder.parent) == before


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, "#!/bin/sh\necho hello\n"),
        (None, ""),
        ("no rule", None),
        (None, rule_text(rule(LABELS[0], {"user": ["别的"]}))),
        (rule_text(rule(LABELS[0], {"user": ["别的"]})), rule_text(NEW)),
        (None, rule_text(NEW) + "# " + "长" * 1_000_000),
        (None, "[" * 100_000),
        (None, None),
    ],
)
def test_what_is_not_one_rule_before_and_after_is_refused(folder, before, after):
    write_log(folder, begun(folder), event(2, change(NEW_FILE, before, after)))
    require_refused(folder, "小王.jsonl, line 2: ")


def test_a_new_file_must_be_named_after_its_rule(folder):
    write_log(folder, event(1, change(f"{TASK}/a/b.yaml", None, rule_text(NEW))))
    require_refused(folder, r"line 1: 'intent/a/b.yaml' must be named after the one rule that it holds")


def test_an_event_about_one_rule_does_not_change_another(folder):
    write_log(folder, event(1, change(NEW_FILE, None, rule_text(NEW)), rule="r-aaaa", action="new"))
    require_refused(folder, "line 1: an event about rule 'r-aaaa' must change it")


def test_taking_back_what_a_log_says_writes_rules_only(folder):
    file, text = next(iter(contents(folder).items()))
    write_log(folder, event(1, change(file, "rm -rf", text)), {"end": 1, "done": True})
    with pytest.raises(KdslError):
        decisions.undo(RuleStore(folder, [TASK]), BY)
    assert contents(folder)[file] == text


@pytest.mark.parametrize("place", ["task", "label", "file", "inner"])
def test_links_lead_nowhere(folder, tmp_path, place):
    outside = tmp_path / "outside"
    (outside / LABELS[0]).mkdir(parents=True)
    evil = outside / NEW_FILE.split("/", 1)[1]
    link = {
        "task": folder / TASK, "label": folder / TASK / LABELS[0], "file": folder / NEW_FILE,
        "inner": folder / TASK / LABELS[0],
    }[place]  # fmt: skip
    if place != "file":
        (folder / TASK).rename(tmp_path / "away")
    link.parent.mkdir(exist_ok=True)
    link.symlink_to({"task": outside, "label": outside / LABELS[0], "file": evil, "inner": folder / "reviews"}[place])
    write_log(folder, event(1, change(NEW_FILE, None, rule_text(NEW)), change(f"{TASK}/x/y.yaml", "a", None)))
    require_refused(folder, "leads outside|below a link")
    assert not evil.exists()


@pytest.mark.parametrize("which", ["log", "folder"])
def test_a_log_that_is_a_link_is_not_added_to(folder, tmp_path, which):
    target = tmp_path / "precious"
    path = write_log(folder, begun(folder))
    if which == "log":
        path.rename(target)
        path.symlink_to(target)
    else:
        path.parent.rename(target)
        path.parent.symlink_to(target)
    require_refused(folder, r"is a link; logs must lie in the rule base themselves")


@pytest.mark.parametrize(
    "line",
    [
        {"end": [1], "done": True}, {"end": {"a": 1}, "done": True}, {"end": "1", "done": True}, {"end": 1, "done": 1},
        {"end": 1, "done": "no"}, {"end": 1}, {"end": True, "done": True}, event(0), event(-1), event(10**30),
        {**event(2), "number": "2"}, {**event(2), "number": 2.0}, {**event(2), "changes": {}}, event(2, undoes=-1),
        event(2, by="小李"), event(2, by=""), event(2, action="rm"), {**event(2), "more": 1}, {},
        event(2, {**change(NEW_FILE, None, rule_text(NEW)), "version_after": "0" * 16}),
        event(2, change(NEW_FILE, None, rule_text(NEW)), change(NEW_FILE, rule_text(NEW), None)),
    ],
)  # fmt: skip
def test_a_line_of_another_shape_is_refused(folder, line):
    write_log(folder, begun(folder), line)
    require_refused(folder, r"小王\.jsonl, line 2: .*; restore the file from git, or take the line out")


def test_after_the_last_number_there_is_none(folder):
    write_log(folder, event(10**9), {"end": 10**9, "done": True})
    store = RuleStore(folder, [TASK])
    with pytest.raises(KdslError, match="has the number 1000000000, after which none can come"):
        decisions.skip(store, BY, TASK, store.rules(TASK)[0].rule.id)
    assert len(RuleStore(folder, [TASK]).history()) == 1


def test_hidden_files_among_the_logs_are_passed_over(folder):
    path = write_log(folder)
    (path.parent / "._小王.jsonl").write_bytes(b"\x00\x05\x16\x07\x00")
    assert RuleStore(folder, [TASK]).history() == []


SOMEBODY = rule_text(rule(LABELS[0], {"user": ["新"]}, notes="somebody was here"))


@pytest.mark.parametrize(
    ("there", "expected", "happened"),
    [
        # (first, second, third file): as before, as after, or as somebody made them since
        ("bbb", "bbb", False),
        ("abb", "aaa", True),
        ("bab", "aaa", True),
        ("bba", "aaa", True),
        ("aaa", "aaa", True),
        ("asb", "asa", True),
        ("sab", "saa", True),
        ("asg", "asg", True),
        ("sbb", "sbb", False),
        ("bsb", "bsb", False),
        ("sss", "sss", False),
        ("ggb", "ggb", False),
        ("agb", "aga", True),
    ],
)
@pytest.mark.parametrize("made_anew", [False, True])
def test_what_was_begun_is_ended_and_what_somebody_changed_since_is_left_alone(
    folder, there, expected, happened, made_anew
):
    rules = [rule(LABELS[0], {"user": [word]}) for word in ("一", "二", "三")]
    files = [f"{TASK}/{rule_file_name(each)}" for each in rules]
    texts = [
        {
            "b": None if made_anew else rule_text(each),
            "a": rule_text(each.model_copy(update={"status": "accepted"})),
            "s": rule_text(each.model_copy(update={"notes": "somebody"})),
            "g": None,  # gone, which is as before where the event makes the file
        }
        for each in rules
    ]
    if made_anew and "g" in there:
        expected = expected if happened is False else "".join("a" if e == "g" else e for e in expected)
    for file, text, state in zip(files, texts, there, strict=True):
        if text[state] is not None:
            (folder / file).parent.mkdir(exist_ok=True)
            (folder / file).write_text(text[state], encoding="utf-8")
    changes = [change(file, text["b"], text["a"]) for file, text in zip(files, texts, strict=True)]
    path = write_log(folder, event(1, *changes))

    store = RuleStore(folder, [TASK])
    found = contents(folder)
    assert [found.get(file) for file in files] == [text[e] for text, e in zip(texts, expected, strict=True)]
    assert json.loads(path.read_text(encoding="utf-8").splitlines()[-1]) == {"end": 1, "done": happened}
    assert len(store.history()) == happened


def test_putting_back_leaves_alone_what_somebody_changed_in_the_meantime(folder, monkeypatch):
    store = RuleStore(folder, [TASK])
    one, two = (each for each in store.rules(TASK) if each.rule.label == LABELS[0])
    before = contents(folder)
    real, calls = store_module.write_rule_text, []

    def full_at_the_second(path: Path, text: str) -> None:
        calls.append(path)
        if len(calls) == 2:
            calls[0].write_text(SOMEBODY, encoding="utf-8")
            raise KdslError(f"{path}: cannot be written (No space left on device)")
        real(path, text)

    monkeypatch.setattr(store_module, "write_rule_text", full_at_the_second)
    with pytest.raises(KdslError, match="No space left"):
        decisions.merge(store, BY, TASK, one.rule.id, one.version, two.rule.id, two.version)
    monkeypatch.undo()
    changed = calls[0].relative_to(folder).as_posix()
    assert contents(folder) == {**before, changed: SOMEBODY}
    assert RuleStore(folder, [TASK]).history() == []
    assert contents(folder) == {**before, changed: SOMEBODY}
