"""Evaluations that are kept: a folder each, `runs/<date-time>-<id>/`, with what was measured on what, and how.

`run.json` tells what the evaluation depended on and its scores, `predictions.jsonl.gz` what was predicted and why, so
that two runs can be compared sample by sample. No text of a sample is kept, but for the words that a reason names.
"""

import gzip
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import AwareDatetime, Field, JsonValue

from kdsl.arbiter.state import PredictorState
from kdsl.data.unpacking import open_unpacked
from kdsl.errors import Hint, KdslError
from kdsl.evaluate.bootstrap import Interval
from kdsl.evaluate.metrics import NO_PREDICTION
from kdsl.evaluate.predictions import Prediction
from kdsl.evaluate.report import AnyResult, PredictorSummary, Summary, Why
from kdsl.files import cannot_write, parsing, sync, write_atomically
from kdsl.json_file import jsonl_bytes, jsonl_records, read_json
from kdsl.record_file import Count, RecordModel, Share, as_record
from kdsl.sample import NO_LABEL_HOLDS, SampleKey
from kdsl.vlm.usage import Cost

RUN_FILE, PREDICTIONS_FILE = "run.json", "predictions.jsonl.gz"
LAST = "last"
"""Names the newest run."""
VERSION = 1
"""Of the two files."""

_PROBABILITIES, _RULES = 5, 10
"""Kept of a prediction: the likeliest labels, and the heaviest of the rules that hold."""
_FIRST, _LAST = datetime(2020, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
"""Between these a date is one of a run, in any time zone."""
_REMEDY = "take the run's folder away; `kdsl history` lists the others"


class SampleSet(RecordModel):
    """What was predicted."""

    kind: Literal["test", "cross-validation"]
    """Whether the samples were kept apart from training, or each was predicted without its fold."""
    name: str
    """The file, as seen from the project's folder."""
    hash: str
    """Of the file's content."""
    folds: Count | None = None
    """Of a cross-validation."""

    @property
    def series(self) -> tuple[str, str, int | None]:
        """Runs of one series can be told side by side: they are of one file, if not of the same content."""
        return self.kind, self.name, self.folds

    def __str__(self) -> str:
        return self.name if self.kind == "test" else f"{self.name}, {self.folds} folds"


class Score(RecordModel):
    """With its 95 % bootstrap interval."""

    value: Share
    low: Share
    high: Share


class PredictorScores(RecordModel):
    weighted_f1: Score
    macro_f1: Score
    accuracy: Score


class TaskScores(RecordModel):
    """Of one task, or of all of them pooled."""

    task: str
    samples: Count
    model: PredictorScores
    rules: PredictorScores
    both: PredictorScores


class RunRecord(RecordModel):
    """What `run.json` holds."""

    version: int = VERSION
    id: Annotated[str, Field(pattern=r"^[0-9a-f]{6}$")]
    at: Annotated[AwareDatetime, Field(ge=_FIRST, lt=_LAST)]
    """When it was kept."""
    samples: SampleSet
    labels: dict[str, list[str]]
    """Task → its labels then."""
    config: dict[str, JsonValue]
    """Every key of kdsl.yaml, dotted, with its value as it was used, overrides included."""
    files: dict[str, str]
    """What else it depended on, such as `data.train` → hash of the content."""
    state: PredictorState
    """The rules, and what was trained."""
    versions: dict[str, str]
    """Package → version."""
    scores: list[TaskScores] = Field(min_length=1)
    """Of every task; where there are several, of all pooled too, last."""
    parameters: dict[str, Count | None] = Field(default_factory=dict)
    """Of the models that a sample was predicted with: key of kdsl.yaml → number, None where nobody tells; none where
    no model was asked."""


class KeptHit(RecordModel):
    id: str
    label: str
    reliability: Share


Labels = str | tuple[str, ...]
"""The label of a sample, or all of them in a task with several a sample."""


class KeptPrediction(RecordModel):
    """A line of the predictions."""

    id: str
    task: str
    truth: Labels
    label: Labels | None
    """None for no prediction."""
    probabilities: dict[str, Share] | None = None
    """Of the likeliest labels, the likeliest first."""
    model: Labels | None = None
    """The label without rules."""
    rules: tuple[KeptHit, ...] = ()
    """That hold on the sample, the heaviest first."""
    by: str = ""
    reason: str = ""
    cost: Cost | None = None
    """Of model calls; None where no model was asked."""

    @property
    def key(self) -> SampleKey:
        return self.task, self.id

    @property
    def words(self) -> str:
        """What was predicted, for people."""
        return label_words(self.label)

    @property
    def confidence(self) -> float | None:
        """Of the likeliest label; None where several have one each, and where nobody said."""
        one = not isinstance(self.label, tuple)
        return next(iter(self.probabilities.values()), None) if self.probabilities and one else None

    def right_by(self, truth: Labels) -> bool:
        """Whether just the labels of `truth` were predicted."""
        return self.label is not None and as_set(self.label) == as_set(truth)


def as_set(labels: Labels | None) -> frozenset[str]:
    """One label or several, without their order."""
    return frozenset([labels] if isinstance(labels, str) else labels or ())


def label_words(labels: Labels | None) -> str:
    """One label or several for people."""
    if labels is None:
        return "(none)"
    return labels if isinstance(labels, str) else " + ".join(labels) or NO_LABEL_HOLDS


@dataclass(frozen=True)
class Run:
    """A kept evaluation; its predictions are read when first asked for."""

    folder: Path
    record: RunRecord

    @property
    def id(self) -> str:
        return self.record.id

    @cached_property
    def predictions(self) -> list[KeptPrediction]:
        """In the order in which they were scored; KdslError where their file is missing or damaged."""
        return list(_read_predictions(self.folder / PREDICTIONS_FILE))


def write_run(folder: Path, record: RunRecord, results: Sequence[AnyResult]) -> Run:
    """Keep an evaluation in `folder`, that of all runs; what is interrupted leaves no run, whole or not."""
    place = folder / f"{record.at:%Y-%m-%d-%H%M%S}-{record.id}"
    unfinished = folder / f".{place.name}"
    try:
        predictions = jsonl_bytes(each.model_dump() for each in kept_predictions(results))
        write_atomically(unfinished / PREDICTIONS_FILE, gzip.compress(predictions, mtime=0))
        write_atomically(unfinished / RUN_FILE, record.model_dump_json(indent=1) + "\n")
        os.rename(unfinished, place)
        sync(folder)
    except OSError as error:
        raise cannot_write(place, error) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return Run(place, record)


def new_id() -> str:
    """By which people name a run."""
    return secrets.token_hex(3)


def read_runs(folder: Path) -> tuple[list[Run], list[str]]:
    """All runs, the oldest first, and a sentence for each that is damaged; none where there is no folder.

    Raises KdslError for a folder that one may not look into.
    """
    runs: list[Run] = []
    problems = []
    with parsing(folder, "cannot be read"):
        found = sorted(folder.iterdir()) if folder.is_dir() else []
    for path in found:
        if path.name.startswith(".") or not is_run(path):
            continue
        try:
            runs.append(read_run(path))
        except KdslError as error:
            problems.append(str(error))
    return sorted(runs, key=lambda run: (run.record.at, run.id)), problems


def is_run(folder: Path) -> bool:
    """Whether an evaluation is kept there."""
    return (folder / RUN_FILE).is_file()


def read_run(folder: Path) -> Run:
    """The run in its own folder; KdslError where it is damaged, or of another version."""
    path = folder / RUN_FILE
    value = read_json(path, _REMEDY)
    if isinstance(value, dict) and value.get("version", VERSION) != VERSION:
        raise KdslError(f"{path}: version {value['version']!r}, this KDSL reads version {VERSION}", _REMEDY)
    return Run(folder, as_record(RunRecord, value, path, _REMEDY))


def find_run(runs: Sequence[Run], name: str, folder: Path) -> Run:
    """Of the `runs` in `folder`, the one whose id or folder begins with `name`, or the newest for `last`.

    Raises KdslError where there is none, or where several begin so.
    """
    if not runs:
        raise KdslError(f"{folder}: no evaluation is kept there yet", Hint.EVALUATE)
    if name == LAST:
        return runs[-1]
    found = [run for run in runs if name and (run.id.startswith(name) or run.folder.name.startswith(name))]
    if len(found) == 1:
        return found[0]
    if found:
        raise KdslError(f"{name!r} begins the names of {len(found)} runs: {_listed(found)}; write more of it")
    raise KdslError(f"{folder}: no run is called {name!r}; the newest are {_listed(runs[-3:])}")


def _listed(runs: Sequence[Run]) -> str:
    names = [run.folder.name for run in runs[:5]]
    return ", ".join(names) + (" …" if len(runs) > len(names) else "")


def task_scores(summary: Summary) -> list[TaskScores]:
    """What is kept of a summary."""
    return [
        TaskScores(
            task=section.task,
            samples=section.samples,
            **{name: _scores(getattr(section, name)) for name in ("model", "rules", "both")},
        )
        for section in summary.sections
    ]


def _scores(of: PredictorSummary) -> PredictorScores:
    def score(value: float, interval: Interval) -> Score:
        return Score(value=value, low=interval.low, high=interval.high)

    return PredictorScores(
        weighted_f1=score(of.scores.weighted_f1, of.intervals.weighted_f1),
        macro_f1=score(of.scores.macro_f1, of.intervals.macro_f1),
        accuracy=score(of.scores.accuracy, of.intervals.accuracy),
    )


def kept_predictions(results: Iterable[AnyResult]) -> Iterator[KeptPrediction]:
    """What is kept of the predictions of every sample, in their order."""
    for result in results:
        for row, id_ in enumerate(result.ids):
            why = result.why[row] if result.why else Why()
            yield KeptPrediction(
                id=id_,
                task=result.task,
                truth=_named(result.labels, result.both.truth[row]) or (),
                label=_named(result.labels, result.both.predicted[row]),
                probabilities=_likeliest(result, row),
                model=_named(result.labels, result.model.predicted[row]),
                rules=tuple(
                    KeptHit(id=hit.id, label=hit.label, reliability=hit.reliability) for hit in why.rules[:_RULES]
                ),
                by=why.by,
                reason=why.reason,
                cost=result.costs[row] if result.costs else None,
            )


def prediction_of(record: Prediction, truth: Labels) -> KeptPrediction:
    """Of a line of a predictions file."""
    return KeptPrediction(
        id=record.id,
        task=record.task,
        truth=truth,
        label=_frozen(record.label),
        model=_frozen(record.model.label),
        rules=tuple(KeptHit(id=hit.id, label=hit.label, reliability=min(hit.reliability, 1)) for hit in record.rules),
        by=record.decision.by,
        reason=record.decision.reason,
        cost=None if record.cost is None else Cost(**record.cost.model_dump()),
    )


def _frozen(label: str | list[str] | None) -> Labels | None:
    return tuple(label) if isinstance(label, list) else label


def _named(labels: Sequence[str], of: NDArray[np.generic]) -> Labels | None:
    """What an index into `labels` stands for, or one flag a label; None for no prediction."""
    if of.ndim:
        return tuple(label for label, flag in zip(labels, of, strict=True) if flag)
    return None if of == NO_PREDICTION else labels[int(of)]


def _likeliest(result: AnyResult, row: int) -> dict[str, float] | None:
    if result.both.probabilities is None:
        return None
    probabilities = result.both.probabilities[row]
    order = (-probabilities).argsort(kind="stable")[:_PROBABILITIES]
    return {result.labels[i]: round(float(probabilities[i]), 4) for i in order}


def _read_predictions(path: Path) -> Iterator[KeptPrediction]:
    with open_unpacked(path) as file:
        for number, record in jsonl_records(path, file, _REMEDY):
            yield as_record(KeptPrediction, record, f"{path}, line {number}", _REMEDY)
