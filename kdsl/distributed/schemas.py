"""The columns of results over shards.

A record is what the same command writes to JSON Lines. What a record may lack is null in its row;
`kdsl.result_shards` leaves it out again.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kdsl.sample import Task

if TYPE_CHECKING:
    import pyarrow


def prediction_schema(tasks: Sequence[Task]) -> "pyarrow.Schema":
    """Of predictions (docs/prediction.md); where a task has several labels a sample, `label` is a list."""
    import pyarrow as pa

    text, number, count = pa.string(), pa.float64(), pa.int64()
    several = any(task.multi for task in tasks)
    label = pa.list_(text) if several else text
    shares = pa.map_(text, number)
    evidence = pa.struct(
        {
            "condition": count, "field": text, "negated": pa.bool_(), "term": text, "turn": count, "image": text,
            "line": count, "box": pa.list_(number), "audio": text, "seconds": pa.list_(number),
            "span": pa.list_(count), "absent": pa.list_(text), "similarity": number, "wording": text, "at": number,
            "comparison": text, "value": number, "kind": text, "question": text, "probability": number,
        }
    )  # fmt: skip
    rule = pa.struct({"id": text, "label": text, "reliability": number, "evidence": pa.list_(evidence)})
    model = {"label": label, "probability": number, "probabilities": shares, "reason": text}
    decision = {
        "by": text, "label_without_rules": label, "reason": text, "label_if_decided": text, "label_if_belonging": text,
    }  # fmt: skip
    of_label = {
        "holds": pa.bool_(), "probability": number, "threshold": number, "by": text, "holds_without_rules": pa.bool_(),
        "reason": text,
    }  # fmt: skip
    columns = {
        "id": text, "task": text, "label": label, "probabilities": shares, "model": pa.struct(model),
        "rules": pa.list_(rule), "decision": pa.struct(decision), "decisions": pa.map_(text, pa.struct(of_label)),
        "cost": pa.struct({"calls": count, "tokens": count, "dropped": count}), "fingerprint": text,
    }  # fmt: skip
    if not several:
        del columns["decisions"]
    return pa.schema(columns)


def page_schema() -> "pyarrow.Schema":
    """Of the text on images: `kdsl.fields.sidecar.page_record`."""
    import pyarrow as pa

    size = pa.list_(pa.int64())
    line = pa.struct({"text": pa.string(), "score": pa.float64(), "box": pa.list_(pa.float64())})
    return pa.schema({"image": pa.string(), "size": size, "original_size": size, "lines": pa.list_(line)})


def caption_schema() -> "pyarrow.Schema":
    """Of images in words."""
    import pyarrow as pa

    return pa.schema({"image": pa.string(), "caption": pa.string(), "model": pa.string()})


def answer_schema() -> "pyarrow.Schema":
    """Of answers to visual questions: the probability of yes by question."""
    import pyarrow as pa

    answers = pa.map_(pa.string(), pa.float64())
    return pa.schema({"image": pa.string(), "model": pa.string(), "answers": answers})


def transcript_schema() -> "pyarrow.Schema":
    """Of what is said in sounds: `kdsl.audio.transcript.transcript_record`."""
    import pyarrow as pa

    text, number = pa.string(), pa.float64()
    word = pa.struct({"word": text, "start": number, "end": number})
    columns = {
        "file": text, "seconds": number, "language": text, "transcript": text, "words": pa.list_(word), "model": text,
        "caption": text,
    }  # fmt: skip
    return pa.schema(columns)


def distilled_schema() -> "pyarrow.Schema":
    """Of samples that a teacher labelled: `kdsl.distillation.distilled_file`."""
    import pyarrow as pa

    text, names = pa.string(), pa.list_(pa.string())
    turn = pa.struct({"role": text, "text": text, "images": names, "audio": names})
    columns = {
        "id": text, "task": text, "turns": pa.list_(turn), "images": names, "audio": names, "label": text,
        "copy_of": text, "targets": pa.map_(text, pa.float64()), "teacher": text, "confidence": pa.float64(),
        "round": pa.int64(),
    }  # fmt: skip
    return pa.schema(columns)


def prediction_rows(records: Sequence[dict[str, Any]], schema: "pyarrow.Schema") -> list[dict[str, Any]]:
    """Predictions as the rows of `prediction_schema`: beside tasks with several labels a single one is a list, too.

    `kdsl.result_shards` makes it a single one again.
    """
    if "decisions" not in schema.names:
        return [*records]
    return [record if "decisions" in record else _listed(record) for record in records]


def _listed(record: dict[str, Any]) -> dict[str, Any]:
    model, decision = record["model"], record["decision"]
    return {
        **record,
        "label": None if record["label"] is None else [record["label"]],
        "model": {**model, "label": [model["label"]]},
        "decision": {**decision, "label_without_rules": [decision["label_without_rules"]]},
    }
