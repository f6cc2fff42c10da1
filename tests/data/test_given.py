"""Samples in memory: every form gives the same samples as in a file, and anything else is one sentence."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from kdsl.data.given import samples_given
from kdsl.errors import KdslError
from kdsl.sample import Label, Sample, Task, Turn

SHOP = Task("shop", (Label("refund"), Label("size")))
PAGES = Task("pages", (Label("cart"), Label("order")))


class Table:
    """What pandas and polars have in common."""

    def __init__(self, **columns):
        self._columns = columns
        self.columns = list(columns)

    def __getitem__(self, name):
        return self._columns[name]


def given(value, tasks=(SHOP,), **options):
    return samples_given(value, tasks, "X", **options)


def test_texts_records_and_samples_are_samples_numbered_from_1():
    turns = [{"role": "user", "text": "太小", "images": ["a.png"]}, {"role": "agent", "text": "好"}]
    own = Sample("s9", "shop", (Turn("user", "hello"),))
    found = given(["退款", {"text": "hi", "id": 7}, {"turns": turns, "label": "size"}, own])
    assert [sample.id for sample in found] == ["1", "7", "3", "s9"]
    assert found[0].turns == (Turn("user", "退款"),)
    assert found[2].turns == (Turn("user", "太小", ("a.png",)), Turn("agent", "好"))
    assert (found[2].images, found[2].label, found[3]) == (("a.png",), "size", own)
    assert {sample.task for sample in found} == {"shop"}


def test_records_of_other_forms_are_read_as_in_a_file():
    [sample] = given([{"messages": [{"role": "user", "content": "太小"}, {"role": "assistant", "content": "size"}]}])
    assert (sample.turns, sample.label) == ((Turn("user", "太小"),), "size")


def test_arrays_tuples_and_iterators_of_texts_will_do():
    assert [s.turns[0].text for s in given(np.array(["a", "b"]))] == ["a", "b"]
    assert len(given(("a", "b"))) == len(given(iter(["a", "b"]))) == 2
    assert given([]) == []


def test_a_table_has_a_record_in_each_row_and_may_have_other_columns():
    table = Table(
        text=["a", None, float("nan")],
        images=[None, ["p.png"], ("q.png", "r.png")],
        id=np.array([4, 5, 6]),
        price=[1.5, 2.5, 3.5],
    )
    found = given(table)
    assert [(s.id, s.images, len(s.turns)) for s in found] == [
        ("4", (), 1), ("5", ("p.png",), 0), ("6", ("q.png", "r.png"), 0),
    ]  # fmt: skip


class DataSet(Table):
    """What a `datasets.Dataset` says of its columns."""

    def __init__(self, features, **columns):
        super().__init__(**columns)
        self.column_names, self.features = self.columns, features
        del self.columns


@pytest.mark.parametrize("of_lists", [lambda label: SimpleNamespace(feature=label), lambda label: [label]])
def test_class_labels_of_a_data_set_are_their_names_alone_and_in_lists(of_lists):
    label, text = SimpleNamespace(names=["size", "refund"]), ["a", "b", "c"]
    one = DataSet({"text": SimpleNamespace(), "label": label}, text=text, label=[1, 0, -1])
    assert [sample.label for sample in given(one)] == ["refund", "size", None]
    several = DataSet({"text": SimpleNamespace(), "label": of_lists(label)}, text=text, label=[[0, 1], [], None])
    found = given(several, (replace(SHOP, multi=True),))
    assert [sample.labels for sample in found] == [("refund", "size"), (), None]


def test_pandas_and_its_ways_to_say_nothing():
    pandas = pytest.importorskip("pandas", reason="optional, KDSL never imports it")
    frame = pandas.DataFrame({"text": ["a", None], "label": ["size", pandas.NA], "id": [1, 2]})
    assert [(s.id, s.label, len(s.turns)) for s in given(frame)] == [("1", "size", 1), ("2", None, 0)]
    assert [s.turns[0].text for s in given(frame["text"].dropna())] == ["a"]
    with pytest.raises(KdslError, match=r"X, item 1: nothing tells which column .* there is 'label': name them"):
        given(frame[["label"]])


def test_of_several_tasks_a_record_says_which():
    found = given([{"text": "a", "task": "pages"}, Sample("1", "shop")], (SHOP, PAGES))
    assert [sample.task for sample in found] == ["pages", "shop"]


def test_a_sample_that_names_no_task_is_of_the_only_one():
    assert given([Sample("1", "samples")])[0].task == "shop"


def test_keys_can_be_passed_over():
    [sample] = given([{"text": "a", "label": 3, "task": "other"}], unread={"label", "task"})
    assert (sample.task, sample.label) == ("shop", None)


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("one text", "X is 'one text'; give a list of texts, of dicts"),
        ({"text": "a"}, "X is {'text': 'a'}; give a list of texts"),
        (None, "X is missing; give a list of texts"),
        (3.5, "X is 3.5; give a list of texts"),
        ([3.5], "X, item 1: 3.5 is no text, no dict like"),
        (["a", None], "X, item 2: missing is no text"),
        (np.zeros((2, 3)), "X is an array of shape (2, 3); give a list of texts"),
        ([{"text": 3}], "X, item 1: text is 3; it must be text in quotes"),
        ([{"text": "a", "colour": 1}], "X, item 1: unknown key 'colour'; a record has the keys audio, audios"),
        ([{"text": "a", "lable": "x"}], "X, item 1: the key 'lable' is not read; if it is the label, call"),
        ([{"label": "size"}], "X, item 1: nothing tells which column or key holds the text, the images or the sounds"),
        ([{"text": "a", "turns": []}], "X, item 1: it has both text and turns; keep one of the two"),
        ([{"turns": [{"role": "boss", "text": "a"}]}], "X, item 1: the role 'boss' is unknown"),
        ([{"text": "a", "task": "other"}], "X, item 1: the task 'other' is none of shop"),
        ([Sample("1", "other")], "X, item 1: the task 'other' is none of shop"),
        ([{"image": "../a.png"}], "X, item 1: an image of sample '1': "),
        (Table(), "X: the table has no column text, turns, images or audio; its columns are none"),
        (Table(text=[3]), "X, item 1: text is 3; it must be text in quotes"),
    ],
)  # fmt: skip
def test_anything_else_is_one_sentence(value, sentence):
    with pytest.raises(KdslError) as caught:
        given(value)
    assert str(caught.value).startswith(sentence)


def test_a_text_of_several_tasks_must_be_told_apart():
    with pytest.raises(
        KdslError, match='the project has 2 tasks and this sample does not say which; add "task": "shop"'
    ):
        given(["a"], (SHOP, PAGES))


def test_samples_without_content_are_told_once(caplog):
    given([{"text": " "}, {"text": ""}])
    assert [record.getMessage() for record in caplog.records] == [
        "X: 2 samples with no text, image or sound, the first in item 1, whose keys are 'text'"
    ]


@pytest.mark.parametrize(
    ("sample", "sentence"),
    [
        (Sample("1", "shop", "退款"), "X, item 1: turns is '退款'; it must be a tuple of kdsl.Turn"),
        (Sample("1", "shop", None), "turns is missing; it must be"),
        (Sample("1", "shop", ({"role": "user", "text": "退款"},)), "it must be a tuple of kdsl.Turn"),
        (Sample(4, "shop", (Turn("user", "退款"),)), "X, item 1: id is 4; it must be text"),
        (Sample("1", "shop", (Turn("user", None),)), "the text of turn 1 is missing; it must be text"),
        (Sample("1", "shop", (Turn("客服", "退款"),)), "the role of turn 1 is '客服'; it must be 'user' or 'agent'"),
        (Sample("1", "shop", (), "a.png"), "images is 'a.png'; it must be a tuple of file names"),
        (Sample("1", "shop", (), (5,)), "an image is 5; it must be text"),
        (Sample("\ud800", "shop", ()), "id is '\\ud800' with half a character, which no file can hold; remove it"),
        (Sample("1", "shop", (Turn("user", "退\udc00"),)), "the text of turn 1 is '退\\udc00' with half a character"),
    ],
)
def test_a_sample_that_a_program_filled_wrongly_is_one_sentence(sample, sentence):
    with pytest.raises(KdslError) as caught:
        given([sample])
    assert sentence in str(caught.value)


def test_a_table_with_two_columns_of_one_name_is_refused():
    pandas = pytest.importorskip("pandas")
    with pytest.raises(KdslError, match="X: the table has 2 columns called 'text'; keep one of them"):
        given(pandas.DataFrame([["退款", "太小"]], columns=["text", "text"]))


def test_what_has_no_order_and_keys_that_are_no_text_are_refused():
    with pytest.raises(KdslError, match="give a list of texts"):
        given({"退款", "太小"})
    with pytest.raises(KdslError, match="X, item 1: the key 1 is no text; a record has keys like 'text'"):
        given([{1: "退款"}])
