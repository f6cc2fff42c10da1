"""What a teacher behind a server says about samples: a label and how sure it is, or nothing that can be used."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kdsl.fields.table import FieldTable
from kdsl.models.large.prompts import Prompts
from kdsl.sample import Task
from kdsl.small.many import Failed, answers
from kdsl.vlm.cache import CachedModel
from kdsl.vlm.conversation import Conversation
from kdsl.vlm.free_text import ENOUGH, Strays
from kdsl.vlm.model import Scores, probabilities

NO_LABEL = -1
"""The teacher said none of the labels, or nothing at all."""


@dataclass
class TeacherLabels:
    """A teacher's word on n samples of one task."""

    labels: NDArray[np.int64]
    """[n]: index of the label, or `NO_LABEL`."""
    confidence: NDArray[np.float64]
    """[n]: the label's probability, or its share of sampled answers; 0 without a label."""
    shares: NDArray[np.float64]
    """[n, n_labels]: what a student learns, rows sum to 1: all probabilities where the server tells log-probabilities,
    else 1 for the label; 0 without one."""
    nonsense: int = 0
    """Samples for which none of the answers was a label."""
    example: str = ""
    """One of these answers."""
    failed: dict[str, str] = field(default_factory=dict)
    """Sample id → why there is no answer."""


def ask_teacher(
    teacher: CachedModel,
    task: Task,
    table: FieldTable,
    prompts: Prompts,
    threads: int,
    advance: Callable[[], None] = lambda: None,
    before: Strays | None = None,
) -> TeacherLabels:
    """Ask for the label of every sample; `advance` is called for each.

    Answers are on disk as they come, but for those of which none is a label. Raises KdslError where the teacher does
    not answer at all or never with a label, and for an image that is not there. With `before`, what came of samples
    before, of which these are a part, one who never answers with a label is told by all of them; it counts these too.
    """
    n, n_labels = len(table), len(task.labels)
    teacher_labels = TeacherLabels(np.full(n, NO_LABEL), np.zeros(n), np.zeros((n, n_labels)))
    conversations = {}
    for index, row in enumerate(table.rows):
        if unshown := prompts.unshown(task, row):
            teacher_labels.failed[row.sample.id] = unshown
            advance()
        else:
            conversations[index] = prompts.conversation(task, row)
    asked = list(conversations)

    def ask(some: Sequence[Conversation]) -> list[Scores]:
        return [teacher.score([conversation], task.label_names) for conversation in some]

    # What the server can do is found out by the first sample alone.
    for part in (asked[:1], asked[1:]):
        for index, scores in answers([conversations[i] for i in part], ask, threads):
            _take(teacher_labels, part[index], table.rows[part[index]].sample.id, scores)
            advance()
    strays, least = (Strays(), 1) if before is None else (before, ENOUGH)
    strays.answers += int((teacher_labels.labels != NO_LABEL).sum()) + teacher_labels.nonsense
    strays.strays += teacher_labels.nonsense
    strays.example = strays.example or teacher_labels.example
    strays.require_any(teacher.identity.partition(" ")[0], f"a label of {task.name}", least)
    return teacher_labels


def _take(teacher_labels: TeacherLabels, row: int, identity: str, scores: Scores | Failed) -> None:
    if isinstance(scores, Failed):
        teacher_labels.failed[identity] = scores.reason
        return
    log_p = scores.log_probabilities
    best = int(log_p[0].argmax())
    if not scores.estimated:
        teacher_labels.shares[row] = probabilities(log_p)[0]
        teacher_labels.confidence[row] = teacher_labels.shares[row, best]
    elif not scores.answered[0]:
        teacher_labels.nonsense += 1
        teacher_labels.example = teacher_labels.example or scores.strays[0] or ""
        return
    else:
        teacher_labels.shares[row, best] = 1.0
        teacher_labels.confidence[row] = np.exp(log_p[0, best])
    teacher_labels.labels[row] = best
