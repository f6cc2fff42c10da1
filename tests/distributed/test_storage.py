"""Files below an address: what is found there, and what is said where it cannot be reached."""

import os
import pickle
import uuid
from pathlib import Path

import pytest

from kdsl.distributed.storage import Storage
from kdsl.errors import KdslError


@pytest.fixture(params=["folder", "file://", "memory://"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    """Each kind of place, with nothing there yet."""
    if request.param == "memory://":
        return Storage(f"memory://{uuid.uuid4().hex}")
    return Storage(f"{'' if request.param == 'folder' else 'file://'}{tmp_path}/new")


def test_what_is_written_is_found_and_read(storage, tmp_path):
    assert not storage.exists()
    assert storage.is_empty()
    assert storage.files() == []
    storage.write("b/ü 100%.txt", b"later")
    storage.write("a.txt", b"first")
    assert [(file.name, file.size) for file in storage.files()] == [("a.txt", 5), ("b/ü 100%.txt", 5)]
    assert storage.read("b/ü 100%.txt") == b"later"
    assert storage.local_copy("a.txt", tmp_path).read_bytes() == b"first"
    assert storage.exists("a.txt")
    assert not storage.is_empty()
    assert storage.is_empty(but="a.txt") is False
    assert not storage.is_file()


def test_what_is_hidden_is_left_out(storage):
    for name in (".hidden", "_run.json", "_errors/a.parquet", "a/.b/c.txt", "a/_b"):
        storage.write(name, b"x")
    assert storage.files() == []


def test_a_file_has_another_stamp_once_it_has_changed(storage):
    storage.write("a.txt", b"one")
    before = storage.facts("a.txt")
    assert before == storage.files()[0]
    storage.write("a.txt", b"two!")
    assert storage.facts("a.txt").stamp != before.stamp


def test_a_file_is_there_once_it_is_whole(storage, tmp_path):
    with storage.writing("a/b.txt", tmp_path) as path:
        path.write_bytes(b"half")
        assert not storage.exists("a/b.txt")
        path.write_bytes(b"whole")
    assert storage.read("a/b.txt") == b"whole"
    with pytest.raises(ZeroDivisionError), storage.writing("a/b.txt", tmp_path) as path:
        path.write_bytes(b"half")
        raise ZeroDivisionError
    assert storage.read("a/b.txt") == b"whole"
    assert not path.exists()


def test_deleting_what_is_gone_is_fine(storage):
    storage.write("a.txt", b"x")
    storage.remove("a.txt")
    storage.remove("a.txt")
    assert not storage.exists("a.txt")


def test_it_goes_to_other_processes(storage):
    storage.write("a.txt", b"x")
    assert pickle.loads(pickle.dumps(storage)) == storage


def test_a_missing_file_is_named(storage):
    with pytest.raises(KdslError, match=r"new|memory.*/a\.txt: no such file or folder; look at the address"):
        storage.read("a.txt")


def test_one_folder_has_one_whole_address(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = (str(tmp_path / "a"), "a", "./a/", f"file://{tmp_path}/a/", "b/../a")
    assert {Storage(each).whole_address for each in given} == {str(tmp_path / "a")}
    assert Storage("s3://bucket/a/").whole_address == "s3://bucket/a"


@pytest.mark.parametrize("locked", ["new", "new/inner"])
def test_a_folder_without_rights_is_told_not_skipped(tmp_path, locked):
    (tmp_path / "new" / "inner").mkdir(parents=True)
    (tmp_path / locked).chmod(0)
    if os.access(tmp_path / locked, os.R_OK):
        pytest.skip("this user may read everything")
    try:
        with pytest.raises(KdslError, match=r"new.*: cannot be looked (at|into), for lack of rights; get them"):
            Storage(str(tmp_path / "new")).files()
    finally:
        (tmp_path / locked).chmod(0o700)


def test_lack_of_rights_is_told(tmp_path, monkeypatch):
    def refused(*args: object, **kwargs: object) -> list[str]:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "new").mkdir()
    monkeypatch.setattr(os, "scandir", refused)
    with pytest.raises(KdslError, match=r"new: cannot be looked into, for lack of rights; get them, or name another"):
        Storage(str(tmp_path / "new")).files()


def test_an_address_of_no_kind_is_told():
    with pytest.raises(KdslError, match=r"nowhere://x: cannot be reached \(Protocol not known: nowhere\)"):
        Storage("nowhere://x").files()


def test_an_address_without_its_package_is_told():
    with pytest.raises(KdslError, match=r"^s3://bucket/x: .*s3fs"):
        Storage("s3://bucket/x").files()


def test_only_what_is_unfinished_is_cleared_away(tmp_path):
    for name in (".a.parquet.0123456789ab", ".hidden", ".kdsl.lock", "a.parquet"):
        (tmp_path / name).write_bytes(b"x")
    Storage(str(tmp_path)).remove_unfinished()
    assert sorted(path.name for path in tmp_path.iterdir()) == [".hidden", ".kdsl.lock", "a.parquet"]
