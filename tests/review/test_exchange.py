import csv
import io
from pathlib import Path

import pytest
from rule_files import LABELS, TASK, contents, rule, rule_base

from kdsl.errors import KdslError
from kdsl.review import decisions
from kdsl.review.exchange import csv_table, import_csv, markdown
from kdsl.review.store import RuleStore


@pytest.fixture
def store(tmp_path: Path) -> RuleStore:
    rule_base(tmp_path / "rules")
    return RuleStore(tmp_path / "rules", [TASK])


def changed(table: str, row: int, column: str, value: str) -> str:
    """The table with one cell, counted from the first rule, changed as a spreadsheet would."""
    rows = list(csv.reader(io.StringIO(table.removeprefix("\ufeff"))))
    rows[row + 1][rows[0].index(column)] = value
    output = io.StringIO()
    csv.writer(output).writerows(rows)
    return output.getvalue()


def test_decisions_written_into_the_table_reach_the_files_and_one_undo_takes_them_back(store, tmp_path):
    before = contents(store.folder)
    table = changed(changed(csv_table(store), 0, "status", "accepted"), 1, "notes", "再看\r\n一次")
    (tmp_path / "reviewed.csv").write_text(table, encoding="utf-8", newline="")
    event = import_csv(store, tmp_path / "reviewed.csv", "小王")
    one, two, _ = (each.rule for each in store.rules(TASK))
    assert (one.status, one.review.by, two.notes, two.review.by) == ("accepted", "小王", "再看\n一次", "")
    assert len(event.changes) == 2
    decisions.undo(store, "小王")
    assert contents(store.folder) == before


def test_rules_are_told_in_words_of_either_language(store):
    assert "last user turn contains" in csv_table(store) and "用户最后一句含" in csv_table(store, "zh")
    assert "用户最后一句含" in markdown(store, "zh")


def test_an_unchanged_table_changes_nothing(store, tmp_path):
    store.folder.joinpath(TASK, "x.yaml").write_text(
        store.rules(TASK)[0].text.replace("id: r-", "id: r-x").replace('notes: ""', 'notes: "=1+1"'), encoding="utf-8"
    )
    store.refresh()
    table = csv_table(store)
    assert "'=1+1" in table  # inert in a spreadsheet
    (tmp_path / "same.csv").write_text(table, encoding="utf-8")
    assert import_csv(store, tmp_path / "same.csv", "小王") is None


@pytest.mark.parametrize(
    ("column", "value", "sentence"),
    [
        ("status", "maybe", "line 2: the status is 'maybe'; it must be one of proposed"),
        ("id", "r-none", "line 2: intent has no rule with the id 'r-none'"),
        ("task", "other", "line 2: the project has no task 'other'"),
    ],
)
def test_a_wrong_row_is_named_and_nothing_changes(store, tmp_path, column, value, sentence):
    before = contents(store.folder)
    table = changed(changed(csv_table(store), 1, "status", "accepted"), 0, column, value)
    (tmp_path / "wrong.csv").write_text(table, encoding="utf-8", newline="")
    with pytest.raises(KdslError, match=sentence):
        import_csv(store, tmp_path / "wrong.csv", "小王")
    assert contents(store.folder) == before


def test_a_rule_changed_since_the_export_is_not_overwritten(store, tmp_path):
    table = changed(csv_table(store), 0, "status", "rejected")
    old = store.rules(TASK)[0]
    decisions.decide(store, "小李", TASK, old.rule.id, old.version, "accepted")
    (tmp_path / "late.csv").write_text(table, encoding="utf-8", newline="")
    with pytest.raises(KdslError, match="was changed since the export"):
        import_csv(store, tmp_path / "late.csv", "小王")


@pytest.mark.parametrize(
    ("encoding", "delimiter", "status"),
    [("gb18030", ",", "已拒绝"), ("utf-8-sig", ";", "Rejected"), ("utf-8", "\t", "拒绝")],
)
def test_what_spreadsheets_make_of_the_table_is_read_too(store, tmp_path, encoding, delimiter, status):
    first = store.rules(TASK)[0]
    decisions.note(store, "小李", TASK, first.rule.id, first.version, "问过客服😊")
    rows = list(csv.reader(io.StringIO(csv_table(store).removeprefix("\ufeff"))))
    rows[1][3] = status
    assert all(row[-1].startswith("v") for row in rows)  # no spreadsheet takes it for a number
    output = io.StringIO()
    csv.writer(output, delimiter=delimiter).writerows(rows)
    narrow = "gbk" if encoding == "gb18030" else encoding
    (tmp_path / "saved.csv").write_bytes(output.getvalue().encode(narrow, "replace"))
    assert len(import_csv(store, tmp_path / "saved.csv", "小王").changes) == 1
    assert (store.rules(TASK)[0].rule.status, store.rules(TASK)[0].rule.notes) == ("rejected", "问过客服😊")


def test_a_file_that_is_no_export_is_refused(store, tmp_path):
    (tmp_path / "other.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(KdslError, match="line 1: no column 'task'"):
        import_csv(store, tmp_path / "other.csv", "小王")


def test_markdown_shows_markup_as_text(tmp_path):
    base = rule_base(tmp_path / "rules")
    base.save(rule(LABELS[0], {"user": ["<b>|x|</b>"]}))
    text = markdown(RuleStore(tmp_path / "rules", [TASK]))
    assert f"### {LABELS[0]}" in text and r"\<b\>\|x\|\</b\>" in text
