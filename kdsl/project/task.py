"""One task as it is learned: its samples, labels and folds, and what learns from them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kdsl.config_parts import AbstainConfig
from kdsl.data.splits import stratified_folds, stratified_sample
from kdsl.fields.sidecar import Sidecars
from kdsl.fields.table import FieldTable
from kdsl.label_matrix import label_array
from kdsl.mining.miner import MiningSettings
from kdsl.mining.opinion import Opinion
from kdsl.mining.problem import ALL_SAMPLES
from kdsl.mining.run import require_labels, sample_weights
from kdsl.mining.search import SearchSettings
from kdsl.models.calibrated import CalibratingTrainer
from kdsl.models.classifier import Trainer
from kdsl.models.embedded import Embedded, EmbeddedTrainer
from kdsl.models.out_of_fold import out_of_fold
from kdsl.project.project import Project
from kdsl.project.small_parts import SmallParts, small_parts
from kdsl.project.unlabelled import unlabelled_table
from kdsl.rules.rule import Rule
from kdsl.sample import Sample, Task

Labels = NDArray[np.int64]
Learner = Trainer | CalibratingTrainer
Learn = Callable[[Sequence[Rule]], Learner]
"""Gives what trains the classifier, for the rules that changed copies of the samples are to spare. What is trained
without some of the samples is given none: the rules were mined on all of them."""
Small = Callable[[FieldTable, Labels], SmallParts]
"""Gives what the small model does in mining samples with these labels; of those predicted it may have seen none."""


def left_over(samples: Sequence[Sample], rows: NDArray[np.int64]) -> list[Sample]:
    """The samples that are at none of `rows`."""
    return [samples[row] for row in np.setdiff1d(np.arange(len(samples)), rows).tolist()]


def _lexical(table: FieldTable, labels: Labels) -> SmallParts:
    return SmallParts()


def _no_samples() -> FieldTable:
    return FieldTable([], Sidecars())


@dataclass(frozen=True)
class TaskProject:
    """What `kdsl.project.fitting.fit` learns one task from.

    >>> import numpy as np
    >>> from kdsl.fields.sidecar import Sidecars
    >>> from kdsl.sample import Label, Sample, Task, Turn
    >>> task = Task("shop", (Label("refund"), Label("size")))
    >>> samples = [Sample(text, "shop", (Turn("user", text),)) for text in ("my money", "too small")]
    >>> TaskProject(task, FieldTable(samples, Sidecars()), np.array([0, 1])).folds.tolist()
    [0, 1]
    """

    task: Task
    table: FieldTable
    labels: Labels
    """Of every sample, as `kdsl.label_matrix` has them: [n_samples], or [n_samples, n_labels]."""
    settings: MiningSettings = field(default_factory=MiningSettings)
    seed: int = 0
    learn: Learn | None = None
    """None where rules are mined and no classifier is trained."""
    small: Small = _lexical
    weigher: Trainer | None = None
    """Whose mistakes mining looks at, where `settings.focus` is above 0: a classifier that needs no GPU."""
    unlabelled: Callable[[], FieldTable] = _no_samples
    """Gives samples without labels, on which rules are looked at, and for accepted ones to label; they are read when
    first asked for."""
    teaching: bool = True
    """Whether accepted rules teach the classifier what they say about those."""
    decided: tuple[Rule, ...] = ()
    """What people wrote, edited, accepted or ruled out; see `kdsl.mining.update.with_decisions`."""
    abstain: AbstainConfig | None = None
    """When a decision is handed to a person."""
    rest: Sequence[Sample] = ()
    """Labelled samples that are too many to be learned from, see `mining.max_samples`: rules are counted on them."""

    @classmethod
    def of(cls, project: Project, task: Task) -> "TaskProject":
        """A task of a project; raises KdslError for samples that nothing can be learned from."""
        config = project.config
        search = SearchSettings(max_conditions=config.mining.max_conditions, iterations=config.mining.iterations)
        samples = project.task_samples(task)
        labels = label_array(samples, task)
        require_labels(task, samples, labels)
        rows = stratified_sample([sample.id for sample in samples], labels, config.mining.max_samples, config.seed)
        searched: FieldTable = project.field_table(task, rows=None if len(rows) == len(samples) else rows.tolist())
        own = cls(
            task,
            searched,
            labels[rows],
            MiningSettings(search, focus=config.mining.focus, least_precision=config.mining.least_precision),
            config.seed,
            small=lambda table, labels: small_parts(project, task, table, labels),
            weigher=EmbeddedTrainer(task, Embedded.of(config), config.seed) if config.mining.focus else None,
            unlabelled=lambda: unlabelled_table(project, task),
            rest=left_over(samples, rows),
        )
        return own

    @classmethod
    def all_of(cls, project: Project, tasks: Sequence[Task] | None = None) -> "list[TaskProject]":
        """All tasks of a project, or `tasks`; a warning counts training images whose text nobody has read.

        Errors of `of`.
        """
        project.learned_sidecars()
        return [cls.of(project, task) for task in (project.tasks if tasks is None else tasks)]

    @cached_property
    def folds(self) -> Labels:
        """The folds of classifier, rules and arbiter alike: [n_samples], from 0."""
        return stratified_folds(self.labels, min(self.settings.folds, len(self.labels)), self.seed)

    @property
    def sample_ids(self) -> list[str]:
        return [row.sample.id for row in self.table.rows]

    @cached_property
    def weights(self) -> NDArray[np.float64] | None:
        """Large where the classifier errs, out of fold: [n_samples]; None where that does not matter."""
        if self.settings.focus == 0.0:
            return None
        weigher = self.weigher or EmbeddedTrainer(self.task, seed=self.seed)
        model = out_of_fold(weigher, self.table, self.labels, len(self.task.labels), self.folds)
        return sample_weights(model, self.labels, self.settings.focus)

    @cached_property
    def parts(self) -> SmallParts:
        """What the small model does in mining these samples."""
        return self.small(self.table, self.labels)

    def opinion(self, advance: Callable[[str], None] = lambda what: None) -> Opinion | None:
        """What the linear classifier says about the unlabelled samples, without each fold too; None without any.

        `advance` is called after each of `n_folds` + 1 trainings.
        """
        unlabelled = self.unlabelled()
        if not len(unlabelled):
            return None
        trainer, probabilities = EmbeddedTrainer(self.task, seed=self.seed), {}
        for fold in range(ALL_SAMPLES, int(self.folds.max()) + 1):
            rows = np.flatnonzero(self.folds != fold)
            classifier = trainer.fit(self.table.select(rows), self.labels[rows], len(self.task.labels))
            probabilities[fold] = classifier.predict(unlabelled).probabilities
            advance(f"{self.task.name}: unlabelled samples")
        return Opinion(unlabelled, probabilities)

    def require_learn(self) -> Learn:
        """What `learn` is; ValueError where it is None."""
        if self.learn is None:
            raise ValueError(f"{self.task.name}: nothing is given that learns from the samples")
        return self.learn

    def deciding(self, rules: Sequence[Rule]) -> "TaskProject":
        """The same with what people decided about rules."""
        return replace(self, decided=tuple(rules))

    def select(self, rows: NDArray[np.int64]) -> "TaskProject":
        """The same with some of the samples."""
        return replace(self, table=self.table.select(rows), labels=self.labels[rows])
