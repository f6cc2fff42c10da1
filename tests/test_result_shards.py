"""Records read back from results over shards are those that became its rows."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_decisions import LABELS, decision, several

from kdsl.distributed.columns import batch_of
from kdsl.distributed.schemas import (
    answer_schema,
    distilled_schema,
    page_schema,
    prediction_rows,
    prediction_schema,
    transcript_schema,
)
from kdsl.errors import KdslError
from kdsl.result_shards import records_at
from kdsl.sample import Label, Task

TASK = Task("shop", tuple(map(Label, LABELS)))
MANY = Task("many", tuple(map(Label, LABELS)), multi=True)


def written(path: Path, rows: list[dict], schema: pa.Schema) -> Path:
    pq.write_table(pa.Table.from_batches([batch_of(rows, schema)]), path)
    return path


def read(path: Path) -> list[dict]:
    return [record for _, record in records_at(path)]


text = st.text(st.characters(codec="utf-8"), max_size=5)
number = st.floats(allow_nan=False, allow_infinity=False)
count = st.integers(0, 2**40)
shares = st.dictionaries(text, number, max_size=3)


def objects(needed: dict, optional: dict) -> st.SearchStrategy[dict]:
    return st.fixed_dictionaries(needed, optional=optional)


EVIDENCE = objects(
    {"condition": count, "field": text},
    {
        "negated": st.just(True), "term": text, "turn": count, "image": text, "line": count,
        "box": st.lists(number, min_size=4, max_size=4), "audio": text, "seconds": st.lists(number, max_size=2),
        "span": st.lists(count, max_size=2), "absent": st.lists(text, max_size=2), "similarity": number,
        "wording": text, "at": number, "comparison": text, "value": number, "kind": text, "question": text,
        "probability": number,
    },
)  # fmt: skip
RULES = st.lists(
    objects({"id": text, "label": text, "reliability": number, "evidence": st.lists(EVIDENCE, max_size=2)}, {}),
    max_size=2,
)
COST = objects({"calls": count, "tokens": count, "dropped": count}, {})


def predictions(label: st.SearchStrategy, handed_over: st.SearchStrategy, more: dict) -> st.SearchStrategy[dict]:
    """`label` is what model and rules may say, `handed_over` what stands there where a person decides."""
    return objects(
        {
            "id": text, "task": text, "label": label | handed_over, "probabilities": shares,
            "model": objects({"label": label, "probabilities": shares}, {"reason": text, "probability": number}),
            "rules": RULES,
            "decision": objects(
                {"by": text, "label_without_rules": label, "reason": text},
                {"label_if_decided": text, "label_if_belonging": text},
            ),
            "fingerprint": text, **more,
        },
        {"cost": COST},
    )  # fmt: skip


OF_LABEL = objects(
    {
        "holds": st.booleans(), "probability": number, "threshold": number, "by": text,
        "holds_without_rules": st.booleans(), "reason": text,
    },
    {},
)  # fmt: skip
ONE = predictions(text, st.none(), {})
SEVERAL = predictions(
    st.lists(text, max_size=2), st.nothing(), {"decisions": st.dictionaries(text, OF_LABEL, max_size=2)}
)


@settings(max_examples=60, deadline=None)
@given(st.lists(ONE, max_size=3))
def test_predictions_of_one_label_are_the_same(tmp_path_factory, records):
    schema = prediction_schema([TASK])
    rows = prediction_rows(records, schema)
    assert read(written(tmp_path_factory.getbasetemp() / "one.parquet", rows, schema)) == records


@settings(max_examples=60, deadline=None)
@given(st.lists(ONE | SEVERAL, max_size=3))
def test_predictions_of_both_kinds_beside_each_other_are_the_same(tmp_path_factory, records):
    schema = prediction_schema([TASK, MANY])
    rows = prediction_rows(records, schema)
    assert read(written(tmp_path_factory.getbasetemp() / "both.parquet", rows, schema)) == records


def test_decisions_of_the_arbiter_are_the_same(tmp_path):
    handed_over = decision("c", below=0.8)
    made = [decision("a", rules=["r-lamp", "r-linen"]), several(*LABELS[:2], rules=["r-lamp"]), several(), handed_over]
    records = [{**each.record(), "fingerprint": "f"} for each in made]
    assert records[-1]["label"] is None
    schema = prediction_schema([TASK, MANY])
    assert read(written(tmp_path / "d.parquet", prediction_rows(records, schema), schema)) == records


PAGE = objects(
    {
        "image": text,
        "size": st.lists(count, min_size=2, max_size=2),
        "lines": st.lists(
            objects({"text": text, "score": number, "box": st.lists(number, min_size=4, max_size=4)}, {}), max_size=2
        ),
    },
    {"original_size": st.lists(count, min_size=2, max_size=2)},
)
TRANSCRIPT = objects(
    {
        "file": text, "seconds": number, "language": text, "transcript": text,
        "words": st.lists(objects({"word": text, "start": number, "end": number}, {}), max_size=2), "model": text,
        "caption": text,
    },
    {},
)  # fmt: skip
TURN = objects({"role": text, "text": text}, {"images": st.lists(text, min_size=1), "audio": st.lists(text)})
DISTILLED = objects(
    {
        "id": text, "task": text, "turns": st.lists(TURN, max_size=2), "images": st.lists(text, max_size=2),
        "label": text, "targets": shares, "teacher": text, "confidence": number, "round": count,
    },
    {"audio": st.lists(text, max_size=2), "copy_of": text},
)  # fmt: skip
ANSWERS = objects({"image": text, "model": text, "answers": shares}, {})


@settings(max_examples=40, deadline=None)
@given(st.lists(PAGE, max_size=2), st.lists(TRANSCRIPT, max_size=2), st.lists(DISTILLED, max_size=2),
       st.lists(ANSWERS, max_size=2))  # fmt: skip
def test_all_other_records_are_the_same(tmp_path_factory, pages, transcripts, distilled, answers):
    path = tmp_path_factory.getbasetemp() / "others.parquet"
    kinds = (
        (pages, page_schema()),
        (transcripts, transcript_schema()),
        (distilled, distilled_schema()),
        (answers, answer_schema()),
    )
    for records, schema in kinds:
        assert read(written(path, records, schema)) == records


def test_a_folder_is_read_by_the_names_of_its_shards_without_the_tables_of_errors(tmp_path):
    for name in ("b.parquet", "a/c.parquet", "_errors/b.parquet"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        written(tmp_path / name, [{"image": name, "model": "m", "answers": {}}], answer_schema())
    assert [(place, record["image"]) for place, record in records_at(tmp_path)] == [
        (f"{tmp_path}/a/c.parquet, row 1", "a/c.parquet"),
        (f"{tmp_path}/b.parquet, row 1", "b.parquet"),
    ]


def test_lines_of_a_file_are_told_as_such(tmp_path, write):
    path = write("a.jsonl", '{"a": 1}\n\n{"a": null}\n')
    assert list(records_at(path)) == [(f"{path}, line 1", {"a": 1}), (f"{path}, line 3", {"a": None})]


def test_a_folder_without_results_and_a_damaged_one_are_named(tmp_path, write):
    (tmp_path / "empty").mkdir()
    with pytest.raises(KdslError, match=r"empty: has no results of shards \(\.parquet\); name the folder"):
        read(tmp_path / "empty")
    with pytest.raises(KdslError, match=r"a\.parquet: not a Parquet file that can be read .*; work on its shard"):
        read(write("a.parquet", "PAR1 and nothing else"))
