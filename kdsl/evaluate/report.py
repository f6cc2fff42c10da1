"""The results of one evaluation: model alone, rules alone and both, per task and pooled, scored and summarised."""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from kdsl.evaluate.bootstrap import LEVEL, N_RESAMPLES, Intervals, difference_intervals, intervals
from kdsl.evaluate.calibration import brier_score, expected_calibration_error
from kdsl.evaluate.costs import CostSummary, Parameters, cost_summary
from kdsl.evaluate.metrics import LabelScores, Outcome, Scores, label_scores, pool, scores
from kdsl.evaluate.multi_label import (
    MultiOutcome,
    multi_label_brier_score,
    multi_label_difference,
    multi_label_intervals,
    multi_label_label_scores,
    multi_label_scores,
    pool_outcomes,
)
from kdsl.evaluate.selective import Selective, everything_decided, selective
from kdsl.sample import SampleKey
from kdsl.vlm.usage import Cost, Limits

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
    costs: tuple[Cost | None, ...] = ()
    """[n]: of model calls; None for a sample that nobody said it of, and none at all where nobody said anything."""
    other: str | None = None
    """The label of what belongs to none of the others."""


@dataclass(frozen=True)
class MultiLabelResult:
    """The same of a task with several labels a sample."""

    task: str
    labels: tuple[str, ...]
    ids: tuple[str, ...]
    model: MultiOutcome
    rules: MultiOutcome
    both: MultiOutcome
    why: tuple[Why, ...] = ()
    costs: tuple[Cost | None, ...] = ()

    @classmethod
    def of(cls, result: "AnyResult") -> "MultiLabelResult":
        """Of a task with one label a sample each sample has one."""
        if isinstance(result, MultiLabelResult):
            return result
        n_labels = len(result.labels)
        model, rules, both = (
            MultiOutcome.of_one_label(each, n_labels) for each in (result.model, result.rules, result.both)
        )
        return cls(result.task, result.labels, result.ids, model, rules, both)


AnyResult = TaskResult | MultiLabelResult


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
    micro_f1: float | None = None
    """None with one label a sample."""


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

    @property
    def multi(self) -> bool:
        """Whether samples may have several labels."""
        return self.both.scores.micro_f1 is not None


@dataclass(frozen=True)
class Summary:
    tasks: tuple[TaskSummary, ...]
    pooled: TaskSummary
    """Over all tasks, labels of different tasks being different classes: the MIRE challenge's measure."""
    seed: int
    resamples: int = N_RESAMPLES
    level: float = LEVEL
    cost: CostSummary | None = None
    """What predicting cost; None where no model was asked."""
    parameters: Parameters | None = None
    """Of the models; None where none was asked."""

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
            lines.append(f"{task.task}: {task.samples} samples" + (", several labels each" if task.multi else ""))
            for name, row in zip(PREDICTORS, (task.model, task.rules, task.both), strict=True):
                found, interval = row.scores, row.intervals.weighted_f1
                if found.micro_f1 is not None and row.intervals.micro_f1 is not None:
                    low, high = row.intervals.micro_f1.low, row.intervals.micro_f1.high
                    lines.append(
                        f"  {name:<11}  micro F1 {found.micro_f1:.3f} [{low:.3f}, {high:.3f}]  macro F1 "
                        f"{found.macro_f1:.3f}  all labels right {found.accuracy:.3f}"
                    )
                    continue
                lines.append(
                    f"  {name:<11}  weighted F1 {found.weighted_f1:.3f} [{interval.low:.3f}, {interval.high:.3f}]  "
                    f"macro F1 {found.macro_f1:.3f}  accuracy {found.accuracy:.3f}  covered {found.coverage:.3f}"
                )
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from kdsl.evaluate.html import summary_html

        return summary_html(self)


def summarise(
    results: Sequence[AnyResult],
    seed: int,
    limits: Limits | None = None,
    parameters: Parameters | None = None,
) -> Summary:
    """Score the results of one or more tasks; `seed` drives the bootstrap. ValueError when a task has no sample.

    What samples cost stands beside `limits` and the models' `parameters`.
    """
    return Summary(
        cost=cost_summary(_costs(results), limits or Limits()),
        parameters=parameters,
        tasks=tuple(_summarise_task(result, seed) for result in results),
        pooled=_summarise_task(_pooled(results), seed),
        seed=seed,
    )


def _costs(results: Iterable[AnyResult]) -> Iterator[tuple[SampleKey, Cost]]:
    for result in results:
        for id_, cost in zip(result.ids, result.costs or [None] * len(result.ids), strict=True):
            if cost is not None:
                yield (result.task, id_), cost


def _pooled(results: Sequence[AnyResult]) -> AnyResult:
    """All tasks together; with several labels a sample where any of them has."""
    ids = tuple(id_ for result in results for id_ in result.ids)
    one = [result for result in results if isinstance(result, TaskResult)]
    if len(one) < len(results):
        of = [MultiLabelResult.of(result) for result in results]
        model, rules, both = (
            pool_outcomes(outcomes)
            for outcomes in ([each.model for each in of], [each.rules for each in of], [each.both for each in of])
        )
        return MultiLabelResult("pooled", (), ids, model, rules, both)
    sizes = [len(result.labels) for result in one]
    return TaskResult(
        task="pooled",
        labels=(),
        ids=ids,
        model=pool([result.model for result in one], sizes),
        rules=pool([result.rules for result in one], sizes),
        both=pool([result.both for result in one], sizes),
    )


def _summarise_task(result: AnyResult, seed: int) -> TaskSummary:
    model, rules, both = (_summarise_predictor(outcome, seed) for outcome in (result.model, result.rules, result.both))
    if isinstance(result, MultiLabelResult):
        with_rules, between, chosen = both.scores, multi_label_difference(result.both, result.model, seed), None
    else:
        chosen = selective(result.both, result.labels, result.other)
        decided = everything_decided(result.both)
        with_rules, between = scores(decided), difference_intervals(decided, result.model, seed)
    micro = (both.scores.micro_f1, model.scores.micro_f1)
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
            intervals=between,
            micro_f1=None if micro[0] is None or micro[1] is None else micro[0] - micro[1],
        ),
        labels=_summarise_labels(result),
        selective=chosen,
    )


def _summarise_labels(result: AnyResult) -> tuple[LabelSummary, ...]:
    n_labels = len(result.labels)
    if not n_labels:
        return ()
    rows: Iterable[list[LabelScores]]
    if isinstance(result, MultiLabelResult):
        rows = (multi_label_label_scores(outcome) for outcome in (result.model, result.rules, result.both))
    else:
        rows = (label_scores(outcome, n_labels) for outcome in (result.model, result.rules, result.both))
    return tuple(LabelSummary(*row) for row in zip(result.labels, *rows, strict=True))


def _summarise_predictor(outcome: Outcome | MultiOutcome, seed: int) -> PredictorSummary:
    if isinstance(outcome, MultiOutcome):
        pairs = outcome.pairs
        return PredictorSummary(
            scores=multi_label_scores(outcome),
            intervals=multi_label_intervals(outcome, seed),
            expected_calibration_error=None if pairs is None else expected_calibration_error(pairs),
            brier_score=multi_label_brier_score(outcome),
        )
    return PredictorSummary(
        scores=scores(outcome),
        intervals=intervals(outcome, seed),
        expected_calibration_error=expected_calibration_error(outcome),
        brier_score=brier_score(outcome),
    )
