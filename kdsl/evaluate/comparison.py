"""Two predictors on the same samples: gains and losses with paired intervals, and every sample that changed."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np

from kdsl.evaluate.bootstrap import LEVEL, N_RESAMPLES, Interval
from kdsl.evaluate.paired import Flags, Gain, PairedScores, paired_scores
from kdsl.evaluate.runs import KeptPrediction, Labels, as_set

POOLED = "pooled"

Kind = Literal["right to wrong", "wrong to right", "wrong to wrong"]
KINDS: tuple[Kind, ...] = ("right to wrong", "wrong to right", "wrong to wrong")


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

    old: Labels | None
    new: Labels | None
    samples: int
    gained: int
    """Of these wrong before and right now."""
    lost: int
    """Of these right before and wrong now."""


@dataclass(frozen=True)
class Change:
    """A sample that is predicted otherwise than before."""

    kind: Kind
    truth: Labels
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
    micro_f1: Gain | None
    """None with one label a sample, where it is the accuracy."""
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
        found = ("accuracy", self.accuracy), ("weighted F1", self.weighted_f1), ("macro F1", self.macro_f1)
        return found if self.micro_f1 is None else (*found, ("micro F1", self.micro_f1))

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
        tasks.append(_pooled(compared, seed))
    return Comparison(
        tasks=tuple(tasks),
        only_new=len(new) - len(pairs),
        only_old=len(before) - len(pairs),
        relabelled=sum(as_set(one.truth) != as_set(other.truth) for one, other in pairs),
        seed=seed,
    )


def mcnemar(gained: int, lost: int) -> float:
    """The two-sided p value of McNemar's exact test: of `gained + lost` fair coins, so uneven an outcome or more.

    Source: McNemar, Psychometrika 12, 1947; the exact form is a sign test on the samples that changed.
    """
    from scipy.stats import binomtest

    return float(binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0


class _Compared:
    """The pairs of one task, as flags over one list of labels."""

    def __init__(
        self, task: str, pairs: Sequence[tuple[KeptPrediction, KeptPrediction]], known: Sequence[str]
    ) -> None:
        self.task, self.pairs = task, pairs
        self.multi = any(isinstance(new.truth, tuple) for new, _ in pairs)
        named = (label for new, old in pairs for of in (new.truth, new.label, old.label) for label in as_set(of))
        self.labels = list(dict.fromkeys((*known, *named)))
        self.truth = self._flags([new.truth for new, _ in pairs])
        self.new, self.old = self._flags([new.label for new, _ in pairs]), self._flags([old.label for _, old in pairs])

    def _flags(self, given: Sequence[Labels | None]) -> Flags:
        """[n_pairs, n_labels]"""
        index = {label: i for i, label in enumerate(self.labels)}
        flags = np.zeros((len(given), len(index)), dtype=bool)
        for row, labels in enumerate(given):
            for label in as_set(labels):
                flags[row, index[label]] = True
        return flags

    def comparison(self, seed: int) -> TaskComparison:
        scores = paired_scores(self.truth, self.new, self.old, seed)
        scored = _scored(self.task, self.truth, self.new, self.old, scores, self.multi)
        return replace(scored, labels=self._label_gains(scores), moves=self._moves(), changes=self._changes())

    def _label_gains(self, scores: PairedScores) -> tuple[LabelGain, ...]:
        support = self.truth.sum(axis=0)
        counts = zip(support, (support + self.old.sum(axis=0)), (support + self.new.sum(axis=0)), strict=True)
        return tuple(
            LabelGain(label, int(samples), gain.old if old else None, gain.new if new else None, gain.interval)
            for label, gain, (samples, old, new) in zip(self.labels, scores.label_f1, counts, strict=True)
            if old or new
        )

    def _moves(self) -> tuple[Move, ...]:
        counted: Counter[tuple[Labels | None, Labels | None]] = Counter()
        gained, lost = counted.copy(), counted.copy()
        for new, old in self.pairs:
            if as_set(new.label) != as_set(old.label):
                move = old.label, new.label
                counted[move] += 1
                gained[move] += new.right_by(new.truth)
                lost[move] += old.right_by(new.truth)
        return tuple(Move(*move, count, gained[move], lost[move]) for move, count in counted.most_common())

    def _changes(self) -> tuple[Change, ...]:
        changed = [(new, old) for new, old in self.pairs if as_set(new.label) != as_set(old.label)]
        found = [Change(_kind(new, old), new.truth, old, new) for new, old in changed]
        return tuple(sorted(found, key=lambda change: KINDS.index(change.kind)))


def _kind(new: KeptPrediction, old: KeptPrediction) -> Kind:
    if new.right_by(new.truth):
        return "wrong to right"
    return "right to wrong" if old.right_by(new.truth) else "wrong to wrong"


def _pooled(compared: Sequence[_Compared], seed: int) -> TaskComparison:
    """All tasks together; labels of different tasks are different classes."""
    from scipy.linalg import block_diag

    truth, new, old = (block_diag(*(getattr(each, name) for each in compared)) for name in ("truth", "new", "old"))
    multi = any(each.multi for each in compared)
    return _scored(POOLED, truth, new, old, paired_scores(truth, new, old, seed), multi)


def _scored(task: str, truth: Flags, new: Flags, old: Flags, scores: PairedScores, multi: bool) -> TaskComparison:
    now, before = (new == truth).all(axis=1), (old == truth).all(axis=1)
    gained, lost = int((now & ~before).sum()), int((before & ~now).sum())
    return TaskComparison(
        task=task,
        samples=len(truth),
        accuracy=scores.accuracy,
        weighted_f1=scores.weighted_f1,
        macro_f1=scores.macro_f1,
        micro_f1=scores.micro_f1 if multi else None,
        gained=gained,
        lost=lost,
        p_value=mcnemar(gained, lost),
    )


def _task_record(task: TaskComparison) -> dict[str, Any]:
    record = {key: value for key, value in vars(task).items() if key not in ("labels", "moves", "changes")}
    record |= {
        name: {**asdict(gain), "difference": gain.difference}
        for name in ("accuracy", "weighted_f1", "macro_f1", "micro_f1")
        if (gain := getattr(task, name)) is not None
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
