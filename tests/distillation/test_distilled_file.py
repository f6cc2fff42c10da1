"""`data.distilled`: whatever form its samples have, each is learned from once, or the line is named."""

import json
from pathlib import Path

import pytest

from kdsl.distillation.distilled_file import read_distilled
from kdsl.errors import KdslError
from kdsl.sample import Label, Task

TASK = Task("shop", (Label("调光"), Label("材质")))


def write(path: Path, *records: dict) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    return path


@pytest.mark.parametrize(
    ("record", "identity"),
    [
        ({"text": "太亮了"}, "1"),
        ({"id": None, "text": "太亮了"}, "1"),
        ({"id": 7, "text": "太亮了"}, "7"),
        ({"id": "7", "task": None, "text": "太亮了"}, "7"),
        ({"id": "7", "task": "shop", "turns": [{"role": "user", "text": "太亮了"}]}, "7"),
    ],
)
def test_every_form_of_a_sample_is_read(tmp_path, record, identity):
    samples, shares = read_distilled(write(tmp_path / "d.jsonl", {**record, "label": "材质"}), [TASK])["shop"]
    assert ([sample.id for sample in samples], shares.tolist()) == ([identity], [[0.0, 1.0]])


def test_other_formats_may_bring_the_label_in_their_own_way(tmp_path):
    messages = [{"role": "user", "content": "太亮了"}, {"role": "assistant", "content": "调光"}]
    [(samples, shares)] = read_distilled(write(tmp_path / "d.jsonl", {"messages": messages}), [TASK]).values()
    assert (len(samples), shares.tolist()) == (1, [[1.0, 0.0]])


def test_targets_are_made_to_sum_to_one(tmp_path):
    file = write(tmp_path / "d.jsonl", {"id": "1", "text": "太亮了", "targets": {"调光": 0.6, "材质": 0.2}})
    assert read_distilled(file, [TASK])["shop"][1].tolist() == [[pytest.approx(0.75), pytest.approx(0.25)]]


def test_nothing_kept_is_nothing_learned(tmp_path):
    assert read_distilled(write(tmp_path / "d.jsonl"), [TASK]) == {}


def test_a_label_that_the_task_does_not_have_is_named_beside_targets_too(tmp_path):
    file = write(tmp_path / "d.jsonl", {"id": "1", "text": "太亮了", "label": "调光 ", "targets": {"调光": 1.0}})
    with pytest.raises(KdslError, match=r"line 1: the label '调光 ' is none of the labels of shop; write '调光'"):
        read_distilled(file, [TASK])


def test_a_sample_that_stands_twice_is_named(tmp_path):
    twice = {"id": "1", "text": "太亮了", "label": "调光"}
    with pytest.raises(KdslError, match=r"d\.jsonl, line 2: sample '1' stands in line 1 too; keep one"):
        read_distilled(write(tmp_path / "d.jsonl", twice, twice), [TASK])
