"""Predictions are on disk as soon as they are made, and never made twice."""

import json
import os
from types import SimpleNamespace

import pytest

from kdsl.arbiter.state import PredictorState, RuleState
from kdsl.arbiter.stream import Mode, predict_stream
from kdsl.errors import KdslError
from kdsl.sample import Sample, Turn

STATE = PredictorState({"t": "1"}, None, {"t": {"r": RuleState("退款", "a", "proposed", False)}})
ACCEPTED = PredictorState({"t": "1"}, None, {"t": {"r": RuleState("退款", "a", "accepted", False)}})


class Judge:
    """Stands in for the models: remembers what it was asked, and is interrupted at one sample."""

    def __init__(self, interrupted_at=None, label=""):
        self.asked = []
        self.interrupted_at = interrupted_at
        self.label = label

    def __call__(self, group):
        decisions = []
        for sample in group:
            if sample.id == self.interrupted_at:
                raise KeyboardInterrupt
            self.asked.append(sample.id)
            record = {"id": sample.id, "task": "t", "label": self.label}
            decisions.append(SimpleNamespace(sample=sample, record=lambda record=record: record))
        return decisions


def predict(ids, output, judge=None, input="i", state=STATE, mode=Mode.resume, text=""):
    samples = (Sample(id_, "t", (Turn("user", text),)) for id_ in ids)
    return predict_stream(samples, judge or Judge(), output, input, state, 2, mode)


def ids(path):
    return [json.loads(line)["id"] for line in path.read_text("utf-8").splitlines()]


def labels(path):
    return [json.loads(line)["label"] for line in path.read_text("utf-8").splitlines()]


@pytest.fixture
def output(tmp_path):
    return tmp_path / "p.jsonl"


def test_an_interruption_keeps_what_is_done_and_the_next_run_goes_on(output):
    with pytest.raises(KeyboardInterrupt, match=r"2 predictions are in .*p\.jsonl; run again to go on"):
        predict("abcd", output, Judge("d"))
    again = Judge()
    outcome = predict("abcd", output, again)
    assert (outcome.predicted, outcome.predicted_before) == (2, 2)
    assert again.asked == ["c", "d"]
    assert ids(output) == list("abcd")


def test_a_torn_last_line_is_predicted_again(output):
    predict("abc", output)
    whole = output.read_bytes()
    output.write_bytes(whole[:-5])
    predict("abc", output)
    assert output.read_bytes() == whole


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"state": ACCEPTED}, "1 rule was accepted"),
        ({"input": "j", "ids": "abc"}, "1 sample was added to the input"),
        ({"input": "j", "ids": "b"}, "1 sample was removed from the input"),
        ({"input": "j", "text": "new"}, "2 samples were changed in the input"),
        ({"input": "j", "ids": "abc", "state": ACCEPTED}, "1 rule was accepted, 1 sample was added to the input"),
    ],
)
def test_what_has_changed_is_said_with_what_can_be_done_and_nothing_is_written(output, change, told):
    predict("ab", output)
    before = {path.name: path.read_bytes() for path in output.parent.iterdir()}
    with pytest.raises(KdslError) as caught:
        predict(**{"ids": "ab", "output": output, **change})
    assert str(caught.value) == (
        f"{output}: {told} since these predictions were made; predict everything anew with --again, or only what is "
        "not there yet with --append"
    )
    assert {path.name: path.read_bytes() for path in output.parent.iterdir()} == before


def test_an_input_that_was_written_anew_with_the_same_samples_is_the_same(output):
    predict("ab", output)
    assert predict("ba", output, input="j").predicted_before == 2


@pytest.mark.parametrize("mode", Mode)
def test_a_file_that_is_no_prediction_is_refused_and_stays(output, mode):
    output.write_text("my notes\n")
    with pytest.raises(KdslError, match=r"p\.jsonl: was not made by KDSL; give another --output"):
        predict("a", output, mode=mode)
    assert output.read_text() == "my notes\n"


def test_a_repeated_id_is_predicted_once_and_counted(output, caplog):
    predict("abaa", output)
    assert ids(output) == ["a", "b"]
    assert "2 samples have the id of an earlier one and were left out" in caplog.text


class TestAppending:
    def test_new_samples_are_predicted_and_the_others_stay(self, output):
        predict("ab", output, Judge(label="old"))
        outcome = predict("cab", output, Judge(label="new"), "j", mode=Mode.append)
        assert (outcome.predicted, outcome.predicted_before) == (1, 2)
        assert (ids(output), labels(output)) == (["a", "b", "c"], ["old", "old", "new"])
        assert predict("cab", output, input="j").predicted_before == 3

    def test_after_an_interruption_the_same_command_goes_on(self, output):
        predict("a", output)
        with pytest.raises(KeyboardInterrupt):
            predict("abcd", output, Judge("d"), "j", mode=Mode.append)
        outcome = predict("abcd", output, input="j", mode=Mode.append)
        assert (outcome.predicted, outcome.predicted_before) == (1, 3)
        assert ids(output) == list("abcd")

    def test_a_sample_that_has_changed_is_not_taken_for_the_one_predicted(self, output):
        predict("ab", output)
        before = output.read_bytes()
        with pytest.raises(KdslError) as caught:
            predict("abc", output, input="j", mode=Mode.append, text="new")
        assert str(caught.value) == (
            f"{output}: 2 samples have changed since they were predicted, the first being 'a'; predict everything "
            "anew with --again, or give another --output"
        )
        assert output.read_bytes() == before

    def test_what_has_changed_meanwhile_is_told_and_not_forgotten(self, output, caplog):
        predict("a", output)
        predict("ab", output, input="j", state=ACCEPTED, mode=Mode.append)
        assert caplog.messages == [
            f"{output}: 1 rule was accepted since predictions there were made, and these stay as they are; --again "
            "makes them anew"
        ]
        for state, told in ((ACCEPTED, "1 rule was accepted"), (STATE, "1 rule was set back to proposed")):
            with pytest.raises(KdslError, match=f"{told} since these predictions were made"):
                predict("ab", output, input="j", state=state)

    def test_without_predictions_it_begins_them(self, output):
        assert predict("ab", output, mode=Mode.append).predicted == 2


class TestPredictingAgain:
    def test_everything_is_made_anew_and_takes_the_place_of_what_was_there(self, output):
        predict("ab", output, Judge(label="old"))
        outcome = predict("bc", output, Judge(label="new"), "j", ACCEPTED, Mode.again)
        assert (outcome.predicted, outcome.predicted_before) == (2, 0)
        assert (ids(output), labels(output)) == (["b", "c"], ["new", "new"])
        assert predict("bc", output, input="j", state=ACCEPTED).predicted_before == 2
        assert {path.name for path in output.parent.iterdir()} == {"p.jsonl", "p.jsonl.meta.json"}

    def test_until_it_is_done_the_old_predictions_stay_and_the_same_command_goes_on(self, output):
        again = Judge(label="new")
        predict("abcd", output, Judge(label="old"))
        before = output.read_bytes()
        with pytest.raises(KeyboardInterrupt, match=r"2 predictions are in .*p\.jsonl\.again; run again to go on"):
            predict("abcd", output, Judge("d", "new"), state=ACCEPTED, mode=Mode.again)
        assert output.read_bytes() == before
        assert predict("abcd", output, again, state=ACCEPTED, mode=Mode.again).predicted_before == 2
        assert again.asked == ["c", "d"]
        assert labels(output) == ["new"] * 4

    @pytest.mark.parametrize("change", [{"state": STATE}, {"input": "j"}])
    def test_what_an_interrupted_run_made_of_something_else_is_not_used(self, output, change):
        again = Judge()
        predict("abcd", output)
        with pytest.raises(KeyboardInterrupt):
            predict("abcd", output, Judge("d"), state=ACCEPTED, mode=Mode.again)
        predict("abcd", output, again, mode=Mode.again, **{"state": ACCEPTED, **change})
        assert again.asked == list("abcd")

    def test_a_kill_between_predictions_and_their_notes_makes_the_next_run_ask(self, output, monkeypatch):
        predict("ab", output, Judge(label="old"))
        replace = os.replace

        def killed(source, target):
            if str(source).endswith("again.meta.json"):
                raise KeyboardInterrupt
            replace(source, target)

        monkeypatch.setattr("os.replace", killed)
        with pytest.raises(KeyboardInterrupt):
            predict("ab", output, Judge(label="new"), state=ACCEPTED, mode=Mode.again)
        monkeypatch.undo()
        assert labels(output) == ["new", "new"]
        with pytest.raises(KdslError, match="1 rule was accepted since"):
            predict("ab", output, state=ACCEPTED)
        assert predict("ab", output, state=ACCEPTED, mode=Mode.again).predicted == 2

    def test_a_link_stays_one(self, output):
        link = output.with_name("link.jsonl")
        link.symlink_to(output)
        predict("a", link)
        predict("ab", link, input="j", mode=Mode.again)
        assert link.is_symlink() and ids(output) == ["a", "b"]
