"""What stands in the files of a stream of predictions, and what is said about files that are something else."""

import json
from types import SimpleNamespace

import pytest

from kdsl.arbiter.stream import StreamOutcome, predict_stream
from kdsl.errors import KdslError
from kdsl.sample import Sample

SOURCE = {"checkpoint": "1", "input": "2"}


def decided(group):
    return [SimpleNamespace(record=lambda each=each: {"id": each.id, "task": each.task}) for each in group]


def stream(output, *samples: tuple[str, str], decide=decided, source=SOURCE, batch=2) -> StreamOutcome:
    return predict_stream(iter([Sample(id_, task) for task, id_ in samples]), decide, output, source, batch)


def records(output) -> list[tuple[str, str]]:
    return [(record["task"], record["id"]) for record in map(json.loads, output.read_text("utf-8").splitlines())]


def test_without_samples_nothing_is_written(tmp_path):
    assert stream(tmp_path / "p.jsonl") == StreamOutcome(0, 0)
    assert list(tmp_path.iterdir()) == []


def test_samples_are_decided_in_batches_in_their_order(tmp_path):
    asked = []

    def decide(group):
        asked.append([each.id for each in group])
        return decided(group)

    samples = [("t", id_) for id_ in "abcde"]
    assert stream(tmp_path / "p.jsonl", *samples, decide=decide) == StreamOutcome(5, 0)
    assert asked == [["a", "b"], ["c", "d"], ["e"]]
    assert records(tmp_path / "p.jsonl") == samples


def test_samples_are_told_apart_by_task_and_id(tmp_path, caplog):
    output = tmp_path / "p.jsonl"
    assert stream(output, ("t", "a"), ("u", "a"), ("t", "a")) == StreamOutcome(2, 0)
    assert caplog.messages == ["1 samples have the id of an earlier one and were left out; give each its own id"]
    caplog.clear()
    assert stream(output, ("u", "a"), ("t", "a"), ("v", "a")) == StreamOutcome(1, 2)
    assert records(output) == [("t", "a"), ("u", "a"), ("v", "a")]
    assert caplog.messages == []
    assert stream(output, ("u", "a"), ("u", "a")) == StreamOutcome(0, 1)
    assert len(caplog.messages) == 1


def test_an_interruption_counts_what_was_there_before_too(tmp_path):
    output = tmp_path / "p.jsonl"
    stream(output, ("t", "a"))

    def decide(group):
        if group[0].id == "d":
            raise KeyboardInterrupt
        return decided(group)

    with pytest.raises(KeyboardInterrupt) as caught:
        stream(output, *(("t", id_) for id_ in "abcde"), decide=decide)
    assert str(caught.value) == f"3 predictions are in {output}; run again to go on"


def test_the_source_stands_beside_the_output(tmp_path):
    stream(tmp_path / "p.jsonl", ("t", "a"))
    text = (tmp_path / "p.jsonl.meta.json").read_text("utf-8")
    assert json.loads(text) == SOURCE
    assert text == json.dumps(SOURCE, indent=1) + "\n"


@pytest.mark.parametrize(
    ("known", "what"),
    [
        (SOURCE | {"input": "3"}, "input"),
        ({"checkpoint": "3", "input": "3"}, "checkpoint and input"),
        ({"checkpoint": "1"}, "input"),
        ([1, 2], "checkpoint and input"),
    ],
)
def test_an_output_of_another_source_is_refused_by_what_is_another(tmp_path, known, what):
    output, meta = tmp_path / "p.jsonl", tmp_path / "p.jsonl.meta.json"
    stream(output, ("t", "a"))
    meta.write_text(json.dumps(known), "utf-8")
    with pytest.raises(KdslError) as caught:
        stream(output, ("t", "b"))
    assert str(caught.value) == (
        f"{output}: was made with another {what}; give another --output, or delete it to predict everything again"
    )
    assert records(output) == [("t", "a")]


def test_an_empty_output_is_no_prediction_of_anything(tmp_path):
    output = tmp_path / "p.jsonl"
    output.write_text("")
    assert stream(output, ("t", "a")) == StreamOutcome(1, 0)
    output.write_text("")
    assert stream(output, ("t", "a"), source=SOURCE | {"input": "3"}) == StreamOutcome(1, 0)


@pytest.mark.parametrize("line", [{"id": "a"}, {"task": "t"}, {"id": 1, "task": "t"}, {"id": "a", "task": None}])
def test_a_line_that_is_no_prediction_is_named(tmp_path, line):
    output = tmp_path / "p.jsonl"
    stream(output, ("t", "a"))
    with output.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    with pytest.raises(KdslError) as caught:
        stream(output, ("t", "b"))
    assert str(caught.value) == f"{output}, line 2: not a prediction; give another --output"
