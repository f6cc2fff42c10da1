"""The cache of vectors: kept by maker and content, for several processes at once, and never in the way."""

import os
import sqlite3
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kdsl import vector_cache
from kdsl.vector_cache import VectorCache


def key(number: int) -> bytes:
    return sha256(str(number).encode()).digest()


def row(number: int, size: int = 4) -> np.ndarray:
    return np.full(size, number, dtype=np.float16)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run/vectors.sqlite"


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_vectors_are_known_by_who_made_them_and_of_what(path):
    VectorCache(path).put("one", {key(1): row(1), key(2): row(2)})
    VectorCache(path).put("two", {key(1): row(3)})
    cache = VectorCache(path)
    assert {name: vector.tolist() for name, vector in cache.get("one", [key(1), key(2), key(3)], 4).items()} == {
        key(1): [1.0] * 4,
        key(2): [2.0] * 4,
    }
    assert cache.get("two", [key(1)], 4)[key(1)].tolist() == [3.0] * 4
    assert cache.get("three", [key(1)], 4) == {}
    assert cache.get("one", [], 4) == {}


def test_many_vectors_are_asked_for_at_once(path):
    cache = VectorCache(path)
    cache.put("one", {key(number): row(number) for number in range(1203)})
    found = cache.get("one", [key(number) for number in range(1500)], 4)
    assert [found[key(number)][0] for number in range(1203)] == list(range(1203))
    assert len(found) == 1203


@given(arrays(np.float16, 8, elements=st.floats(-60000, 60000, width=16)))
def test_every_bit_is_kept(tmp_path_factory, vector):
    path = tmp_path_factory.mktemp("bits") / "v.sqlite"
    VectorCache(path).put("one", {key(1): vector})
    assert VectorCache(path).get("one", [key(1)], 8)[key(1)].tobytes() == vector.tobytes()


def test_nothing_is_made_by_looking_or_by_keeping_nothing(path):
    cache = VectorCache(path)
    assert cache.get("one", [key(1)], 4) == {}
    cache.put("one", {})
    assert not path.parent.exists()


def test_without_a_place_nothing_is_kept():
    cache = VectorCache(None)
    cache.put("one", {key(1): row(1)})
    assert cache.get("one", [key(1)], 4) == {}


def test_a_file_that_another_process_has_only_begun_holds_nothing_yet(path, caplog):
    path.parent.mkdir()
    path.touch()
    cache = VectorCache(path)
    assert cache.get("one", [key(1)], 4) == {}
    cache.put("one", {key(1): row(1)})
    assert cache.get("one", [key(1)], 4)[key(1)].tolist() == [1.0] * 4
    assert told(caplog) == []


def test_what_is_no_vector_of_that_size_is_not_known_and_is_replaced(path):
    cache = VectorCache(path)
    cache.put("one", {key(1): row(1, 3), key(2): np.array([1, np.nan, 1, 1], np.float16), key(3): row(3)})
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("INSERT INTO vectors VALUES ('one', ?, 'text')", (key(4),))
        connection.execute("INSERT INTO vectors VALUES ('one', ?, NULL)", (key(5),))
    connection.close()
    names = [key(number) for number in range(1, 6)]
    assert set(cache.get("one", names, 4)) == {key(3)}
    cache.put("one", {name: row(7) for name in names})
    assert len(cache.get("one", names, 4)) == 5


def other_tables(path: Path) -> None:
    path.unlink()
    connection = sqlite3.connect(path)
    connection.execute("CREATE VIEW vectors AS SELECT 'one' AS maker, x'00' AS content, x'00' AS vector")
    connection.commit()
    connection.close()


DAMAGES = {
    "garbage": lambda path: path.write_bytes(b"garbage" * 1000),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:5000]),
    "other tables": other_tables,
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("first", ["get", "put"])
def test_a_damaged_file_is_told_of_once_and_made_again(path, caplog, damage, first):
    VectorCache(path).put("one", {key(number): row(number, 512) for number in range(50)})
    (path.parent / "other.json").write_text("{}")
    DAMAGES[damage](path)
    cache = VectorCache(path)
    if first == "get":
        assert cache.get("one", [key(number) for number in range(50)], 512).keys() < set(map(key, range(50)))
    for _ in range(2):
        cache.put("one", {key(1): row(1), key(2): row(2)})
    assert VectorCache(path).get("one", [key(1), key(2)], 4)[key(2)].tolist() == [2.0] * 4
    [sentence] = told(caplog)
    assert sentence.startswith(f"{path}: damaged or not a cache of vectors (")
    assert sentence.endswith("; it is made again")
    assert (path.parent / "other.json").read_text() == "{}"


def test_a_folder_that_cannot_be_written_gets_one_warning(tmp_path, caplog):
    (tmp_path / "file").touch()
    cache = VectorCache(tmp_path / "file/vectors.sqlite")
    for _ in range(2):
        cache.put("one", {key(1): row(1)})
        assert cache.get("one", [key(1)], 4) == {}
    [sentence] = told(caplog)
    assert "vectors.sqlite: cannot be written (" in sentence
    assert sentence.endswith("), so vectors are computed again next time")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_what_may_only_be_read_is_read(path, caplog):
    VectorCache(path).put("one", {key(1): row(1)})
    path.chmod(0o400)
    path.parent.chmod(0o500)
    try:
        cache = VectorCache(path)
        assert key(1) in cache.get("one", [key(1)], 4)
        cache.put("one", {key(2): row(2)})
        assert key(1) in cache.get("one", [key(1)], 4)
    finally:
        path.parent.chmod(0o700)
    [sentence] = told(caplog)
    assert "cannot be written" in sentence


def test_a_link_is_not_followed(path, tmp_path, caplog):
    path.parent.mkdir()
    path.symlink_to(tmp_path / "elsewhere.sqlite")
    VectorCache(path).put("one", {key(1): row(1)})
    assert not (tmp_path / "elsewhere.sqlite").exists()
    assert "cannot be written (it is no file)" in told(caplog)[0]


def test_a_file_that_is_full_takes_no_more(path, caplog, monkeypatch):
    cache = VectorCache(path)
    cache.put("one", {key(1): row(1)})
    monkeypatch.setattr(vector_cache, "_LARGEST", 1)
    for _ in range(2):
        cache.put("one", {key(2): row(2)})
    assert set(cache.get("one", [key(1), key(2)], 4)) == {key(1)}
    assert len(told(caplog)) == 1 and "takes no more" in told(caplog)[0]


def test_two_processes_write_at_once_and_lose_nothing(path):
    program = (
        "import sys; from pathlib import Path; import numpy as np; from hashlib import sha256\n"
        "from kdsl.vector_cache import VectorCache\n"
        "cache, first = VectorCache(Path(sys.argv[1])), int(sys.argv[2])\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "for number in range(first, first + 40):\n"
        "    cache.put('one', {sha256(str(number).encode()).digest(): np.full(4, number, dtype=np.float16)})\n"
    )
    command = [sys.executable, "-c", program, str(path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    both = [subprocess.Popen([*command, str(first)], **pipes) for first in (0, 40)]
    for process in both:
        assert process.stdout.readline() == "ready\n"
    for process in both:
        process.stdin.write("\n")
        process.stdin.flush()
    for process in both:
        assert process.communicate()[1] == ""
        assert process.returncode == 0
    found = VectorCache(path).get("one", [key(number) for number in range(80)], 4)
    assert {name: vector[0] for name, vector in found.items()} == {key(number): number for number in range(80)}


@settings(max_examples=60)
@given(st.data())
def test_whatever_stands_in_the_file_nothing_is_raised_and_new_vectors_can_be_kept(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("damage") / "v.sqlite"
    VectorCache(path).put("one", {key(number): row(number, 64) for number in range(40)})
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        place = data.draw(st.integers(0, len(content) - 1) | st.integers(0, 120))
        content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)) | st.just(len(content)))])
    cache = VectorCache(path)
    for vector in cache.get("one", [key(number) for number in range(40)], 64).values():
        assert vector.shape == (64,) and np.isfinite(vector).all()
    for _ in range(2):
        cache.put("one", {key(99): row(3, 64)})
    assert cache.get("one", [key(99)], 64).keys() <= {key(99)}
