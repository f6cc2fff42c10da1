"""A file that is one JSON object: the samples in it, however they are laid out, or the one that it is."""

import json

import pytest

from kdsl.data.containers import file_values
from kdsl.errors import KdslError

RECORDS = [{"text": "钱退了吗", "label": "退款"}, {"text": "开发票", "label": None}]


@pytest.fixture
def read(tmp_path):
    def read(value) -> list:
        path = tmp_path / "data.json"
        path.write_text(value if isinstance(value, str) else json.dumps(value, indent=1), encoding="utf-8")
        return [each.value for each in file_values(path, [])]

    return read


@pytest.mark.parametrize(
    "value",
    [
        {"data": RECORDS},
        {"version": 1, "whatever": RECORDS, "authors": ["a"]},
        {"columns": ["text", "label"], "data": [["钱退了吗", "退款"], ["开发票", None]], "index": [0, 1]},
        {"text": ["钱退了吗", "开发票"], "label": ["退款", None]},
        '{"text": ["钱退了吗", "开发票"], "label": ["退款", NaN]}',
        '[{"text": "钱退了吗", "label": "退款"}, {"text": "开发票", "label": NaN}]',
    ],
)
def test_the_same_records_however_they_are_laid_out(read, value):
    assert read(value) == RECORDS


@pytest.mark.parametrize(
    "value",
    [
        {"text": {"q1": "钱退了吗", "q2": "开发票"}, "label": {"q1": "退款", "q2": None}},
        {"q1": RECORDS[0], "q2": RECORDS[1]},
    ],
)
def test_rows_that_have_names_keep_them_as_ids(read, value):
    assert read(value) == [{"id": "q1", **RECORDS[0]}, {"id": "q2", **RECORDS[1]}]


@pytest.mark.parametrize(
    "value",
    [
        {"text": "a", "turns": [{"text": "b"}]},
        {"messages": [{"role": "user", "content": "a"}]},
        {"dialog": [{"speaker": "user", "utterance": "a"}], "intent": "x"},
        {"id": 1, "data": {"text": "a"}, "annotations": [{"result": []}]},
        {"images": ["a.jpg", "b.jpg"]},
    ],
)
def test_an_object_that_is_a_sample_stays_one(read, value):
    assert read(value) == [value]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            {"train": RECORDS, "test": RECORDS},
            "lists objects under 'train', 'test'; give a file for each, or one list",
        ),
        (
            {"text": ["a", "b"], "label": ["x"]},
            "the columns 'text' and 'label' have 2 and 1 cells; they must be as long",
        ),
        ({"columns": ["text", "label"], "data": [["a", "b"], ["c"]]}, "row 2 of 'data': is not a list of 2 cells"),
    ],
)
def test_what_is_open_or_uneven_is_told(read, value, message):
    with pytest.raises(KdslError, match="data") as error:
        read(value)
    assert message in str(error.value)
