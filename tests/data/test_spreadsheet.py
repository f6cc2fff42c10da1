from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdsl.data.spreadsheet import active, garbled, inert, read_rows, replaced
from kdsl.errors import KdslError

TABLE = Path("table.csv")


@given(st.text())
def test_a_cell_comes_back_as_it_went_out(cell):
    assert active(inert(cell)) == cell
    assert not inert(cell).startswith(("=", "+", "-", "@", "\t", "\r"))


@pytest.mark.parametrize(
    "text", ["a,b\n1,2\n", "a;b\r\n1;2\r\n", "a\tb\r1\t2\r", '"a","b"\n"1","2"\n\n,\n', "a,b,,\n1,2,,\n"]
)
def test_delimiters_line_ends_and_empty_rows_and_columns_change_nothing(text):
    assert list(read_rows(TABLE, text, ["a", "b"])) == [(2, {"a": "1", "b": "2"})]


def test_a_row_is_named_by_the_line_it_begins_in():
    rows = list(read_rows(TABLE, 'a,b\n1,"x\ny"\n2,z\n', ["a"]))
    assert [line for line, _ in rows] == [2, 4]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "line 1: no column 'a'"),
        ("a,a\n1,2\n", "line 1: has two columns 'a'"),
        ("a,b\n1\n", "line 2: has 1 cells, the header 2"),
        ("a,b\n1,2,3\n", "line 2: has 3 cells, the header 2"),
        ("a,b\n1,“x,y”\n", "line 2: has 3 cells"),
        (f"a,b\n1,{'x' * 200_000}\n", "line 2: not a row of a table"),
    ],
)
def test_what_is_no_table_is_refused_with_its_line(text, sentence):
    with pytest.raises(KdslError, match=f"table.csv, {sentence}"):
        list(read_rows(TABLE, text, ["a"]))


@pytest.mark.parametrize(
    ("known", "cell", "expected"),
    [
        ("发票", "??", True),
        ("发票", "发?", True),
        ("a😊b", "a??b", True),
        ("a😊b", "a?b", True),
        ("发票", "发票", False),
        ("发票", "why?", False),
        ("ab", "?b", False),
    ],
)
def test_question_marks_for_characters_are_known(known, cell, expected):
    assert replaced(known, cell) is expected


@pytest.mark.parametrize(
    ("known", "cell"),
    [("Größe", "Größe".encode().decode("cp1252")), ("发票", "发票".encode("gbk").decode("cp1252")), ("发票", "??")],
)
def test_a_text_read_in_a_wrong_encoding_is_known(known, cell):
    assert garbled(known, cell) and not garbled(known, known) and not garbled(known, "另一个")
