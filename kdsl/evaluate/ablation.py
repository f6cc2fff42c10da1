"""What each step of feeding the classifier is worth: every one alone and all together, against none of them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdsl.arbiter.fit import FittedTask, SmallModel, fit_task
from kdsl.evaluate.bootstrap import Interval, difference_intervals, intervals
from kdsl.evaluate.cross_validation import labelled_folds
from kdsl.evaluate.fold_results import FoldResults
from kdsl.evaluate.metrics import Outcome, pool, scores
from kdsl.fields.sidecar import Sidecars
from kdsl.fields.table import FieldTable
from kdsl.mining.miner import MiningSettings
from kdsl.models.calibrated import CalibratingTrainer, fit_alone
from kdsl.models.classifier import Trainer
from kdsl.sample import Sample, Task

Steps = tuple[str, ...]
Trainers = Mapping[Steps, Trainer | CalibratingTrainer]
"""What trains with some steps on and the others off; without "rules", which no classifier is trained with."""
RULES = "rules"


def combinations(steps: Sequence[str]) -> list[Steps]:
    """None of the steps, each alone, and all together if they are more than one."""
    rows: list[Steps] = [(), *((step,) for step in steps)]
    return rows if len(steps) < 2 else [*rows, tuple(steps)]


def fed_with(combination: Steps) -> Steps:
    """The steps of a combination that a classifier is trained with."""
    return tuple(step for step in combination if step != RULES)


@dataclass(frozen=True)
class Row:
    """One combination of steps."""

    steps: Steps
    f1: tuple[float, ...]
    """Weighted F1 of every task."""
    pooled: float
    """Weighted F1 over all tasks, labels of different tasks being different classes."""
    interval: Interval
    gain: float
    """Of `pooled`, over no step at all."""
    gain_interval: Interval
    """Paired: on the same resamples."""

    def record(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "steps": list(self.steps),
            "weighted_f1": list(self.f1),
            "pooled": self.pooled,
            "interval": [self.interval.low, self.interval.high],
            "gain": self.gain,
            "gain_interval": [self.gain_interval.low, self.gain_interval.high],
        }


def ablate(
    task: Task,
    samples: Sequence[Sample],
    sidecars: Sidecars,
    trainers: Trainers,
    wanted: Sequence[Steps],
    settings: MiningSettings,
    k: int,
    seed: int,
    workers: int = 2,
    progress: Callable[[str], None] | None = None,
    results: FoldResults | None = None,
    small: SmallModel | None = None,
) -> dict[Steps, Outcome]:
    """What every combination in `wanted` predicts for every sample when all of it comes from the other k-1 folds.

    Rules are searched once a fold, as the classifier has no part in that, unless `settings.focus` gives it one.
    `progress` is called with what was done: `len(wanted)` times a fold. What is in `results` is not done again, and
    what is done is added to them. `small` and errors are those of `cross_validate`.
    """
    labels, folds = labelled_folds(task, samples, k, seed)
    table = FieldTable(samples, sidecars)
    found = {combination: np.zeros((len(samples), len(task.labels))) for combination in wanted}
    for fold in range(k):
        outside, inside = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        learned = table.select(outside), labels[outside]
        asked = table.select(inside)
        known = {
            combination: said
            for combination in wanted
            if results is not None and (said := results.get(task.name, fold, combination)) is not None
        }
        missing = [combination for combination in wanted if combination not in known]
        for combination, said in chain(
            known.items(), _fold(task, *learned, asked, trainers, missing, settings, seed, workers, small)
        ):
            found[combination][inside] = said
            if results is not None and combination not in known:
                results.add(task.name, fold, combination, said)
            if progress is not None:
                progress(f"{task.name}: fold {fold + 1} of {k}")
    return {combination: Outcome(labels, said.argmax(axis=1), said) for combination, said in found.items()}


def _fold(
    task: Task,
    table: FieldTable,
    labels: NDArray[np.int64],
    asked: FieldTable,
    trainers: Trainers,
    wanted: Sequence[Steps],
    settings: MiningSettings,
    seed: int,
    workers: int,
    small: SmallModel | None,
) -> Iterator[tuple[Steps, NDArray[np.float64]]]:
    """The probabilities [n_asked, n_labels] of every combination."""
    before: FittedTask | None = None
    for combination in wanted:
        trainer = trainers[fed_with(combination)]
        if RULES not in combination:
            yield combination, fit_alone(trainer, table, labels, len(task.labels)).predict(asked).probabilities
            continue
        mined = before.mined if before is not None and settings.focus == 0.0 else None
        before = fit_task(task, table, labels, trainer, settings, seed, workers=workers, small=small, mined=mined)
        yield combination, before.predict(asked)[2]


def rows(results: Sequence[Mapping[Steps, Outcome]], n_labels: Sequence[int], seed: int) -> list[Row]:
    """The table: what `ablate` found on each task, of which `n_labels` tells the size; no step comes first."""
    pooled = {steps: pool([result[steps] for result in results], n_labels) for steps in results[0]}
    none = pooled[()]
    return [
        Row(
            steps=steps,
            f1=tuple(scores(result[steps]).weighted_f1 for result in results),
            pooled=scores(outcome).weighted_f1,
            interval=intervals(outcome, seed).weighted_f1,
            gain=scores(outcome).weighted_f1 - scores(none).weighted_f1,
            gain_interval=difference_intervals(outcome, none, seed).weighted_f1,
        )
        for steps, outcome in pooled.items()
    ]
