"""Files and pipes of samples, read as often as one likes."""

import io
import os
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from kdsl.data.sample_file import SampleFile, joined_samples, sample_files
from kdsl.errors import KdslError
from kdsl.sample import Label, Task

TASK = Task("shop", (Label("退款"),))
ONE = '{"id": "a", "text": "退款"}\n'


def ids(files: list[SampleFile]) -> list[str]:
    return [sample.id for sample in joined_samples(files, lambda file: file.samples([TASK]))]


@pytest.fixture
def stdin(monkeypatch):
    def give(text: str) -> None:
        monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(text.encode("utf-8"))))

    return give


def test_stdin_is_read_once_and_its_samples_as_often_as_one_likes(stdin):
    stdin(ONE)
    with sample_files([Path("-")]) as files:
        assert ids(files) == ids(files) == ["a"]
        assert files[0].bytes_at.read_text("utf-8") == ONE
    assert not files[0].bytes_at.exists()


def test_what_is_wrong_in_stdin_is_named_as_such(stdin):
    stdin(ONE + '{"id": "b", "text": 7}\n')
    with sample_files([Path("-")]) as files, pytest.raises(KdslError) as caught:
        ids(files)
    assert str(caught.value) == "stdin, line 2: text is 7; it must be text in quotes"


def test_stdin_can_be_given_once(stdin):
    with pytest.raises(KdslError, match="--input - is given twice"), sample_files([Path("-"), Path("-")]):
        pass


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no such pipes")
def test_a_pipe_is_read_once_and_named_in_messages(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(ONE + "{}\n", "utf-8"))
    writer.start()
    with sample_files([pipe]) as files, pytest.raises(KdslError, match="pipe, line 2: nothing tells which column"):
        ids(files)
    writer.join()


def test_a_file_is_read_where_it_is(tmp_path):
    path = tmp_path / "one.jsonl"
    path.write_text(ONE, "utf-8")
    with sample_files([path]) as files:
        assert files == [SampleFile(path)]


def test_a_sample_that_two_files_have_comes_once(tmp_path):
    one, two = tmp_path / "one.jsonl", tmp_path / "two.jsonl"
    one.write_text(ONE, "utf-8")
    two.write_text('{"id": "b", "text": "换货"}\n' + ONE, "utf-8")
    assert ids([SampleFile(one), SampleFile(two)]) == ["a", "b"]


def test_two_files_that_number_alike_are_not_mixed_up(tmp_path):
    one, two = tmp_path / "one.jsonl", tmp_path / "two.jsonl"
    one.write_text('{"text": "退款"}\n', "utf-8")
    two.write_text('{"text": "换货"}\n', "utf-8")
    with pytest.raises(KdslError) as caught:
        ids([SampleFile(one), SampleFile(two)])
    assert str(caught.value) == (
        f"{two}: sample '1' is another one than that of this id in {one}; give the samples of both files different "
        "ids, or predict each file by itself"
    )
