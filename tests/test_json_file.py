"""JSON and JSON Lines: mistakes are named by line, what was torn is mended, nothing is half-written."""

import errno
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdsl.errors import KdslError
from kdsl.files import write_atomically
from kdsl.json_file import append_durably, append_jsonl, jsonl_bytes, read_json, read_jsonl, write_jsonl


def test_appended_lines_are_on_disk_at_once(tmp_path):
    path = tmp_path / "folder/a.jsonl"
    with append_jsonl(path) as append:
        append({"名": 1})
        assert path.read_text("utf-8") == '{"名": 1}\n'
    with append_jsonl(path) as append:
        append({"b": 2})
    assert list(read_jsonl(path)) == [(1, {"名": 1}), (2, {"b": 2})]


def test_a_line_that_must_survive_is_added_behind_the_others_or_refused(tmp_path, monkeypatch):
    path = tmp_path / "a.jsonl"
    append_durably(path, {"a": 1})
    append_durably(path, {"b": 2})
    assert list(read_jsonl(path)) == [(1, {"a": 1}), (2, {"b": 2})]

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(KdslError, match="cannot be written to disk \\(No space left on device\\); free some space"):
        append_durably(path, {"c": 3})


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('{"a": 1}\n{"b": ', '{"a": 1}\n'),
        ('{"a": "退', ""),
        ('{"a": 1}\n{', '{"a": 1}\n'),
        ('{"a": 1}\n{"b": 2}', '{"a": 1}\n{"b": 2}\n'),
        ('{"a": 1}\n', '{"a": 1}\n'),
        ("notes of a person", "notes of a person"),
        ('[\n {"a": 1}\n', '[\n {"a": 1}\n'),
    ],
)
def test_only_a_torn_last_record_is_taken_away(tmp_path, before, after):
    path = tmp_path / "a.jsonl"
    path.write_text(before, "utf-8")
    with append_jsonl(path):
        pass
    assert path.read_text("utf-8") == after


def test_a_line_torn_meanwhile_is_taken_away_before_the_next_one(tmp_path):
    path = tmp_path / "a.jsonl"
    with append_jsonl(path) as append:
        append({"a": 1})
        with path.open("a") as other:
            other.write('{"b": ')
        append({"c": 3})
    assert path.read_text("utf-8") == '{"a": 1}\n{"c": 3}\n'


def test_several_records_are_one_write(tmp_path, monkeypatch):
    path, written = tmp_path / "a.jsonl", []
    with append_jsonl(path) as append:
        monkeypatch.setattr("kdsl.json_file.jsonl_bytes", lambda records: written.append(records) or b"{}\n")
        append({"a": 1}, {"b": 2})
        append()
    assert written == [({"a": 1}, {"b": 2}), ()]


def test_a_character_cut_in_half_is_taken_away_with_its_line(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"a": 1}\n' + '{"b": "退'.encode()[:-1])
    with append_jsonl(path):
        pass
    assert path.read_bytes() == b'{"a": 1}\n'


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(KdslError, match=r"a\.jsonl: cannot be written .*; choose a folder that you may write to"):
        write_atomically(tmp_path / "file/a.jsonl", "")
    with pytest.raises(KdslError, match=r"a\.jsonl: cannot be written"), append_jsonl(tmp_path / "file/a.jsonl"):
        pass


def test_half_a_character_is_kept_as_an_escape(tmp_path):
    path = tmp_path / "a.jsonl"
    with append_jsonl(path) as append:
        append({"a": "\ud83d"})
    assert path.read_text("utf-8") == '{"a": "\\ud83d"}\n'
    assert list(read_jsonl(path)) == [(1, {"a": "\ud83d"})]


@pytest.mark.parametrize("line", ['{"a": ' + "9" * 5000 + "}", '{"a": ' + "[" * 100_000])
def test_a_last_line_that_no_parser_takes_is_left_to_its_reader(tmp_path, line):
    path = tmp_path / "a.jsonl"
    path.write_text(line, "utf-8")
    with append_jsonl(path):
        pass
    assert path.read_text("utf-8").rstrip("\n") == line


@pytest.mark.parametrize(
    ("text", "key", "line"),
    [
        ('{"a": 1, "a": 2}', "a", 1),
        ('{"b": {"a": 1},\n "a": {"c": [{"x": 1},\n {"x": 1, "y": "{\\"x\\": 1,",\n "x": 2}]}}', "x", 4),
        ('{"退": 1,\n "\\u9000": 2}', "退", 2),
    ],
)
def test_a_key_that_is_given_twice_is_named_with_its_line(tmp_path, text, key, line):
    path = tmp_path / "a.json"
    path.write_text(text, "utf-8")
    with pytest.raises(KdslError, match=rf"a\.json, line {line}: the key '{key}' is given twice; keep one of the two"):
        read_json(path)
    path.write_text(f'{{"z": 1}}\n{text.replace(chr(10), "")}\n', "utf-8")
    with pytest.raises(KdslError, match=rf"a\.json, line 2: the key '{key}' is given twice; .*; ask again"):
        list(read_jsonl(path, "ask again"))


def test_equal_keys_of_different_objects_are_fine(tmp_path):
    text = '{"a": {"a": 1, "b": "a"}, "b": [{"a": 1}, {"a": "}{"}]}'
    (tmp_path / "a.json").write_text(text)
    assert read_json(tmp_path / "a.json") == json.loads(text)


def test_a_hundred_lists_within_each_other_are_too_many(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("[" * 100 + "]" * 100)
    read_json(path)
    path.write_text("[" * 101 + "]" * 101)
    with pytest.raises(KdslError, match=r"a\.json: not valid JSON \(lists or objects within each other too deeply\)"):
        read_json(path)
    path.write_text(json.dumps({"a": "[" * 200, "b": [[]] * 200}))
    read_json(path)


@given(
    st.lists(st.dictionaries(st.text(), st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text())))
)
def test_whatever_is_written_comes_back_line_by_line(tmp_path_factory, records):
    path = tmp_path_factory.getbasetemp() / "round.jsonl"
    write_jsonl(path, records)
    assert list(read_jsonl(path)) == [*enumerate(records, start=1)]
    assert path.read_bytes() == jsonl_bytes(records)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'\xef\xbb\xbf\n\n{"a": 1}\n[1]\n', "line 4: '[1]' is not a JSON object like"),
        (b"{}\nnull\n", "line 2: 'null' is not a JSON object like"),
        (b'{}\n\n{"a": "\xff"}\n', "line 3: byte 7 is not UTF-8; save the file as UTF-8"),
        (b'{}\n{"a": }\n', "line 2: not valid JSON (Expecting value)"),
        (b'{}\n{"a": ' + b"9" * 5000 + b"}\n", "line 2: not valid JSON (a number of thousands of digits)"),
    ],
)
def test_a_line_that_is_no_object_is_named(tmp_path, content, message):
    path = tmp_path / "a.jsonl"
    path.write_bytes(content)
    with pytest.raises(KdslError) as error:
        list(read_jsonl(path))
    assert f"a.jsonl, {message}" in str(error.value)
