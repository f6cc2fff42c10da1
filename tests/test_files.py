"""Files: whole or not at all, appended line by line, and every broken one named."""

import hashlib
import os
import threading

import pytest

from kdsl.errors import KdslError
from kdsl.files import file_digest, file_hash, inside, is_there, stamp_of, write_atomically


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


def test_a_folder_is_another_one_when_a_file_in_it_is_changed_renamed_or_added(tmp_path):
    (tmp_path / "data/in").mkdir(parents=True)
    seen = set()
    for change in (
        lambda: None,
        lambda: (tmp_path / "data/in/a").write_text("1"),
        lambda: (tmp_path / "data/in/a").write_text("23"),
        lambda: (tmp_path / "data/in/a").rename(tmp_path / "data/in/b"),
        lambda: (tmp_path / "data/c").write_text("3"),
    ):
        threading.Event().wait(0.02)  # the clock of a file system goes in steps: what changes within one has one time
        change()
        known = file_digest(tmp_path / "data"), stamp_of(tmp_path / "data")
        assert known == (file_digest(tmp_path / "data"), stamp_of(tmp_path / "data"))
        seen.add(known[0])
        seen.add(known[1])
    assert len(seen) == 10
