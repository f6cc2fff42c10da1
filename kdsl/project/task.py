"""Mining the tasks of a project, with the files that `kdsl mine` and `kdsl run` read and write."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kdsl.config import ProjectConfig
from kdsl.data.splits import stratified_folds
from kdsl.errors import KdslError
from kdsl.fields.sidecar import Sidecars
from kdsl.fields.table import FieldTable
from kdsl.mining.archive import ARCHIVE_FILE, Archive, load_archive, save_archive
from kdsl.mining.miner import ALL_SAMPLES, FoundRule, MiningProblem, MiningSettings, mine_label, start_search
from kdsl.mining.run import mine_task, prepare, require_labels, sample_weights
from kdsl.mining.search import SearchSettings
from kdsl.mining.trace import write_trace
from kdsl.mining.update import update_rule_base
from kdsl.models.classifier import Trainer
from kdsl.models.embedded import Embedded, EmbeddedTrainer
from kdsl.models.out_of_fold import out_of_fold
from kdsl.progress import progress_bar
from kdsl.project.project import Project
from kdsl.project.small_parts import SmallParts, small_parts
from kdsl.rules.rule import Rule
from kdsl.rules.rule_files import label_folder
from kdsl.rules.rulebase import MineReport, RuleBase
from kdsl.sample import Task, label_indices

RESUME_FILE = "mining.resume.jsonl"


@dataclass(frozen=True)
class MinedTask:
    """What mining one task of a project did, for a table or JSON."""

    task: Task
    base: RuleBase
    report: MineReport
    archive: Path
    labels: NDArray[np.int64]
    """Index of every sample's label. [n_samples]"""
    conditions: int
    """Candidate conditions that the samples gave."""
    told: list[str]
    """What the small model did."""

    def notes(self) -> list[str]:
        """What there is to say beside the rules, in a line each."""
        report, base = self.report, self.base
        lines = [
            f"{base.folder / base.task}: {len(report.added)} rules added, {len(report.removed)} removed, "
            f"{len(report.kept)} kept; {self.archive} is what the arbiter is fitted on"
        ]
        if not self.conditions:
            lines.append(
                f"warning: {self.task.name}: the samples gave no candidate condition; they need text, "
                "or images that `kdsl ocr` has read"
            )
        return lines + self.told


@dataclass(frozen=True)
class TaskProject:
    """One task of a project, ready to be mined."""

    project: Project
    task: Task
    table: FieldTable

    @classmethod
    def of(cls, project: Project, task: Task, sidecars: Sidecars) -> "TaskProject":
        """Raises KdslError for samples that cannot be mined."""
        mining = cls(project, task, FieldTable(project.task_samples(task), sidecars))
        require_labels(task, mining.table, mining.labels)
        return mining

    @property
    def config(self) -> ProjectConfig:
        return self.project.config

    @property
    def settings(self) -> MiningSettings:
        budget = self.config.mining
        search = SearchSettings(max_conditions=budget.max_conditions, iterations=budget.iterations)
        return MiningSettings(search, focus=budget.focus)

    @property
    def archive(self) -> Path:
        return self.config.checkpoint / self.task.name / ARCHIVE_FILE

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        return np.array(label_indices([row.sample for row in self.table.rows], self.task), dtype=np.int64)

    @cached_property
    def folds(self) -> NDArray[np.int64]:
        """The folds of classifier, rules and arbiter alike."""
        return stratified_folds(self.labels, min(self.settings.folds, len(self.labels)), self.config.seed)

    @cached_property
    def weights(self) -> NDArray[np.float64] | None:
        """Large where the classifier errs, out of fold; None where that does not matter."""
        if self.settings.focus == 0.0:
            return None
        model = out_of_fold(self.trainer, self.table, self.labels, len(self.task.labels), self.folds)
        return sample_weights(model, self.labels, self.settings.focus)

    @property
    def trainer(self) -> Trainer:
        """Of the classifier that is not a vision-language model; it knows nothing of the rule base.

        For all that is fitted without some of the samples: the rule base was mined on them, too.
        """
        return self.trainer_sparing(())

    def trainer_sparing(self, rules: Sequence[Rule]) -> Trainer:
        """The same; where it learns from changed copies of the samples, these spare what `rules` see."""
        from kdsl.models.recorded import RecordedTrainer, read_recorded
        from kdsl.project.recorded import data_orders

        recorded = self.config.recorded
        if recorded is not None:
            return RecordedTrainer(read_recorded(recorded, self.task, data_orders(Project(self.config))))
        embedded = EmbeddedTrainer(self.task, Embedded.of(self.config), self.config.seed)
        if self.config.augment.copies == 0:
            return embedded
        from kdsl.augmentation.trainer import AugmentingTrainer
        from kdsl.project.augmentation import augmenter

        return AugmentingTrainer(embedded, augmenter(self.project, self.task, rules))

    @cached_property
    def problem(self) -> MiningProblem:
        return prepare(
            self.task,
            self.table,
            self.labels,
            self.settings,
            self.config.seed,
            self.weights,
            self.folds,
            self._small.proposer,
        )

    @cached_property
    def _small(self) -> SmallParts:
        return small_parts(self.project, self.task, self.table, self.labels)

    def run(self, workers: int) -> MinedTask:
        """Mine every label and write rules, statistics and archive.

        An interruption leaves the searches that were done in the checkpoint, and says so.
        """
        base = RuleBase.load(self.config.rules, self.task.name)
        require_writable(base.folder / base.task)
        names = self.task.label_names
        total = (int(self.folds.max()) + 2) * len(names)
        try:
            with progress_bar(f"{self.task.name}: classifier", total) as advance:
                mined = mine_task(
                    self.task,
                    self.table,
                    self.labels,
                    self.settings,
                    self.config.seed,
                    self.weights,
                    self.folds,
                    self._small.proposer,
                    self._small.validator,
                    resume_file=self.archive.with_name(RESUME_FILE),
                    progress=lambda fold, label: advance(f"{self.task.name}: {names[label]}"),
                    workers=workers,
                )
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"the searches of {self.task.name} that were done are kept; the same command goes on from there"
            ) from None
        save_archive(mined, [row.sample.id for row in self.table.rows], self.archive)
        run = datetime.now().strftime("%Y-%m-%dT%H:%M")
        report = update_rule_base(
            base, mined, self.table, run, self.config.seed, self._small.validator, self._small.synonyms
        )
        return MinedTask(
            self.task, base, report, self.archive, self.labels, len(mined.problem.vocabulary), self._told()
        )

    def _told(self) -> list[str]:
        return self._small.told(self.task, self.project.small)

    def one_label(self, label: int) -> tuple[list[FoundRule], Archive | None]:
        """The rules that the search of one label finds on all samples, and the archive of the last whole run."""
        archive = load_archive(self.archive) if self.archive.exists() else None
        return mine_label(self.problem, ALL_SAMPLES, label, self.settings), archive

    def trace(self, label: int) -> tuple[Path, Path]:
        """Run the search of one label and write its graph into the checkpoint; returns the two files."""
        name = self.task.label_names[label]
        search = start_search(self.problem, ALL_SAMPLES, label, self.settings)
        if search is None:
            raise KdslError(
                f"{self.task.name}: there is nothing to trace, as no condition holds on enough samples of {name!r}"
            )
        search.run()
        return write_trace(search, name, self.config.checkpoint / f"trace-{label_folder(name)}")


def require_writable(folder: Path) -> None:
    """Raise KdslError when files cannot be made in `folder`, before long work is done for nothing."""
    from tempfile import TemporaryFile

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise KdslError(
            f"{folder}: cannot be written ({error.strerror}); choose a rules folder that you may write to"
        ) from error
