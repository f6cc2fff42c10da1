"""The JSON forms that data files come in: each is read or told, with the line."""

import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdsl.data.values import json_values
from kdsl.errors import KdslError

A, B = {"id": "a", "text": '钱"{退'}, {"id": "b", "turns": [{"text": "]\\"}]}


@pytest.fixture(scope="module")
def values():
    """What a file holds, with or without the places."""

    def values(text: str, places: bool = False) -> list:
        lines = enumerate(io.StringIO(text, newline=""), start=1)
        found = list(json_values(Path("values.json"), lines))
        return [(each.place, each.number) for each in found] if places else [each.value for each in found]

    return values


a, b = json.dumps(A, ensure_ascii=False), json.dumps(B)
pretty = json.dumps(A, indent=2), json.dumps(B, indent=2)


@pytest.mark.parametrize(
    ("text", "places"),
    [
        (f"{a}\n{b}\n", [("line 1", "1"), ("line 2", "2")]),
        (f"\ufeff{a}\r\n\r\n  \r\n\ufeff{b}", [("line 1", "1"), ("line 4", "4")]),
        (f"{a}\r{b}\r", [("line 1", "1"), ("line 2", "2")]),
        (f"{a},\n{b},\n", [("line 1", "1"), ("line 2", "2")]),
        (f"\x1e{a}\n\x1e{b}\n", [("line 1", "1"), ("line 2", "2")]),
        (f"{a}{b}", [("line 1", "1"), ("line 1, object 2", "1.2")]),
        (f"{a}, {b}", [("line 1", "1"), ("line 1, object 2", "1.2")]),
        ("\n".join(pretty), [("line 1", "1"), ("line 5", "5")]),
        ("".join(pretty), [("line 1", "1"), ("line 4", "4")]),
        (",\n".join(pretty) + "\n", [("line 1", "1"), ("line 5", "5")]),
        (f"[{a}, {b}]", [("element 1", "1"), ("element 2", "2")]),
        (f"\n[\n{a},\n{b},\n]\n", [("element 1", "1"), ("element 2", "2")]),
        (f"[{a}]\n[{b}]", [("element 1", "1"), ("element 2", "2")]),
        (f"[{a}][{b}]", [("element 1", "1"), ("element 2", "2")]),
    ],
)
def test_two_objects_however_they_are_written(values, text, places):
    assert values(text) == [A, B]
    assert values(text, places=True) == places


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1}\n{"a": ', "line 2: not valid JSON (what begins here has no end)"),
        ('{"a": 1}\n{"a": \n{"a": 3}\n', "line 2: not valid JSON (what begins here has no end)"),
        ('{"a": 1}\n{"a": "x\n{"a": 3}\n', "line 2: not valid JSON (Unterminated string starting at)"),
        ('{\n "a": 1,\n}\n', "line 3, column 1: not valid JSON"),
        ('[{"a": 1},\n {"a":}]', "line 2, column 7: not valid JSON (Expecting value)"),
        ('\n\n[{"a": 1},\n {"a": 2}', "line 4, column 10: not valid JSON"),
        ('{"a": 1} and more', "line 1: not valid JSON"),
        ("text,label", "line 1: not valid JSON (Expecting value); samples are JSON, one JSON object"),
        ("- text: a", "line 1: not valid JSON"),
        ("{'a': 1}", "line 1: not valid JSON (Expecting property name"),
    ],
)  # fmt: skip
def test_what_is_not_json_is_told_by_its_line(values, text, message):
    with pytest.raises(KdslError) as error:
        values(text)
    assert f"values.json, {message}" in str(error.value)
    assert "\n" not in str(error.value)


json_objects = st.dictionaries(
    st.text(max_size=4),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
        max_leaves=8,
    ),
    max_size=4,
)


@given(
    st.lists(json_objects, min_size=1, max_size=5),
    st.sampled_from([None, 0, 2]),
    st.booleans(),
    st.sampled_from(["\n", "", ",\n", "\r\n", " , "]),
)
def test_objects_in_a_row_come_back_however_they_are_spaced(values, written, indent, ascii_only, between):
    texts = [json.dumps(each, indent=indent, ensure_ascii=ascii_only) for each in written]
    safe = [text.encode("utf-8", "replace").decode() for text in texts]  # no file holds half a character
    assert values(between.join(safe)) == [json.loads(text) for text in safe]


@given(st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from('{}[]",:\\\n\r 1a'), max_size=40))
def test_any_text_is_values_or_one_sentence_with_its_line(values, text):
    try:
        values(text)
    except KdslError as error:
        assert "values.json" in str(error)
        assert "\n" not in str(error)
