"""Predictions are on disk as soon as they are made, and never made twice."""

import json
from types import SimpleNamespace

import pytest

from kdsl.arbiter.stream import predict_stream
from kdsl.errors import KdslError
from kdsl.sample import Sample

SOURCE = {"checkpoint": "1", "input": "2"}


def samples(*ids):
    return iter([Sample(id_, "t") for id_ in ids])


class Judge:
    """Stands in for the models: remembers what it was asked, and is interrupted at one sample."""

    def __init__(self, interrupted_at=None):
        self.asked = []
        self.interrupted_at = interrupted_at

    def __call__(self, group):
        decisions = []
        for sample in group:
            if sample.id == self.interrupted_at:
                raise KeyboardInterrupt
            self.asked.append(sample.id)
            decisions.append(SimpleNamespace(record=lambda id_=sample.id: {"id": id_, "task": "t"}))
        return decisions


def ids(path):
    return [json.loads(line)["id"] for line in path.read_text("utf-8").splitlines()]


def test_an_interruption_keeps_what_is_done_and_the_next_run_goes_on(tmp_path):
    output = tmp_path / "p.jsonl"
    with pytest.raises(KeyboardInterrupt, match=r"2 predictions are in .*p\.jsonl; run again to go on"):
        predict_stream(samples(*"abcd"), Judge("d"), output, SOURCE, batch=2)
    again = Judge()
    outcome = predict_stream(samples(*"abcd"), again, output, SOURCE, batch=2)
    assert (outcome.predicted, outcome.predicted_before) == (2, 2)
    assert again.asked == ["c", "d"]
    assert ids(output) == list("abcd")


def test_a_torn_last_line_is_predicted_again(tmp_path):
    output = tmp_path / "p.jsonl"
    predict_stream(samples(*"abc"), Judge(), output, SOURCE, batch=2)
    whole = output.read_bytes()
    output.write_bytes(whole[:-5])
    predict_stream(samples(*"abc"), Judge(), output, SOURCE, batch=2)
    assert output.read_bytes() == whole


@pytest.mark.parametrize("what", ["checkpoint", "input"])
def test_predictions_of_another_source_are_refused_and_stay(tmp_path, what):
    output = tmp_path / "p.jsonl"
    predict_stream(samples("a"), Judge(), output, SOURCE, batch=2)
    before = output.read_bytes()
    with pytest.raises(
        KdslError, match=rf"p\.jsonl: was made with another {what}; give another --output, or delete it"
    ):
        predict_stream(samples("b"), Judge(), output, {**SOURCE, what: "3"}, batch=2)
    assert output.read_bytes() == before


def test_a_file_that_is_no_prediction_is_refused_and_stays(tmp_path):
    output = tmp_path / "p.jsonl"
    output.write_text("my notes\n")
    with pytest.raises(KdslError, match=r"p\.jsonl: was not made by KDSL; give another --output"):
        predict_stream(samples("a"), Judge(), output, SOURCE, batch=2)
    assert output.read_text() == "my notes\n"


def test_a_repeated_id_is_predicted_once_and_counted(tmp_path, caplog):
    predict_stream(samples("a", "b", "a", "a"), Judge(), tmp_path / "p.jsonl", SOURCE, batch=2)
    assert ids(tmp_path / "p.jsonl") == ["a", "b"]
    assert "2 samples have the id of an earlier one and were left out" in caplog.text
