"""The file of reasons (`data.reasons`): one JSON line a sample, made by machine, owned by people."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kdsl.errors import KdslError
from kdsl.json_file import append_jsonl, read_jsonl
from kdsl.sample import Sample, SampleKey, Task
from kdsl.text import writable

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reason:
    """One line: why a sample has its label."""

    id: str
    text: str
    """Empty where a person took the reason away."""
    model: str = ""
    """What wrote it."""
    task: str | None = None
    """None where the id alone says which sample is meant."""
    label: str | None = None
    """What it is a reason for; None where the line does not say."""
    line: int = 0

    def record(self) -> dict[str, Any]:
        """The JSON object of the line."""
        named = {"task": self.task, "label": self.label}
        known = {key: value for key, value in named.items() if value is not None}
        return {"id": self.id, **known, "reason": self.text, "model": self.model}

    def is_about(self, sample: Sample) -> bool:
        """Whether it is a reason for the label that the sample has now."""
        return (
            self.id == sample.id
            and self.task in (None, sample.task)
            and (self.label is None or self.label == sample.label)
        )


@dataclass(frozen=True)
class ReasonFile:
    """All lines of a file, in their order."""

    path: Path
    reasons: tuple[Reason, ...]

    @classmethod
    def read(cls, path: Path, tasks: Sequence[Task]) -> "ReasonFile":
        """KdslError with the line for anything that is no reason, and for a task that the project does not have."""
        names = [task.name for task in tasks]
        return cls(path, tuple(_reason(path, line, record, names) for line, record in read_jsonl(path)))

    @classmethod
    def mended(cls, path: Path, tasks: Sequence[Task]) -> "ReasonFile":
        """The file, without a last line that an interruption tore; made where it is missing."""
        with append_jsonl(path):
            pass
        return cls.read(path, tasks)

    def of_samples(self, samples: Sequence[Sample]) -> dict[str, dict[str, str]]:
        """Task → sample id → reason, of the samples that have one.

        Lines for another label than the sample has now, and lines about other samples, are counted in warnings.
        Raises KdslError where two lines give reasons for the same sample, and where a line names no task though it may
        be about samples of several.
        """
        found: dict[str, dict[str, str]] = {}
        used = self.matched(samples)
        for (task, identity), reason in used.items():
            if reason.text:
                found.setdefault(task, {})[identity] = reason.text
        known = {reason.line for reason in used.values()}
        unused = [reason for reason in self.reasons if reason.line not in known]
        known_keys = {key for sample in samples for key in (sample.key, (None, sample.id))}
        stale = [reason for reason in unused if (reason.task, reason.id) in known_keys]
        strange = [reason for reason in unused if (reason.task, reason.id) not in known_keys]
        for what, lines in (
            ("are for another label than their sample has now", stale),
            ("are about samples that the training data do not have", strange),
        ):
            if lines:
                _log.warning("%s: %d reasons %s, the first in line %d", self.path, len(lines), what, lines[0].line)
        return found

    def matched(self, samples: Sequence[Sample]) -> dict[SampleKey, Reason]:
        """(task, id) → the line about it, empty reasons included; errors as of `of_samples`.

        `samples` are those of all tasks, as a line that names none may be about any of them.
        """
        by_id: dict[str, list[Reason]] = {}
        for reason in self.reasons:
            by_id.setdefault(reason.id, []).append(reason)
        found: dict[SampleKey, Reason] = {}
        task_of: dict[int, str] = {}
        for sample in samples:
            lines = [reason for reason in by_id.get(sample.id, ()) if reason.is_about(sample)]
            if len(lines) > 1:
                raise KdslError(
                    f"{self.path}, line {lines[1].line}: sample {sample.id!r} has a reason in line {lines[0].line} "
                    "already; keep one of the two"
                )
            if lines:
                other = task_of.setdefault(lines[0].line, sample.task)
                if other != sample.task:
                    raise KdslError(
                        f"{self.path}, line {lines[0].line}: samples of {other} and {sample.task} have the id "
                        f"{sample.id!r}; name the task of the one that is meant"
                    )
                found[sample.key] = lines[0]
        return found


def _reason(path: Path, line: int, record: dict[str, Any], tasks: Sequence[str]) -> Reason:
    identity = record.get("id")
    if isinstance(identity, int) and not isinstance(identity, bool):
        identity = str(identity)
    if not isinstance(identity, str) or not isinstance(record.get("reason"), str):
        raise KdslError(f'{path}, line {line}: not a reason; expected {{"id": "17", "reason": "…"}}')
    for key in ("model", "task", "label"):
        if not isinstance(record.get(key), str | None):
            raise KdslError(f"{path}, line {line}: {key} is {record[key]!r}; it must be text in quotes")
    task = record.get("task")
    if task is not None and task not in tasks:
        raise KdslError(f"{path}, line {line}: the task {task!r} is none of the project's ({', '.join(tasks)})")
    text = writable(record["reason"]).strip()
    return Reason(identity, text, record.get("model") or "", task, record.get("label"), line)
