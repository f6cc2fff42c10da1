"""Tasks and records that come from a labelling tool are kept as they are, and get what was predicted."""

from typing import ClassVar

import pytest

from kdsl.data.conversion.item import Item, Predicted
from kdsl.data.conversion.records import argilla, asked, label_studio
from kdsl.sample import Label, Sample, Task, Turn

TASK = Task("intent", (Label("退款"), Label("发票")))
SAMPLE = Sample("7", "intent", (Turn("user", "钱退了没有"),), (), "发票")
SAID = Predicted("退款", 0.9, "发票", 0.1, "model", "退款", ("r-1",), "the model says 退款")


def annotation(label, from_name="topic", to_name="msg"):
    value = {"choices": [label]}
    return {"id": 5, "result": [{"type": "choices", "from_name": from_name, "to_name": to_name, "value": value}]}


class TestLabelStudio:
    ORIGINAL: ClassVar = {
        "id": 7, "data": {"msg": "钱退了没有", "shop": "a"}, "annotations": [annotation("发票")], "project": 3,
    }  # fmt: skip

    def test_a_task_keeps_all_that_it_had_and_gets_a_prediction_for_its_own_question(self):
        made = label_studio(Item(SAMPLE, TASK, self.ORIGINAL, SAID, asked(self.ORIGINAL)))
        kept = {key: value for key, value in made.items() if key not in ("predictions", "meta")}
        assert kept == self.ORIGINAL
        [prediction] = made["predictions"]
        assert prediction == {"model_version": "kdsl", "score": 0.9, "result": annotation("退款")["result"]}
        assert made["meta"]["kdsl"]["reason"] == "the model says 退款"

    def test_predictions_of_others_stay_and_those_of_before_are_replaced(self):
        other = {"model_version": "bert", "score": 0.5, "result": []}
        before = {"model_version": "kdsl", "score": 0.1, "result": []}
        original = {**self.ORIGINAL, "predictions": [other, before], "meta": {"by": "x"}}
        made = label_studio(Item(SAMPLE, TASK, original, SAID, ("topic", "msg")))
        assert [each["score"] for each in made["predictions"]] == [0.5, 0.9]
        assert made["meta"]["by"] == "x"
        assert original["predictions"] == [other, before]

    def test_without_a_prediction_a_task_is_as_it_was(self):
        assert label_studio(Item(SAMPLE, TASK, self.ORIGINAL)) == self.ORIGINAL

    @pytest.mark.parametrize(
        ("original", "names"),
        [
            (ORIGINAL, ("topic", "msg")),
            ({"data": {}, "annotations": []}, None),
            ({"data": {}, "predictions": [annotation("a", "q", "t")]}, ("q", "t")),
            ({"data": {}, "annotations": [{"result": [{"type": "labels", "from_name": "ner"}]}]}, None),
            ({"text": "x"}, None),
        ],
    )
    def test_what_the_question_is_called(self, original, names):
        assert asked(original) == names

    def test_where_nothing_tells_the_question_it_is_called_like_the_task(self):
        original = {"data": {"msg": "x"}, "annotations": []}
        [prediction] = label_studio(Item(SAMPLE, TASK, original, SAID))["predictions"]
        assert (prediction["result"][0]["from_name"], prediction["result"][0]["to_name"]) == ("intent", "msg")


class TestArgilla:
    ORIGINAL: ClassVar = {
        "id": "7", "fields": {"msg": "钱退了没有"}, "metadata": {"shop": "a"}, "suggestions": {},
        "responses": {"topic": [{"value": "发票", "user_id": "u"}]}, "vectors": {}, "_server_id": "s",
    }  # fmt: skip

    def test_a_record_keeps_all_that_it_had_and_gets_a_suggestion_for_its_own_question(self):
        made = argilla(Item(SAMPLE, TASK, self.ORIGINAL, SAID, asked(self.ORIGINAL)))
        assert made["suggestions"] == {"topic": {"value": "退款", "score": 0.9, "agent": "kdsl"}}
        assert made["metadata"]["shop"] == "a"
        assert made["metadata"]["kdsl_decided_by"] == "model"
        for key in ("id", "fields", "responses", "vectors", "_server_id"):
            assert made[key] == self.ORIGINAL[key]
        assert self.ORIGINAL["suggestions"] == {}

    def test_without_a_prediction_a_record_is_as_it_was(self):
        assert argilla(Item(SAMPLE, TASK, self.ORIGINAL)) == self.ORIGINAL


class TestPredicted:
    @pytest.mark.parametrize(
        ("record", "predicted"),
        [
            ({"label": "a"}, Predicted("a")),
            ({"label": "a", "probabilities": {"a": 0.7, "b": 0.1, "c": 0.2}}, Predicted("a", 0.7, "c", 0.2)),
            ({"label": None, "probabilities": {"a": 0.4, "b": 0.6}}, Predicted(None, 0.6, "b", 0.6)),
            ({"label": "a", "probabilities": {"a": 1}}, Predicted("a", 1.0)),
            ({"label": "a", "probabilities": "x", "decision": 3, "rules": "r"}, Predicted("a")),
        ],
    )
    def test_what_a_line_does_not_tell_stays_open(self, record, predicted):
        assert Predicted.of(record) == predicted
