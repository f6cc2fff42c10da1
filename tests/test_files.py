"""Files: whole or not at all, appended line by line, and every broken one named."""

import hashlib
import json
import os

import pytest

from kdsl.errors import KdslError
from kdsl.files import append_jsonl, file_digest, file_hash, inside, is_there, read_json, read_jsonl, write_atomically


@pytest.fixture
def umask():
    """Sets the umask, and puts the old one back."""
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_a_new_file_gets_the_mode_that_the_umask_says(tmp_path, umask, mask, mode):
    umask(mask)
    write_atomically(tmp_path / "a.json", "{}")
    assert (tmp_path / "a.json").stat().st_mode & 0o777 == mode


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664])
def test_a_file_that_is_there_keeps_its_mode(tmp_path, mode):
    path = tmp_path / "a.json"
    path.touch()
    path.chmod(mode)
    write_atomically(path, "{}")
    assert path.stat().st_mode & 0o777 == mode
    assert path.read_text() == "{}"


def test_a_name_below_a_folder_is_that_place_whether_anything_is_there_or_not(tmp_path):
    assert inside(tmp_path, "退款/a.jpg") == tmp_path / "退款/a.jpg"
    assert inside(tmp_path, "..a/b..jpg") == tmp_path / "..a/b..jpg"


@pytest.mark.parametrize(
    "name",
    ["../a.jpg", "/etc/hostname", "b/../../a.jpg", "b/..", "..", "..\\a.jpg", "C:\\a.jpg", "C:a.jpg", "\\\\host\\a"],
)
def test_a_name_that_leads_out_of_its_folder_is_refused(tmp_path, name):
    with pytest.raises(KdslError, match=r"leads outside .*; give a name below that folder"):
        inside(tmp_path, name)


@pytest.mark.parametrize("name", ["", "a\x00b", "data:image/png;base64," + "A" * 7000, "退" * 86, "\ud83d.jpg"])
def test_what_can_be_no_files_name_is_refused_in_a_few_words(tmp_path, name):
    with pytest.raises(KdslError, match=r"cannot be the name of a file; give a name below") as error:
        inside(tmp_path, name)
    assert len(str(error.value)) < 200 + len(str(tmp_path))


def test_a_link_below_the_folder_does_not_lead_out_but_the_folder_may_be_one(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "outside.jpg").touch()
    (tmp_path / "real/a.jpg").symlink_to(tmp_path / "outside.jpg")
    (tmp_path / "real/b").symlink_to(tmp_path)
    (tmp_path / "real/c.jpg").symlink_to("d.jpg")
    (tmp_path / "folder").symlink_to(tmp_path / "real")
    for name in ("a.jpg", "b/outside.jpg"):
        with pytest.raises(KdslError, match="leads outside"):
            inside(tmp_path / "folder", name)
    assert inside(tmp_path / "folder", "c.jpg") == tmp_path / "folder/c.jpg"


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


def test_a_sentence_is_never_longer_than_a_screen():
    sentence = str(KdslError(f"a.json: {'x' * 10_000!r} is wrong; write y"))
    assert len(sentence) < 900 and sentence.startswith("a.json: 'xxx") and sentence.endswith("' is wrong; write y")


def test_what_nobody_may_look_at_is_neither_there_nor_missing(tmp_path, monkeypatch):
    assert is_there(tmp_path)
    assert not is_there(tmp_path / "none")

    def refused(self, **_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.stat", refused)
    with pytest.raises(KdslError, match=r"a: cannot be read \(Permission denied\); you need rights on its folder"):
        is_there(tmp_path / "a")


def test_a_hash_is_of_the_contents_of_files_in_their_order(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(b"1")
    two.write_bytes(b"2")
    assert file_digest(one) == hashlib.sha256(b"1").digest()
    expected = hashlib.sha256(hashlib.sha256(b"1").digest() + hashlib.sha256(b"2").digest())
    assert file_hash(one, two) == expected.hexdigest()
    assert file_hash(two, one) != file_hash(one, two)
    assert file_hash() == hashlib.sha256().hexdigest()


def test_what_cannot_be_hashed_is_named(tmp_path):
    with pytest.raises(KdslError) as caught:
        file_hash(tmp_path / "none")
    assert str(caught.value) == f"{tmp_path / 'none'}: no such file"
    with pytest.raises(KdslError) as caught:
        file_hash(tmp_path)
    assert str(caught.value) == f"{tmp_path}: is a folder, not a file; give the name of a file"
