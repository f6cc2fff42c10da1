"""One answer of several annotators, who may agree, disagree, cancel or skip."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from kdsl.data.record import Record


def agreed(record: Record, answers: Sequence[list[Any]]) -> list[Any] | None:
    """The answer, a list of labels, that most of `answers` give; None where there is none or no majority, noted.

    >>> from kdsl.data.notes import Notes
    >>> agreed(Record({}, "1", "a.json", "element 1", Notes()), [["退款"], ["退款"], ["发票"]])
    ['退款']
    """
    if not answers:
        return None
    counts = Counter(tuple(sorted(map(str, answer))) for answer in answers)
    ranked = counts.most_common(2)
    if len(ranked) == 1:
        return answers[0]
    if ranked[0][1] == ranked[1][1]:
        record.notes.note("samples whose annotators disagree, taken as unlabelled", record.where)
        return None
    record.notes.note("samples whose annotators disagree: the label of most of them is taken", record.where)
    return next(answer for answer in answers if tuple(sorted(map(str, answer))) == ranked[0][0])


def choices(value: Any) -> list[Any]:
    """What an annotator chose, as a list, however the tool writes it."""
    if isinstance(value, dict):
        value = value.get("choices", value.get("value", list(value.values())))
    return list(value) if isinstance(value, list) else [] if value is None or value == "" else [value]
