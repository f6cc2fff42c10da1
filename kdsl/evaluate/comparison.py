"""Two predictors on the same samples: gains and losses with paired intervals, and every sample that changed."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from kdsl.evaluate.bootstrap import LEVEL, N_RESAMPLES, Interval, difference_intervals, label_difference_intervals
from kdsl.evaluate.metrics import NO_PREDICTION, Outcome, label_scores, pool, scores
from kdsl.evaluate.runs import KeptPrediction

POOLED = "pooled"

Kind = Literal["right to wrong", "wrong to right", "wrong to wrong"]
KINDS: tuple[Kind, ...] = ("right to wrong", "wrong to right", "wrong to wrong")


@dataclass(frozen=True)
class Gain:
    """A score of both, and new − old with its paired bootstrap interval."""

    old: float
    new: float
    interval: Interval

    @property
    def difference(self) -> float:
        return self.new - self.old


@dataclass(frozen=True)
class LabelGain:
    """The F1 of one label; None where the label neither occurs nor is predicted."""

    label: str
    samples: int
    old: float | None
    new: float | None
    interval: Interval
    """Of new − old."""

    @property
    def difference(self) -> float:
        return (self.new or 0.0) - (self.old or 0.0)


@dataclass(frozen=True)
class Move:
    """How many predictions went from one label to another; None is no prediction."""

    old: str | None
    new: str | None
    samples: int
    gained: int
    """Of these wrong before and right now."""
    lost: int
    """Of these right before and wrong now."""


@dataclass(frozen=True)
class Change:
    """A sample that is predicted otherwise than before."""

    kind: Kind
    truth: str
    old: KeptPrediction
    new: KeptPrediction


@dataclass(frozen=True)
class TaskComparison:
    """The samples of one task that both predicted, scored by the labels that they have now."""

    task: str
    samples: int
    accuracy: Gain
    weighted_f1: Gain
    macro_f1: Gain
    gained: int
    """Samples that were wrong and are right."""
    lost: int
    """Samples that were right and are wrong."""
    p_value: float
    """Of McNemar's exact test that gains and losses are equally likely."""
    labels: tuple[LabelGain, ...] = ()
    """In the task's order; none for all tasks pooled."""
    moves: tuple[Move, ...] = ()
    """The most frequent first."""
    changes: tuple[Change, ...] = ()
    """Losses first, then gains, then those that are wrong in another way, each in the order of the samples."""

    @property
    def scores(self) -> tuple[tuple[str, Gain], ...]:
        return ("accuracy", self.accuracy), ("weighted F1", self.weighted_f1), ("macro F1", self.macro_f1)

    @property
    def moved(self) -> list[LabelGain]:
        """The labels whose F1 changed, the largest change first."""
        return sorted((row for row in self.labels if row.difference), key=lambda row: -abs(row.difference))

    def of(self, kind: Kind) -> list[Change]:
        return [change for change in self.changes if change.kind == kind]


@dataclass(frozen=True)
class Comparison:
    """Of two sets of predictions."""

    tasks: tuple[TaskComparison, ...]
    """Of every task; where there are several, of all pooled too, last."""
    only_new: int
    """Samples that the new one alone predicted; like the others below they are not among those compared."""
    only_old: int
    relabelled: int
    """Samples compared whose true label is another now."""
    seed: int
    resamples: int = N_RESAMPLES
    level: float = LEVEL

    def record(self) -> dict[str, Any]:
        """The comparison as plain lists and dictionaries, for JSON."""
        return {**vars(self), "tasks": [_task_record(task) for task in self.tasks]}


def compare(
    new: Sequence[KeptPrediction], old: Sequence[KeptPrediction], labels: Mapping[str, Sequence[str]], seed: int
) -> Comparison:
    """`new` against `old`, sample by sample; `labels` of every task, in their order, others are put behind.

    The truth is that of `new`. ValueError where the two have no sample in common.
    """
    before = {each.key: each for each in old}
    pairs = [(each, before[each.key]) for each in new if each.key in before]
    if not pairs:
        raise ValueError("no sample is in both")
    groups: dict[str, list[tuple[KeptPrediction, KeptPrediction]]] = {}
    for pair in pairs:
        groups.setdefault(pair[0].task, []).append(pair)
    compared = [_Compared(task, group, labels.get(task, ())) for task, group in groups.items()]
    tasks = [each.comparison(seed) for each in compared]
    if len(compared) > 1:
        sizes = [len(each.labels) for each in compared]
        new_pooled = pool([each.new for each in compared], sizes)
        old_pooled = pool([each.old for each in compared], sizes)
        tasks.append(_scored(POOLED, new_pooled, old_pooled, seed))
    return Comparison(
        tasks=tuple(tasks),
        only_new=len(new) - len(pairs),
        only_old=len(before) - len(pairs),
        relabelled=sum(one.truth != other.truth for one, other in pairs),
        seed=seed,
    )


def mcnemar(gained: int, lost: int) -> float:
    """The two-sided p value of McNemar's exact test: of `gained + lost` fair coins, so uneven an outcome or more.

    Source: McNemar, Psychometrika 12, 1947; the exact form is a sign test on the samples that changed.
    """
    from scipy.stats import binomtest

    return float(binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0


class _Compared:
    """The pairs of one task as outcomes over one list of labels."""

    def __init__(
        self, task: str, pairs: Sequence[tuple[KeptPrediction, KeptPrediction]], known: Sequence[str]
    ) -> None:
        self.task, self.pairs = task, pairs
        named = (label for new, old in pairs for label in (new.truth, new.label, old.label) if label is not None)
        self.labels = list(dict.fromkeys((*known, *named)))
        self._index = {label: i for i, label in enumerate(self.labels)}
        truth = self._indices([new.truth for new, _ in pairs])
        self.new = Outcome(truth, self._indices([new.label for new, _ in pairs]))
        self.old = Outcome(truth, self._indices([old.label for _, old in pairs]))

    def _indices(self, labels: Sequence[str | None]) -> NDArray[np.int64]:
        return np.array([NO_PREDICTION if label is None else self._index[label] for label in labels], dtype=np.int64)

    def comparison(self, seed: int) -> TaskComparison:
        return _scored(self.task, self.new, self.old, seed, self._label_gains(seed), self._moves(), self._changes())

    def _label_gains(self, seed: int) -> tuple[LabelGain, ...]:
        n_labels = len(self.labels)
        old, new = label_scores(self.old, n_labels), label_scores(self.new, n_labels)
        intervals = label_difference_intervals(self.new, self.old, n_labels, seed)
        return tuple(
            LabelGain(label, after.support, before.f1, after.f1, interval)
            for label, before, after, interval in zip(self.labels, old, new, intervals, strict=True)
            if before.f1 is not None or after.f1 is not None
        )

    def _moves(self) -> tuple[Move, ...]:
        counted: Counter[tuple[str | None, str | None]] = Counter()
        gained, lost = counted.copy(), counted.copy()
        for new, old in self.pairs:
            if new.label != old.label:
                move = old.label, new.label
                counted[move] += 1
                gained[move] += new.label == new.truth
                lost[move] += old.label == new.truth
        return tuple(Move(*move, count, gained[move], lost[move]) for move, count in counted.most_common())

    def _changes(self) -> tuple[Change, ...]:
        found = [Change(_kind(new, old), new.truth, old, new) for new, old in self.pairs if new.label != old.label]
        return tuple(sorted(found, key=lambda change: KINDS.index(change.kind)))


def _kind(new: KeptPrediction, old: KeptPrediction) -> Kind:
    if new.label == new.truth:
        return "wrong to right"
    return "right to wrong" if old.label == new.truth else "wrong to wrong"


def _scored(
    task: str,
    new: Outcome,
    old: Outcome,
    seed: int,
    labels: tuple[LabelGain, ...] = (),
    moves: tuple[Move, ...] = (),
    changes: tuple[Change, ...] = (),
) -> TaskComparison:
    before, after, intervals = scores(old), scores(new), difference_intervals(new, old, seed)
    gained, lost = int((new.correct & ~old.correct).sum()), int((old.correct & ~new.correct).sum())
    return TaskComparison(
        task=task,
        samples=len(new),
        accuracy=Gain(before.accuracy, after.accuracy, intervals.accuracy),
        weighted_f1=Gain(before.weighted_f1, after.weighted_f1, intervals.weighted_f1),
        macro_f1=Gain(before.macro_f1, after.macro_f1, intervals.macro_f1),
        gained=gained,
        lost=lost,
        p_value=mcnemar(gained, lost),
        labels=labels,
        moves=moves,
        changes=changes,
    )


def _task_record(task: TaskComparison) -> dict[str, Any]:
    record = {key: value for key, value in vars(task).items() if key not in ("labels", "moves", "changes")}
    record |= {
        name: {**asdict(gain), "difference": gain.difference}
        for name in ("accuracy", "weighted_f1", "macro_f1")
        for gain in [getattr(task, name)]
    }
    record["labels"] = [{**asdict(row), "difference": row.difference} for row in task.labels]
    record["moves"] = [asdict(move) for move in task.moves]
    record["changes"] = [
        {
            "id": change.new.id,
            "kind": change.kind,
            "truth": change.truth,
            "old": _side(change.old),
            "new": _side(change.new),
        }
        for change in task.changes
    ]
    return record


def _side(prediction: KeptPrediction) -> dict[str, Any]:
    return prediction.model_dump(exclude={"id", "task", "truth"})
