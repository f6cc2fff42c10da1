"""The results of one evaluation: model alone, rules alone and both, per task and pooled, scored and summarised."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kdsl.evaluate.bootstrap import LEVEL, N_RESAMPLES, Intervals, difference_intervals, intervals
from kdsl.evaluate.calibration import brier_score, expected_calibration_error
from kdsl.evaluate.metrics import LabelScores, Outcome, Scores, label_scores, pool, scores
from kdsl.evaluate.selective import Selective, everything_decided, selective

PREDICTORS = ("model alone", "rules alone", "both")


@dataclass(frozen=True)
class RuleHit:
    """A rule that held on a sample."""

    id: str
    label: str
    reliability: float


@dataclass(frozen=True)
class Why:
    """Who decided about a sample, and why: what a prediction tells besides labels and probabilities."""

    by: str = ""
    reason: str = ""
    rules: tuple[RuleHit, ...] = ()


@dataclass(frozen=True)
class TaskResult:
    """What the three predictors said about the same samples of one task."""

    task: str
    labels: tuple[str, ...]
    ids: tuple[str, ...]
    """[n] sample ids, in the order of the outcomes."""
    model: Outcome
    rules: Outcome
    both: Outcome
    why: tuple[Why, ...] = ()
    """[n]; none where nobody said."""
    other: str | None = None
    """The label of what belongs to none of the others."""


@dataclass(frozen=True)
class PredictorSummary:
    scores: Scores
    intervals: Intervals
    expected_calibration_error: float | None
    """In `N_BINS` bins of equal width; None without confidences."""
    brier_score: float | None


@dataclass(frozen=True)
class Difference:
    """Scores of both minus scores of the model alone, with paired intervals; what both handed to a person is decided
    by the likeliest label, as the model alone decides everything."""

    weighted_f1: float
    macro_f1: float
    accuracy: float
    intervals: Intervals


@dataclass(frozen=True)
class LabelSummary:
    label: str
    model: LabelScores
    rules: LabelScores
    both: LabelScores


@dataclass(frozen=True)
class TaskSummary:
    task: str
    samples: int
    model: PredictorSummary
    rules: PredictorSummary
    both: PredictorSummary
    difference: Difference
    labels: tuple[LabelSummary, ...]
    """In the task's order; none for the pooled summary."""
    selective: Selective | None = None
    """Where some samples belong to no label or are handed to a person; None for the pooled summary."""


@dataclass(frozen=True)
class Summary:
    tasks: tuple[TaskSummary, ...]
    pooled: TaskSummary
    """Over all tasks, labels of different tasks being different classes: the MIRE challenge's measure."""
    seed: int
    resamples: int = N_RESAMPLES
    level: float = LEVEL

    def record(self) -> dict[str, Any]:
        """The summary as plain lists and dictionaries, for JSON."""
        return dataclasses.asdict(self)

    @property
    def sections(self) -> tuple[TaskSummary, ...]:
        """Every task, and where there are several, all of them pooled."""
        return (*self.tasks, self.pooled) if len(self.tasks) > 1 else self.tasks

    def __str__(self) -> str:
        """A line a predictor, with the 95 % interval of its weighted F1."""
        lines = []
        for task in self.sections:
            lines.append(f"{task.task}: {task.samples} samples")
            for name, row in zip(PREDICTORS, (task.model, task.rules, task.both), strict=True):
                found, interval = row.scores, row.intervals.weighted_f1
                lines.append(
                    f"  {name:<11}  weighted F1 {found.weighted_f1:.3f} [{interval.low:.3f}, {interval.high:.3f}]  "
                    f"macro F1 {found.macro_f1:.3f}  accuracy {found.accuracy:.3f}  covered {found.coverage:.3f}"
                )
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from kdsl.evaluate.html import summary_html

        return summary_html(self)


def summarise(results: Sequence[TaskResult], seed: int) -> Summary:
    """Score the results of one or more tasks; `seed` drives the bootstrap. ValueError when a task has no sample."""
    sizes = [len(result.labels) for result in results]
    pooled = TaskResult(
        task="pooled",
        labels=(),
        ids=tuple(id_ for result in results for id_ in result.ids),
        model=pool([result.model for result in results], sizes),
        rules=pool([result.rules for result in results], sizes),
        both=pool([result.both for result in results], sizes),
    )
    return Summary(
        tasks=tuple(_summarise_task(result, seed) for result in results),
        pooled=_summarise_task(pooled, seed),
        seed=seed,
    )


def _summarise_task(result: TaskResult, seed: int) -> TaskSummary:
    model, rules, both = (_summarise_predictor(outcome, seed) for outcome in (result.model, result.rules, result.both))
    decided = everything_decided(result.both)
    with_rules = scores(decided)
    return TaskSummary(
        task=result.task,
        samples=len(result.ids),
        model=model,
        rules=rules,
        both=both,
        difference=Difference(
            weighted_f1=with_rules.weighted_f1 - model.scores.weighted_f1,
            macro_f1=with_rules.macro_f1 - model.scores.macro_f1,
            accuracy=with_rules.accuracy - model.scores.accuracy,
            intervals=difference_intervals(decided, result.model, seed),
        ),
        labels=_summarise_labels(result),
        selective=selective(result.both, result.labels, result.other),
    )


def _summarise_labels(result: TaskResult) -> tuple[LabelSummary, ...]:
    n_labels = len(result.labels)
    if not n_labels:
        return ()
    rows = (label_scores(outcome, n_labels) for outcome in (result.model, result.rules, result.both))
    return tuple(LabelSummary(*row) for row in zip(result.labels, *rows, strict=True))


def _summarise_predictor(outcome: Outcome, seed: int) -> PredictorSummary:
    return PredictorSummary(
        scores=scores(outcome),
        intervals=intervals(outcome, seed),
        expected_calibration_error=expected_calibration_error(outcome),
        brier_score=brier_score(outcome),
    )
