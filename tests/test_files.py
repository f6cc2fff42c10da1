"""Files: whole or not at all, appended line by line, and every broken one named."""

import pytest

from kdsl.errors import KdslError
from kdsl.files import append_jsonl, read_jsonl, write_atomically


def test_appended_lines_are_on_disk_at_once(tmp_path):
    path = tmp_path / "folder/a.jsonl"
    with append_jsonl(path) as append:
        append({"名": 1})
        assert path.read_text("utf-8") == '{"名": 1}\n'
    with append_jsonl(path) as append:
        append({"b": 2})
    assert list(read_jsonl(path)) == [(1, {"名": 1}), (2, {"b": 2})]


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
