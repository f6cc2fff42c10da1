import csv
import encodings
import io
import os
import pkgutil
import tempfile
from pathlib import Path
from unicodedata import category

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from rule_files import TASK, contents, rule, rule_base

from kdsl.errors import KdslError
from kdsl.review import decisions
from kdsl.review.exchange import csv_table
from kdsl.review.importing import import_csv
from kdsl.review.store import RuleStore
from kdsl.rules.rulebase import RuleBase

EASTERN = ["gb18030", "gbk", "big5", "shift_jis", "cp932", "euc_jp", "euc_kr", "johab", "iso2022_jp", "hz"]
WESTERN = ["cp1252", "latin_1", "iso8859_9", "mac_roman", "cp437", "cp850", "cp1250", "cp1251", "koi8_r", "cp037"]


@pytest.fixture
def store(tmp_path: Path) -> RuleStore:
    rule_base(tmp_path / "rules")
    return RuleStore(tmp_path / "rules", [TASK])


def shop(folder: Path, label: str, term: str, *notes: str) -> RuleStore:
    """One rule for each of the notes."""
    base = RuleBase(folder / "rules", TASK)
    for number, each in enumerate(notes):
        base.save(rule(label, {"user": [f"{term}{number}"]}, notes=each))
    return RuleStore(folder / "rules", [TASK])


def changed(table: str, row: int, column: str, value: str) -> str:
    """The table with one cell, counted from the first rule, changed as a spreadsheet would."""
    rows = list(csv.reader(io.StringIO(table.removeprefix("\ufeff"))))
    rows[row + 1][rows[0].index(column)] = value
    return written(rows)


def written(rows: list[list[str]], delimiter: str = ",") -> str:
    output = io.StringIO()
    csv.writer(output, delimiter=delimiter).writerows(rows)
    return output.getvalue()


def saved(folder: Path, data: str | bytes) -> Path:
    path = folder / "reviewed.csv"
    path.write_bytes(data.encode("utf-8") if isinstance(data, str) else data)
    return path


def test_decisions_written_into_the_table_reach_the_files_and_one_undo_takes_them_back(store, tmp_path):
    before = contents(store.folder)
    table = changed(changed(csv_table(store), 0, "status", "accepted"), 1, "notes", "再看\r\n一次")
    event = import_csv(store, saved(tmp_path, table), "小王")
    one, two, _ = (each.rule for each in store.rules(TASK))
    assert (one.status, one.review.by, two.notes, two.review.by) == ("accepted", "小王", "再看\n一次", "")
    assert event is not None and len(event.changes) == 2
    decisions.undo(store, "小王")
    assert contents(store.folder) == before


def test_an_unchanged_table_changes_nothing(tmp_path):
    store = shop(tmp_path, "007", "=亮度", "=1+1", "3-4", "'x", " a ", "一\n二", "")
    for language in ("en", "zh"):
        assert import_csv(store, saved(tmp_path, csv_table(store, language)), "小王") is None


@pytest.mark.parametrize(
    ("column", "value", "sentence"),
    [
        ("status", "maybe", "line 2: the status is 'maybe'; it must be one of proposed"),
        ("status", "“accepted”", "line 2: the status is '“accepted”'"),
        ("id", "r-none", "line 2: intent has no rule with the id 'r-none'"),
        ("id", "45720", "line 2: intent has no rule with the id '45720'"),
        ("task", "other", "line 2: the project has no task 'other'"),
        (
            "label",
            "商品",
            "line 2: the label is '商品', that of .* is '商品材质'; only status and notes can be changed",
        ),
        ("rule", "dialogue has 光", "line 2: the rule is 'dialogue has 光', that of .* only status and notes"),
        ("notes", "\x1b[2J", "line 2: the notes .* hold characters that nobody writes"),
        ("notes", "a\ufffdb", "line 2: the notes .* hold characters that nobody writes"),
    ],
)
def test_a_wrong_row_is_named_and_nothing_changes(store, tmp_path, column, value, sentence):
    before = contents(store.folder)
    table = changed(changed(csv_table(store), 1, "status", "accepted"), 0, column, value)
    with pytest.raises(KdslError, match=sentence):
        import_csv(store, saved(tmp_path, table), "小王")
    assert contents(store.folder) == before


def test_two_rows_for_one_rule_are_refused(store, tmp_path):
    table = csv_table(store)
    with pytest.raises(KdslError, match=r"line 5: a second row for r-\w+; keep one of the two"):
        import_csv(store, saved(tmp_path, table + table.splitlines()[1] + "\r\n"), "小王")


def test_a_rule_changed_since_the_export_is_not_overwritten(store, tmp_path):
    table = changed(csv_table(store), 0, "status", "rejected")
    old = store.rules(TASK)[0]
    decisions.decide(store, "小李", TASK, old.rule.id, old.version, "accepted")
    with pytest.raises(KdslError, match="was changed since the export"):
        import_csv(store, saved(tmp_path, table), "小王")


@pytest.mark.parametrize("missing", ["label", "rule", "training", "reliability"])
def test_a_column_that_says_nothing_new_may_be_deleted(store, tmp_path, missing):
    rows = list(csv.reader(io.StringIO(changed(csv_table(store), 0, "status", "accepted"))))
    at = rows[0].index(missing)
    table = written([[*row[:at], *row[at + 1 :], ""] for row in rows], ";")
    assert import_csv(store, saved(tmp_path, table), "小王") is not None


@pytest.mark.parametrize(
    ("encoding", "delimiter", "status"),
    [("gbk", ",", "已拒绝"), ("utf-8-sig", ";", "Rejected"), ("utf-8", "\t", "拒绝"), ("utf-16", "\t", "REJECTED"),
     ("utf-16-le", ",", "拒绝"), ("big5hkscs", ",", "rejected")],
)  # fmt: skip
def test_what_spreadsheets_make_of_the_table_is_read_too(tmp_path, encoding, delimiter, status):
    store = shop(tmp_path, "商品", "大", "問過客服😊", "只看")
    rows = list(csv.reader(io.StringIO(csv_table(store).removeprefix("\ufeff"))))
    rows[1][3] = status
    before = rows[1][8]
    table = written(rows, delimiter).encode(encoding, "replace")
    event = import_csv(store, saved(tmp_path, table), "小王")
    assert event is not None and len(event.changes) == 1
    [decided] = [each.rule for each in store.rules(TASK) if each.rule.status == "rejected"]
    assert decided.notes == before  # 😊 came back as ?, which nobody wrote


@pytest.mark.parametrize(
    ("encoding", "label"),
    [("big5", "?票"), ("shift_jis", "?票"), ("euc_kr", "?票"), ("cp1252", "??"), ("mac_roman", "??")],
)
def test_a_table_that_lost_characters_is_refused_whole_with_its_encoding(tmp_path, encoding, label):
    store = shop(tmp_path, "发票", "我以", "Größe fehlt", "這條規則太寬鬆", "")
    before = contents(store.folder)
    data = changed(csv_table(store), 0, "status", "accepted").encode(encoding, "replace")
    sentence = rf"line 2: the label is '{label}'.*is '发票': the table was saved in {encoding}, .*UTF-8"
    with pytest.raises(KdslError, match=sentence.replace("?", r"\?")):
        import_csv(store, saved(tmp_path, data), "小王")
    assert contents(store.folder) == before


@pytest.mark.parametrize("encoding", ["cp1252", "mac_roman", "gb18030", "shift_jis", "koi8_r"])
def test_a_note_that_nothing_else_tells_how_to_read_is_not_guessed(tmp_path, encoding):
    store = shop(tmp_path, "invoice", "bill", "", "")
    note = {"cp1252": "Größe", "mac_roman": "Größe", "koi8_r": "размер"}.get(encoding, "確認")
    with pytest.raises(KdslError, match=r"line 2: the notes are .* and nothing else tells which it is; .*UTF-8"):
        import_csv(store, saved(tmp_path, changed(csv_table(store), 0, "notes", note).encode(encoding)), "小王")
    import_csv(store, saved(tmp_path, changed(csv_table(store), 0, "notes", note)), "小王")
    assert note in [each.rule.notes for each in store.rules(TASK)]


@pytest.mark.parametrize("garbled", ["Größe".encode().decode("cp1252"), "Gr??e", "Gr??e fehlt"])
def test_a_note_garbled_by_another_program_is_not_taken(tmp_path, garbled):
    store = shop(tmp_path, "invoice", "bill", "Größe")
    before = contents(store.folder)
    try:
        assert import_csv(store, saved(tmp_path, changed(csv_table(store), 0, "notes", garbled)), "小王") is None
    except KdslError as error:
        assert "looks like a wrong encoding" in str(error)
    assert contents(store.folder) == before


def test_a_pipe_is_not_waited_for(store, tmp_path):
    os.mkfifo(tmp_path / "table.csv")
    with pytest.raises(KdslError, match=r"table\.csv: is a pipe, not a file"):
        import_csv(store, tmp_path / "table.csv", "anna")


def test_a_file_that_is_no_export_is_refused(store, tmp_path):
    for data, sentence in (
        ("a,b\n1,2\n", "line 1: no column 'task'"),
        (b"", "no column"),
        (b"\xef\xbb\xbf\xff", "byte 3 is not utf-8, as its first bytes say"),
    ):
        with pytest.raises(KdslError, match=sentence):
            import_csv(store, saved(tmp_path, data), "小王")
    with pytest.raises(KdslError, match="no such file"):
        import_csv(store, tmp_path / "none.csv", "小王")
    with pytest.raises(KdslError, match="is a folder, not a file"):
        import_csv(store, tmp_path, "小王")


ENCODINGS = sorted({module.name for module in pkgutil.iter_modules(encodings.__path__)} - {"aliases", "mbcs", "oem"})
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=6)


def in_encoding(text: str, encoding: str, errors: str = "strict") -> bytes:
    """The text in the encoding; leaves this example out where it cannot be."""
    try:
        return text.encode(encoding, errors)
    except (UnicodeError, LookupError):
        assume(False)
        raise


def texts(encoding: str) -> st.SearchStrategy[str]:
    """Short texts that the encoding can hold, where it says which these are, else any."""
    if encoding in EASTERN:
        return st.text(st.sampled_from("发票票日本商品大小規則寬한국aA1~é，"), min_size=1, max_size=6)
    if encoding in WESTERN:
        # Hypothesis would try every character of Unicode.
        known = sorted(set(bytes(range(256)).decode(encoding, "ignore")))
        return st.text(st.sampled_from([each for each in known if category(each) != "Cc"]), min_size=1, max_size=6)
    return TEXT


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.data(),
    st.sampled_from([*EASTERN, *WESTERN]) | st.sampled_from(ENCODINGS),
    st.sampled_from(["strict", "replace"]),
)
def test_a_table_that_only_went_through_an_encoding_changes_nothing(data, encoding, errors):
    label, term, *notes = (data.draw(texts(encoding)) for _ in range(5))
    with tempfile.TemporaryDirectory() as folder:
        store = shop(Path(folder), label, f"a{term}", *notes)
        before = contents(store.folder)
        path = saved(Path(folder), in_encoding(csv_table(store).removeprefix("\ufeff"), encoding, errors))
        try:
            assert import_csv(store, path, "小王") is None
        except KdslError as error:
            assert str(path) in str(error)
        assert contents(store.folder) == before


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data(), st.sampled_from([*EASTERN, *WESTERN, "utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32"]))
def test_a_note_is_taken_as_it_was_written_or_not_at_all(data, encoding):
    label, term, one, two, new = (data.draw(texts(encoding)) for _ in range(5))
    with tempfile.TemporaryDirectory() as folder:
        store = shop(Path(folder), label, f"a{term}", one, two)
        bytes_ = in_encoding(changed(csv_table(store), 0, "notes", new), encoding)
        if not encoding.startswith("utf"):
            assume(not is_utf_8(bytes_) or (bytes_.isascii() and encoding not in ("hz", "iso2022_jp")))
        first, second = (each.rule.notes for each in store.rules(TASK))
        try:
            import_csv(store, saved(Path(folder), bytes_), "小王")
        except KdslError:
            new = first
        assert [each.rule.notes for each in store.rules(TASK)] in ([new.strip(), second], [first, second])


def is_utf_8(data: bytes) -> bool:
    """By chance, in another encoding: what looks like that is taken for it."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
