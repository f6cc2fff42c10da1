"""What a fine-tuned model answers: the label alone, or the reason for it too, and how labels are scored then."""

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kdsl.language import in_chinese
from kdsl.sample import Task
from kdsl.vlm.conversation import Conversation, begun
from kdsl.vlm.model import VisionLanguageModel
from kdsl.vlm.usage import Cost

Target = Literal["label", "reason_label", "label_reason"]


@dataclass(frozen=True, slots=True)
class AnswerMarks:
    """What stands in an answer in one language."""

    reason: str
    """Before a reason that follows its label."""
    label: str
    """Before a label that follows its reason."""


# The label's mark ends without a space: a label has the same tokens wherever it stands.
CHINESE, ENGLISH = AnswerMarks("理由：", "\n标签："), AnswerMarks("Reason: ", "\nLabel:")
LABEL_END = "\n"
"""What ends a label that a reason may follow: without it a label that begins another one would win over it."""
UNLIMITED = 256
"""Tokens of a reason where nothing limits them."""
_LINE_BREAKS = re.compile(r"\s*[\r\n]+\s*")
_CLAUSE_END = re.compile(r"[。！？；，,;!?]|\.(?=\s)")


def marks_of(task: Task) -> AnswerMarks:
    return CHINESE if in_chinese(task) else ENGLISH


def answer_pieces(target: Target, label: str, reason: str, marks: AnswerMarks = CHINESE) -> tuple[str, ...]:
    """The answer that is learned, in the pieces that have tokens of their own (`Processor.answer_ids`).

    A sample without a reason has the label alone, in the same format. Line breaks of a reason become spaces.
    """
    reason = _LINE_BREAKS.sub(" ", reason.strip())
    if target == "label":
        return (label,)
    if target == "label_reason":
        return (label + LABEL_END, *([marks.reason + reason] if reason else []))
    return (*([reason] if reason else []), marks.label, label)


def label_in(answer: str) -> str:
    """The label of an answer that holds a reason too; any other answer as it is."""
    for marks in (CHINESE, ENGLISH):
        _, mark, after = answer.rpartition(marks.label)
        if mark:
            return after
        before, mark, _ = answer.partition(LABEL_END + marks.reason)
        if mark:
            return before
    return answer


def shortened(reason: str, tokens: int, count: Callable[[str], int]) -> str:
    """The reason, or as many of its first clauses as `count` says to have at most `tokens`; "" where none fits."""
    if count(reason) <= tokens:
        return reason
    ends = [match.end() for match in _CLAUSE_END.finditer(reason)]
    for end in reversed(ends):
        clauses = reason[:end].rstrip("，,；; ")
        if count(clauses) <= tokens:
            return clauses
    return ""


@dataclass(frozen=True)
class ScoredLabels:
    """What a model says about each of several conversations."""

    log_probabilities: NDArray[np.float64]
    """[batch, labels]"""
    costs: tuple[Cost, ...]
    reasons: tuple[str, ...]
    """What the model wrote before its label; empty texts where it writes none."""
    strays: tuple[str | None, ...] = ()
    """As of `Scores`."""


def score_labels(
    model: VisionLanguageModel,
    conversations: Sequence[Conversation],
    labels: Sequence[str],
    target: Target,
    reason_tokens: Sequence[int],
    marks: AnswerMarks = CHINESE,
) -> ScoredLabels:
    """The log-probability of every label as a model answers that was trained on `target`.

    - label: as the whole answer.
    - label_reason: as its beginning; the reason is never generated.
    - reason_label: after the reason that the model writes first, in at most `reason_tokens` [batch] tokens, its mark
      at the end included: two calls.
    """
    reasons, spent = [""] * len(conversations), [Cost()] * len(conversations)
    if target == "label_reason":
        scores = model.score(conversations, [label + LABEL_END for label in labels], ended=False)
    elif target == "reason_label":
        reasons, spent = _write_reasons(model, conversations, reason_tokens, marks)
        after = [
            begun(conversation, *([reason] if reason else []), marks.label)
            for conversation, reason in zip(conversations, reasons, strict=True)
        ]
        scores = model.score(after, labels)
    else:
        scores = model.score(conversations, labels)
    costs = tuple(
        before + Cost(int(calls), int(tokens), int(dropped))
        for before, calls, tokens, dropped in zip(
            spent, scores.calls, scores.output_tokens, scores.dropped, strict=True
        )
    )
    return ScoredLabels(scores.log_probabilities, costs, tuple(reasons), scores.strays)


def _write_reasons(
    model: VisionLanguageModel, conversations: Sequence[Conversation], tokens: Sequence[int], marks: AnswerMarks
) -> tuple[list[str], list[Cost]]:
    reasons, costs = [""] * len(conversations), [Cost()] * len(conversations)
    rows_of = defaultdict(list)
    for row, most in enumerate(tokens):
        rows_of[most].append(row)
    for most, rows in rows_of.items():
        found = model.generate([conversations[row] for row in rows], most, stop=marks.label)
        for row, answer in zip(rows, found, strict=True):
            reasons[row] = _LINE_BREAKS.sub(" ", answer.text)
            # What the second call drops of the same prompt is counted there.
            costs[row] = Cost(answer.calls, answer.output_tokens)
    return reasons, costs
