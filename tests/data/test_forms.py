"""Records as labelling tools, trainers and spreadsheets write them: each is the same samples."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdsl.data.columns import Columns
from kdsl.data.forms import HEAD, Reading
from kdsl.data.notes import Notes
from kdsl.data.readers import read_samples
from kdsl.data.record import SEVERAL_LABELS
from kdsl.errors import KdslError
from kdsl.sample import Label, Sample, Task, Turn

TASK = Task("intent", (Label("退款"), Label("尺码"), Label("发票")))
SAID = [("钱到了吗", "退款"), ("偏大吗", "尺码"), ("能开票吗", "发票")]


@pytest.fixture
def read(write):
    """The samples of records, and what is noted of them."""

    def read(*records: Any, tasks=(TASK,), reading=None) -> tuple[list[Sample], Notes]:
        notes = Notes()
        lines = "\n".join(json.dumps(record, ensure_ascii=False) for record in records)
        return read_samples(write("data.jsonl", lines), tasks, notes, reading or Reading()), notes

    return read


def texts(samples: list[Sample]) -> list[tuple[str, str | None]]:
    return [("\n".join(turn.text for turn in sample.turns), sample.label) for sample in samples]


def choice(label: str, name: str = "intent", **more: Any) -> dict[str, Any]:
    result = {"from_name": name, "to_name": "text", "type": "choices", "value": {"choices": [label]}}
    return {"id": 1, "was_cancelled": False, "result": [result], **more}


FORMS: dict[str, Any] = {
    "Label Studio": lambda n, text, label: {"id": n, "data": {"text": text}, "annotations": [choice(label)]},
    "Label Studio, other names": lambda n, text, label: {
        "id": n, "inner_id": n, "data": {"sku": n, "review": text}, "annotations": [choice(label, "thema")],
        "created_at": "2026-01-01", "predictions": [],
    },
    "Label Studio before annotations": lambda n, text, label: {
        "id": n, "data": {"text": text}, "completions": [choice(label)]},
    "Label Studio, a taxonomy": lambda n, text, label: {"id": n, "data": {"text": text}, "annotations": [
        {"result": [{"type": "taxonomy", "from_name": "t", "value": {"taxonomy": [["售后", label]]}}]}]},
    "JSON_MIN": lambda n, text, label: {
        "id": n, "text": text, "intent": label, "annotator": 1, "annotation_id": n, "lead_time": 2.5},
    "JSON_MIN, choices": lambda n, text, label: {
        "id": n, "text": text, "x": {"choices": [label]}, "annotator": 1, "annotation_id": n, "lead_time": 2.5},
    "Argilla": lambda n, text, label: {
        "id": n, "fields": {"text": text}, "metadata": {"day": n}, "status": "completed",
        "responses": {"intent": [{"value": label, "user_id": "u", "status": "submitted"}]}},
    "Argilla REST": lambda n, text, label: {"id": n, "fields": {"text": text}, "responses": [
        {"status": "submitted", "values": {"intent": {"value": label}}}]},
    "Argilla data set": lambda n, text, label: {"id": n, "text": text, "_server_id": "s", "status": "completed",
        "intent.responses": [label], "intent.responses.users": ["u"], "intent.responses.status": ["submitted"],
        "intent.suggestion": "发票", "intent.suggestion.score": 0.9},
    "Argilla text classification": lambda n, text, label: {
        "id": n, "inputs": {"text": text}, "prediction": [["发票", 1]],
        "annotation": label, "annotation_agent": "a", "multi_label": False, "status": "Validated"},
    "Prodigy, choices": lambda n, text, label: {
        "text": text, "options": [{"id": each, "text": each} for _, each in SAID],
        "accept": [label], "answer": "accept", "_input_hash": n, "_task_hash": n},
    "Prodigy, numbered options": lambda n, text, label: {"text": text, "answer": "accept", "accept": [n % 3],
        "options": [{"id": number, "text": each} for number, (_, each) in enumerate(SAID)]},
    "Prodigy, one label": lambda n, text, label: {"text": text, "label": label, "answer": "accept", "_input_hash": n},
    "doccano": lambda n, text, label: {"id": n, "text": text, "label": [label], "Comments": []},
    "doccano, data": lambda n, text, label: {"id": n, "data": text, "label": [label], "Comments": []},
    "spaCy": lambda n, text, label: {"text": text, "cats": {each: float(each == label) for _, each in SAID}},
    "Alpaca": lambda n, text, label: {"instruction": "判断用户意图", "input": text, "output": label},
    "Alpaca that names the labels": lambda n, text, label: {
        "instruction": "意图是退款、尺码还是发票？", "input": text, "output": label, "system": "你是客服"},
    "Alpaca without input": lambda n, text, label: {"instruction": text, "input": "", "output": label},
    "messages": lambda n, text, label: {"messages": [
        {"role": "user", "content": [{"type": "text", "text": text}]}, {"role": "assistant", "content": label}]},
    "a table": lambda n, text, label: {"编号": f"n{n}", "用户问题": text, "意图": label},
    "a table, names that say nothing": lambda n, text, label: {"a": text, "b": label},
    "objects in objects": lambda n, text, label: {"message": {"content": text}, "meta": {"gold": label, "lang": "zh"}},
    "misnamed": lambda n, text, label: {"id": n, "Text": text, "Label": label},
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_each_form_is_the_same_samples(read, form):
    samples, _ = read(*(FORMS[form](n, *said) for n, said in enumerate(SAID)))
    assert texts(samples) == SAID


@pytest.mark.parametrize("form", FORMS)
def test_nothing_but_names_and_values_is_needed_where_no_task_is_known(read, form):
    samples, _ = read(*(FORMS[form](n, *said) for n, said in enumerate(3 * SAID)), tasks=())
    assert texts(samples) == 3 * SAID


class TestAnnotators:
    def test_most_of_them_decide_and_who_is_even_decides_nothing(self, read):
        def record(*labels):
            return {"data": {"text": "甲"}, "annotations": [choice(label) for label in labels]}

        samples, notes = read(record("退款", "退款"), record("退款", "尺码", "退款"), record("退款", "尺码"))
        assert [sample.label for sample in samples] == ["退款", "退款", None]
        assert {what: noted.first for what, noted in notes.left_out.items()} == {
            "samples whose annotators disagree: the label of most of them is taken": "line 2",
            "samples whose annotators disagree, taken as unlabelled": "line 3",
        }

    def test_cancelled_annotations_do_not_count_and_a_ground_truth_alone_does(self, read):
        cancelled = {"data": {"text": "甲"}, "annotations": [choice("退款"), choice("尺码", was_cancelled=True)]}
        truth = {"data": {"text": "乙"}, "annotations": [choice("退款"), choice("尺码", ground_truth=True)]}
        samples, notes = read(cancelled, truth)
        assert [sample.label for sample in samples] == ["退款", "尺码"]
        assert {*notes.left_out} == {"samples with cancelled annotations, which were left out"}

    def test_discarded_responses_do_not_count(self, read):
        def record(*states):
            given = [{"value": label, "status": status} for label, status in states]
            return {"fields": {"text": "甲"}, "responses": {"q": given}}

        samples, notes = read(record(("退款", "discarded"), ("尺码", "submitted")), record(("退款", "draft")))
        assert [sample.label for sample in samples] == ["尺码", None]
        assert notes.left_out["samples with discarded or unfinished responses, which were left out"].count == 2

    @pytest.mark.parametrize("answer", ["reject", "ignore"])
    def test_what_was_not_accepted_is_no_label(self, read, answer):
        samples, notes = read(
            {"text": "甲", "label": "退款", "answer": "accept"}, {"text": "乙", "label": "退款", "answer": answer}
        )
        assert [sample.label for sample in samples] == ["退款", None]
        assert {*notes.left_out} == {f"samples answered with {answer!r}, taken as unlabelled"}

    def test_predictions_and_suggestions_are_no_labels(self, read):
        samples, notes = read(
            {"data": {"text": "甲"}, "annotations": [], "predictions": [choice("退款")]},
            {"fields": {"text": "乙"}, "suggestions": {"q": {"value": "退款"}}},
        )
        assert [sample.label for sample in samples] == [None, None]
        assert {*notes.left_out} == {
            "samples with predictions only, which are no labels",
            "samples with suggestions only, which are no labels",
        }

    def test_of_several_questions_the_one_with_the_labels_is_taken_or_the_one_that_is_said(self, read):
        def record(intent, mood):
            results = choice(mood, "mood")["result"] + choice(intent, "what")["result"]
            return {"data": {"text": "甲"}, "annotations": [{"result": results}]}

        records = [record("退款", "好"), record("尺码", "坏")]
        assert [sample.label for sample in read(*records)[0]] == ["退款", "尺码"]
        said, _ = read(*records, tasks=(), reading=Reading(Columns(label="mood")))
        assert [sample.label for sample in said] == ["好", "坏"]

    def test_several_labels_are_one_too_many(self, read):
        [sample], notes = read({"text": "甲", "label": ["退款", "尺码"], "Comments": []})
        assert sample.label is None
        assert {*notes.left_out} == {SEVERAL_LABELS}

    def test_marked_words_are_told(self, read):
        with pytest.raises(KdslError, match=r"line 1: label is .*, which marks words; KDSL classifies whole texts"):
            read({"text": "甲", "label": [[0, 1, "退款"]], "Comments": []})

    def test_other_results_are_counted(self, read):
        span = {"type": "labels", "from_name": "x", "value": {"start": 0, "end": 1, "labels": ["a"]}}
        _, notes = read({"data": {"text": "甲"}, "annotations": [{"result": [span, *choice("退款")["result"]]}]})
        assert {*notes.left_out} == {"results of the type 'labels' left out"}


class TestDialogues:
    @pytest.mark.parametrize(
        "turns",
        [
            [{"speaker": "customer", "utterance": "甲"}, {"speaker": "seller", "utterance": "乙"}],
            [{"from": "human", "value": "甲"}, {"from": "gpt", "value": "乙"}],
            [{"role": "user", "content": [{"type": "text", "content": "甲"}]}, {"role": "agent", "content": "乙"}],
            '[{"role": "user", "text": "甲"}, {"role": "agent", "text": "乙"}]',
            "用户：甲\n客服：乙",
            "User: 甲\nAgent: 乙",
            ["甲", "乙"],
        ],
    )
    def test_turns_come_in_many_ways(self, read, turns):
        [sample], _ = read({"对话": turns, "label": "退款"})
        assert [(turn.role, turn.text) for turn in sample.turns] == [("user", "甲"), ("agent", "乙")]

    def test_a_cell_of_brackets_without_end_is_a_text(self, read):
        deep = "[" * 100_000
        [sample], _ = read({"对话": deep, "label": "退款"})
        assert sample.turns[0].text == deep

    def test_of_names_the_first_is_the_user_and_prompts_and_tools_say_nothing(self, read):
        said = [("system", "分类"), ("小王", "甲"), ("tool", "{}"), ("阿里", "乙"), ("小王", "丙")]
        [sample], notes = read({"dialogue": [{"author": who, "text": text} for who, text in said]})
        assert [(turn.role, turn.text) for turn in sample.turns] == [("user", "甲"), ("agent", "乙"), ("user", "丙")]
        assert {*notes.left_out} == {
            "dialogues with system messages or calls of tools, which were left out",
            "dialogues whose speakers are called by name: the first is taken for the user",
        }

    def test_fusionbrain(self, read):
        parts = [{"type": "image", "content": "a.png"}, {"type": "text", "content": "甲"}]
        [sample], notes = read([[parts, [{"type": "audio", "content": "a.wav"}, {"type": "text", "content": "乙"}]]])
        assert sample.turns == (Turn("user", "甲", ("a.png",)), Turn("user", "乙", (), ("a.wav",)))
        assert (sample.images, sample.audio, {*notes.left_out}) == (("a.png",), ("a.wav",), set())

    def test_an_instruction_with_images(self, read):
        [sample], _ = read({"instruction": "看<image>这<image>个", "output": "退款", "images": ["a.png"]})
        assert (sample.turns[0].text, sample.images) == ("看这<image>个", ("a.png",))

    def test_a_history_of_instructions(self, read):
        [sample], _ = read({"instruction": "丙", "input": "", "output": "退款", "history": [["甲", "乙"]]})
        assert [(turn.role, turn.text) for turn in sample.turns] == [("user", "甲"), ("agent", "乙"), ("user", "丙")]


class TestColumns:
    ROWS = (
        {"sku": "1", "title": "杯子", "description": "加厚", "photo": "a.png", "class": "退款", "price": 3},
        {"sku": "2", "title": "衣服", "description": "", "photo": "b.png;c.png", "class": "尺码", "price": 4},
    )

    def test_names_and_values_tell_what_is_what_and_it_is_said(self, read, caplog):
        samples, notes = read(*self.ROWS)
        assert texts(samples) == [("杯子\n加厚", "退款"), ("衣服", "尺码")]
        assert [(sample.id, sample.images) for sample in samples] == [("1", ("a.png",)), ("2", ("b.png", "c.png"))]
        assert notes.unused == {"price": 2}
        assert (
            "took 'title' and 'description' as the text, 'photo' as the images, 'class' as the label, 'sku' as the id;"
            in caplog.text
        )

    def test_what_is_said_counts_and_needs_no_telling(self, read, caplog):
        said = Columns(("description",), label="title", images=("photo",), id="sku")
        samples, _ = read(*self.ROWS, tasks=(), reading=Reading(said))
        assert texts(samples) == [("加厚", "杯子"), ("", "衣服")]
        assert "took" not in caplog.text

    def test_labels_have_other_names_in_the_file(self, read):
        samples, _ = read({"text": "a", "label": 0}, {"text": "b", "label": "size"}, {"text": "c", "label": "发票"},
                          reading=Reading(labels={"0": "退款", "size": "尺码"}))  # fmt: skip
        assert [sample.label for sample in samples] == ["退款", "尺码", "发票"]

    def test_a_number_that_no_label_is_called_is_told(self, read):
        with pytest.raises(KdslError, match=r"line 1: label is 7, .*; say in data.labels which it is"):
            read({"text": "a", "label": 7})

    def test_nothing_that_could_be_a_text_is_told_with_what_there_is(self, read):
        with pytest.raises(KdslError, match=r"line 1: nothing tells which column .*; there is 'level', 'label': name"):
            read({"level": 3, "label": "退款"})

    def test_a_column_of_texts_whose_first_rows_are_empty_is_still_one(self, read):
        rows = [{"c": "", "d": "退款"} for _ in range(5)] + [{"c": "很长的一句话", "d": "尺码"}]
        samples, notes = read(*rows)
        assert texts(samples)[-1] == ("很长的一句话", "尺码")
        assert notes.left_out["samples with no text, image or sound"].count == 5

    def test_records_behind_the_first_ones_are_read_alike(self, read):
        samples, _ = read(*({"q": f"第{n}句", "y": "退款"} for n in range(HEAD + 3)))
        assert texts(samples)[-1] == (f"第{HEAD + 2}句", "退款")

    def test_forms_may_be_mixed(self, read):
        samples, _ = read(
            *(FORMS[form](n, *SAID[n % 3]) for n, form in enumerate(("doccano", "Label Studio", "spaCy")))
        )
        assert texts(samples) == SAID


KEYS = (  # noqa: SIM905
    "accept annotation annotations annotator annotation_id answer cats choices Comments content data fields history "
    "id images inputs input instruction label lead_time options output prediction predictions q.responses "
    "q.responses.status responses result status suggestions taxonomy text turns type value values was_cancelled x"
).split()
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["accept", "退款", "a.png", "", "submitted"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=12,
)
records_of_tools = st.lists(
    st.dictionaries(st.sampled_from(KEYS), json_values, min_size=1, max_size=6), min_size=1, max_size=4
)


@given(records_of_tools)
def test_whatever_a_tool_writes_it_is_samples_or_one_sentence(tmp_path_factory, records):
    path = tmp_path_factory.getbasetemp() / "tool.json"
    path.write_text(json.dumps(records), "utf-8")
    try:
        read_samples(path, [TASK])
    except KdslError as error:
        assert str(error).startswith(f"{path}") and "\n" not in str(error)
