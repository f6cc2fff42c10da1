"""Columns of nested rows are those of pyarrow's own, slower conversion."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdsl.distributed.columns import batch_of

_WORDS = st.none() | st.text("退款 a", max_size=3)
_SHARES = st.none() | st.dictionaries(st.text("退款ab", max_size=2), st.none() | st.floats(0, 1), max_size=3)
_PLACES = st.none() | st.lists(st.none() | st.integers(-(2**40), 2**40), max_size=3)
_HITS = st.none() | st.lists(
    st.none() | st.fixed_dictionaries({}, optional={"rule": _WORDS, "span": _PLACES, "said": _SHARES}), max_size=3
)
_INNER = st.none() | st.fixed_dictionaries({}, optional={"label": _WORDS, "shares": _SHARES})
_ROWS = st.fixed_dictionaries({}, optional={"id": _WORDS, "shares": _SHARES, "model": _INNER, "rules": _HITS})

_PROBABILITIES = pa.map_(pa.string(), pa.float64())
_HIT = pa.struct({"rule": pa.string(), "span": pa.list_(pa.int64()), "said": _PROBABILITIES})
_MODEL = pa.struct({"label": pa.string(), "shares": _PROBABILITIES})
_SCHEMA = pa.schema({"id": pa.string(), "shares": _PROBABILITIES, "model": _MODEL, "rules": pa.list_(_HIT)})


@given(st.lists(_ROWS, max_size=4))
def test_columns_are_those_of_pyarrow(rows):
    made = batch_of(rows, _SCHEMA)
    made.validate(full=True)
    assert made.schema == _SCHEMA
    assert made.to_pylist() == pa.RecordBatch.from_pylist(_as_pairs(rows), schema=_SCHEMA).to_pylist()


def test_a_missing_cell_is_null_and_an_empty_one_is_empty():
    made = batch_of([{"shares": {}, "rules": []}, {"shares": None}, {"shares": {"退": 0.5}}], _SCHEMA)
    assert made.column("shares").to_pylist() == [[], None, [("退", 0.5)]]
    assert made.column("rules").to_pylist() == [[], None, None]
    assert made.column("model").null_count == 3


def test_a_value_of_another_type_is_refused():
    with pytest.raises(pa.ArrowInvalid):
        batch_of([{"rules": [{"span": ["two"]}]}], _SCHEMA)


def _as_pairs(value, inside_map=("shares", "said")):
    """The rows as pyarrow wants them, a map being a list of pairs."""
    if isinstance(value, list):
        return [_as_pairs(each) for each in value]
    if isinstance(value, dict):
        return {
            key: list(each.items()) if key in inside_map and each is not None else _as_pairs(each)
            for key, each in value.items()
        }
    return value
