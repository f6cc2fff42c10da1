"""Parquet and Arrow files: cells as JSON has them, classes by their names, damage in one sentence."""

import builtins
import datetime
import decimal
import gzip
import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdsl.data.containers import file_values
from kdsl.errors import KdslError

pyarrow = pytest.importorskip("pyarrow")

RECORDS = [{"text": "钱退了吗", "label": "退款"}, {"text": "开发票", "label": None}]


def as_parquet(table) -> bytes:
    from pyarrow.parquet import write_table

    content = io.BytesIO()
    write_table(table, content)
    return content.getvalue()


def as_arrow(table, new=pyarrow.ipc.new_file) -> bytes:
    content = io.BytesIO()
    with new(content, table.schema) as writer:
        writer.write_table(table, max_chunksize=1)
    return content.getvalue()


def as_stream(table) -> bytes:
    return as_arrow(table, pyarrow.ipc.new_stream)


def with_features(table, **features):
    return table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})


FORMS = {"Parquet": as_parquet, "Arrow": as_arrow, "an Arrow stream": as_stream}


@pytest.fixture(scope="module")
def values(tmp_path_factory):
    def values(content: bytes) -> list:
        path = tmp_path_factory.getbasetemp() / "data.parquet"
        path.write_bytes(content)
        return list(file_values(path, []))

    return values


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_rows_are_objects_with_their_numbers(values, form, pack):
    found = values(pack(FORMS[form](pyarrow.Table.from_pylist(RECORDS))))
    assert found == [("row 1", "1", RECORDS[0]), ("row 2", "2", RECORDS[1])]


@pytest.mark.parametrize("form", FORMS)
def test_cells_are_as_json_has_them(values, form):
    table = pyarrow.table(
        {
            "day": [datetime.date(2024, 3, 5)],
            "time": [datetime.datetime(2024, 3, 5, 6, 7)],
            "price": [decimal.Decimal("1.50")],
            "missing": [float("nan")],
            "bytes": ["退款".encode()],
            "category": pyarrow.array(["x"]).dictionary_encode(),
            "turns": [[{"role": "user", "text": "a"}]],
            "image": [{"bytes": b"\x89PNG", "path": "a.png"}],
            "sound": [{"bytes": b"RIFF", "path": "a.wav"}],
        }
    )
    assert values(FORMS[form](table))[0].value == {
        "day": "2024-03-05",
        "time": "2024-03-05T06:07:00",
        "price": "1.50",
        "missing": None,
        "bytes": "退款",
        "category": "x",
        "turns": [{"role": "user", "text": "a"}],
        "image": {"bytes": b"\x89PNG", "path": "a.png"},
        "sound": {"bytes": b"RIFF", "path": "a.wav"},
    }


CLASS = {"names": ["发票", "退款"], "_type": "ClassLabel"}


class TestHuggingFace:
    def test_numbers_of_classes_are_their_names(self, values):
        table = with_features(pyarrow.table({"label": [1, 0, -1, None]}), label=CLASS)
        assert [each.value["label"] for each in values(as_parquet(table))] == ["退款", "发票", None, None]

    @pytest.mark.parametrize(
        "feature", [{"feature": CLASS, "_type": "Sequence"}, {"feature": CLASS, "_type": "List"}, [CLASS]]
    )
    def test_in_lists_too(self, values, feature):
        table = with_features(pyarrow.table({"labels": [[1, 0], [], None]}), labels=feature)
        assert [each.value["labels"] for each in values(as_stream(table))] == [["退款", "发票"], [], None]

    def test_and_in_objects(self, values):
        table = with_features(
            pyarrow.table({"answer": [{"label": 1, "by": "me"}]}),
            answer={"label": CLASS, "by": {"dtype": "string", "_type": "Value"}},
        )
        assert values(as_parquet(table))[0].value == {"answer": {"label": "退款", "by": "me"}}

    def test_a_number_without_a_name_is_told_with_its_row(self, values):
        table = with_features(pyarrow.table({"label": [0, 2]}), label=CLASS)
        with pytest.raises(KdslError, match="row 2: 'label' is class 2, but the file names 2 classes"):
            values(as_parquet(table))


@pytest.mark.parametrize("form", FORMS)
@given(data=st.data())
@settings(max_examples=40)
def test_damage_is_values_or_one_sentence(values, form, data):
    content = bytearray(FORMS[form](pyarrow.Table.from_pylist(RECORDS)))
    for _ in range(data.draw(st.integers(0, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        values(bytes(content[: data.draw(st.integers(1, len(content)))]))
    except KdslError as error:
        assert "data.parquet" in str(error) and "\n" not in str(error)


def test_where_pyarrow_is_missing_the_command_that_installs_it_is_told(values, monkeypatch):
    real = builtins.__import__

    def without(name, *rest, **more):
        if name == "pyarrow":
            raise ImportError(name)
        return real(name, *rest, **more)

    content = as_parquet(pyarrow.Table.from_pylist(RECORDS))
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(KdslError, match="Parquet and Arrow need pyarrow, which is not installed: pip install "):
        values(content)
