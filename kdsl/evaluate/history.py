"""Runs over time: what changed from one to the next of the same samples, and their scores."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kdsl.arbiter.state import rule_changes
from kdsl.evaluate.runs import Run, RunRecord, TaskScores

OTHER_CONTENT, ADDED, GONE, TRAINED = "other content", "added", "gone", "trained again"
"""What happened to something that a run depends on, where it has no value to tell."""
_LONGEST = 40
"""Characters of a value of kdsl.yaml."""


@dataclass(frozen=True)
class Changed:
    """One thing that a run depends on and that was another one before."""

    what: str
    """A key of kdsl.yaml, `samples`, `rules`, a task, or a package."""
    how: str
    """Such as `2000 → 500` or `other content`; of rules what was done to them."""
    count: int | None = None
    """Of rules."""

    def __str__(self) -> str:
        return f"{self.what}: {self.how}" if self.count is None else f"{self.what}: {self.count} {self.how}"


@dataclass(frozen=True)
class HistoryRow:
    """A run beside the one before it of the same series."""

    run: Run
    scores: TaskScores
    """Of its task, or of all pooled."""
    changed: tuple[Changed, ...] | None
    """None for the first of its series."""

    @property
    def at(self) -> datetime:
        """In the time zone of this machine."""
        return self.run.record.at.astimezone()

    def record(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "id": self.run.id,
            "at": self.run.record.at.isoformat(),
            "folder": self.run.folder.name,
            "samples": self.run.record.samples.model_dump(),
            "scores": [each.model_dump() for each in self.run.record.scores],
            "changed": None if self.changed is None else [vars(each) for each in self.changed],
        }


def history(runs: Sequence[Run]) -> list[HistoryRow]:
    """The rows of runs in order of their time, each beside the one before it of the same series."""
    before: dict[object, Run] = {}
    rows = []
    for run in runs:
        series = run.record.samples.series
        old = before.get(series)
        rows.append(HistoryRow(run, run.record.scores[-1], None if old is None else what_changed(run, old)))
        before[series] = run
    return rows


def by_series(rows: Sequence[HistoryRow]) -> list[list[HistoryRow]]:
    """The rows of each series, in the order of their first runs."""
    found: dict[object, list[HistoryRow]] = {}
    for row in rows:
        found.setdefault(row.run.record.samples.series, []).append(row)
    return list(found.values())


def what_changed(new: Run, old: Run) -> tuple[Changed, ...]:
    """What `new` depends on and was another one for `old`; nothing where the two should be the same."""
    return tuple(_changes(new.record, old.record))


def _changes(new: RunRecord, old: RunRecord) -> Iterator[Changed]:
    if new.samples.series != old.samples.series:
        yield Changed("samples", f"{old.samples} → {new.samples}")
    elif new.samples.hash != old.samples.hash:
        yield Changed("samples", OTHER_CONTENT)
    yield from _files(new.files, old.files)
    for count, what in rule_changes(old.state, new.state):
        yield Changed("rules", what, count)
    for task in sorted(new.state.trained.keys() & old.state.trained.keys()):
        if new.state.trained[task] != old.state.trained[task]:
            yield Changed(task, TRAINED)
    # A key that only one of the two knows came, or went, with the version of KDSL.
    for key in sorted(new.config.keys() & old.config.keys()):
        if new.config[key] != old.config[key]:
            yield Changed(key, f"{_shown(old.config[key])} → {_shown(new.config[key])}")
    for package, version in new.versions.items():
        if old.versions.get(package, version) != version:
            yield Changed(package, f"{old.versions[package]} → {version}")


def _files(new: Mapping[str, str], old: Mapping[str, str]) -> Iterator[Changed]:
    for key in sorted({*new, *old}):
        if key not in old:
            yield Changed(key, ADDED)
        elif key not in new:
            yield Changed(key, GONE)
        elif new[key] != old[key]:
            yield Changed(key, OTHER_CONTENT)


def _shown(value: object) -> str:
    text = "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
