"""What stands in the files of a stream of predictions, and what is said about files that are something else."""

import json
from functools import partial
from types import SimpleNamespace

import pytest

from kdsl.arbiter.state import PredictorState, RuleState
from kdsl.arbiter.stream import Mode, StreamOutcome, predict_stream
from kdsl.errors import KdslError
from kdsl.sample import Sample

STATE = PredictorState({"t": "1"}, None, {"t": {"r": RuleState("退款", "a", "accepted", False)}})


def decided(group):
    return [SimpleNamespace(sample=each, record=partial(record, each)) for each in group]


def record(sample):
    return {"id": sample.id, "task": sample.task}


def stream(output, *samples: tuple[str, str], decide=decided, input="2", batch=2, mode=Mode.resume) -> StreamOutcome:
    given = iter([Sample(id_, task) for task, id_ in samples])
    return predict_stream(given, decide, output, input, STATE, batch, mode)


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


def test_a_record_has_the_fingerprint_of_its_sample(tmp_path):
    stream(tmp_path / "p.jsonl", ("t", "a"))
    [line] = (tmp_path / "p.jsonl").read_text("utf-8").splitlines()
    assert json.loads(line) == {"id": "a", "task": "t", "fingerprint": Sample("a", "t").fingerprint}


def test_what_predictions_were_made_of_stands_beside_the_output(tmp_path):
    stream(tmp_path / "p.jsonl", ("t", "a"))
    assert json.loads((tmp_path / "p.jsonl.meta.json").read_text("utf-8")) == {
        "input": "2",
        "states": [
            {
                "trained": {"t": "1"},
                "recorded": None,
                "rules": {"t": {"r": {"label": "退款", "when": "a", "status": "accepted", "stale": False}}},
            }
        ],
    }


@pytest.mark.parametrize("known", [{"checkpoint": "1", "input": "2"}, [1, 2], {"input": "2", "states": [{}]}])
def test_notes_that_are_something_else_are_named_and_the_output_stays(tmp_path, known):
    output, meta = tmp_path / "p.jsonl", tmp_path / "p.jsonl.meta.json"
    stream(output, ("t", "a"))
    meta.write_text(json.dumps(known), "utf-8")
    with pytest.raises(KdslError) as caught:
        stream(output, ("t", "b"))
    assert str(caught.value).startswith(f"{meta}: ")
    assert str(caught.value).endswith("; predict everything anew with --again, or give another --output")
    assert records(output) == [("t", "a")]


@pytest.mark.parametrize("known", [{"checkpoint": "1", "input": "2"}, [1, 2]])
def test_predictions_whose_notes_nobody_can_read_can_be_made_anew(tmp_path, known):
    output, meta = tmp_path / "p.jsonl", tmp_path / "p.jsonl.meta.json"
    stream(output, ("t", "a"))
    meta.write_text(json.dumps(known), "utf-8")
    stream(output, ("t", "b"), mode=Mode.again)
    assert records(output) == [("t", "b")]
    assert json.loads(meta.read_text("utf-8"))["states"]


def test_what_is_wrong_with_the_first_batch_is_said_before_anything_is_written(tmp_path):
    def given():
        yield Sample("a", "t")
        raise KdslError("line 2 is no sample")

    with pytest.raises(KdslError, match="line 2"):
        predict_stream(given(), decided, tmp_path / "p.jsonl", "2", STATE, 2)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_output_is_no_prediction_of_anything(tmp_path):
    output = tmp_path / "p.jsonl"
    output.write_text("")
    assert stream(output, ("t", "a")) == StreamOutcome(1, 0)
    output.write_text("")
    assert stream(output, ("t", "a"), input="3") == StreamOutcome(1, 0)


@pytest.mark.parametrize(
    "line",
    [
        {"id": "a", "fingerprint": "f"},
        {"task": "t", "fingerprint": "f"},
        {"id": 1, "task": "t", "fingerprint": "f"},
        {"id": "a", "task": None, "fingerprint": "f"},
        {"id": "a", "task": "t"},
    ],
)
def test_a_line_that_is_no_prediction_is_named(tmp_path, line):
    output = tmp_path / "p.jsonl"
    stream(output, ("t", "a"))
    with output.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    with pytest.raises(KdslError) as caught:
        stream(output, ("t", "b"))
    assert str(caught.value) == f"{output}, line 2: not a prediction that can be added to; give another --output"
