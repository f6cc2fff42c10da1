"""Mining a task: its searches, and for a task of a project the files that `kdsl mine` and `kdsl run` write."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdsl.errors import Hint, KdslError
from kdsl.label_matrix import has_label, label_array
from kdsl.locks import claimed
from kdsl.mining.archive import ARCHIVE_FILE, as_mined, candidate_rules, load_archive, save_archive
from kdsl.mining.beyond import count_beyond
from kdsl.mining.miner import Mined
from kdsl.mining.opinion import Opinion
from kdsl.mining.run import Searches, mine_task
from kdsl.mining.update import Counting, MinedRules, update_rule_base
from kdsl.progress import Advance, Progress, reported
from kdsl.project.project import Project
from kdsl.project.small import ask_questions
from kdsl.project.task import TaskProject
from kdsl.project.without_labels import labelled_tasks
from kdsl.rules.rule import Rule
from kdsl.rules.rulebase import MineReport, RuleBase
from kdsl.rules.statistics import RuleStatistics
from kdsl.rules.table import conditions
from kdsl.sample import Task

RESUME_FILE = "mining.resume.jsonl"


def archive_path(project: Project, task: Task) -> Path:
    """Where the archive of a task's mining lies in the checkpoint."""
    return project.config.checkpoint / task.name / ARCHIVE_FILE


def search(
    own: TaskProject,
    opinion: Opinion | None = None,
    resume_file: Path | None = None,
    advance: Advance | None = None,
    workers: int = 2,
    searches: Searches | None = None,
) -> Mined:
    """Search the rules of every label, and again without each fold; nothing is written but the `resume_file`.

    `opinion` is that of `own`. `advance` is called after each search. Errors are those of `kdsl.mining.run.mine_task`.
    """
    names = own.task.label_names
    return mine_task(
        own.task,
        own.table,
        own.labels,
        own.settings,
        own.seed,
        own.weights,
        own.folds,
        own.parts.proposer,
        own.parts.validator,
        own.parts.adviser,
        own.parts.budget,
        opinion,
        resume_file=resume_file,
        progress=None if advance is None else lambda fold, label: advance(f"{own.task.name}: {names[label]}"),
        workers=workers,
        searches=searches,
    )


def counting_rest(own: TaskProject, workers: int, progress: Progress | None = None) -> Counting | None:
    """Counts rules on the labelled samples of a task that are not searched; None where all are."""
    if not own.rest:
        return None
    return partial(
        count_beyond, own.task, samples=own.rest, sidecars=own.table.sidecars, workers=workers, progress=progress
    )


@dataclass(frozen=True)
class LabelResult:
    """What the rule base of a task has for one label."""

    label: str
    samples: int
    rules: int
    """Accepted and proposed ones."""
    best: tuple[Rule, RuleStatistics] | None
    """The most reliable of them."""

    def record(self) -> dict[str, Any]:
        """For JSON."""
        best = None
        if self.best is not None:
            rule, entry = self.best
            measured = entry.model_dump(include={"training", "held_out", "reliability"})
            best = {"id": rule.id, "rule": conditions(rule), **measured}
        return {"label": self.label, "samples": self.samples, "rules": self.rules, "best": best}


@dataclass(frozen=True)
class MinedTask:
    """What mining one task of a project did, for a table or JSON."""

    task: Task
    base: RuleBase
    report: MineReport
    archive: Path
    labels: NDArray[np.int64]
    """Of every sample, as `kdsl.label_matrix` has them."""
    conditions: int
    """Candidate conditions that the samples gave."""
    unlabelled: int
    """Samples without labels that rules were looked at on."""
    told: list[str]
    """What the small model did."""
    searched: int
    """Labelled samples that rules were searched on."""
    samples: int
    """All labelled samples, on which rules were counted."""

    def by_label(self) -> list[LabelResult]:
        """The labels in the task's order."""
        statistics = self.base.statistics()
        results = []
        for index, label in enumerate(self.task.label_names):
            rules = [rule for rule in self.base.active() if rule.label == label]
            known = [(rule, statistics[rule.id, rule.when_hash]) for rule in rules]
            best = max(known, key=lambda each: (each[1].reliability or 0.0, each[1].training.correct), default=None)
            results.append(LabelResult(label, int(has_label(self.labels, index).sum()), len(rules), best))
        return results

    def record(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "task": self.task.name,
            "rules": str(self.base.folder / self.base.task),
            "archive": str(self.archive),
            "searched": self.searched,
            "samples": self.samples,
            "unlabelled": self.unlabelled,
            "added": [rule.id for rule in self.report.added],
            "removed": [rule.id for rule in self.report.removed],
            "kept": [rule.id for rule in self.report.kept],
            "labels": [result.record() for result in self.by_label()],
        }

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
        if self.searched < self.samples:
            lines.append(
                f"{self.task.name}: rules were searched on {self.searched} of {self.samples} samples "
                "(mining.max_samples), and counted on all"
            )
        if self.unlabelled:
            samples = "1 unlabelled sample" if self.unlabelled == 1 else f"{self.unlabelled} unlabelled samples"
            lines.append(f"{self.task.name}: reliability goes by {samples}, too")
        return lines + self.told


def mine(project: Project, own: TaskProject, workers: int = 2, searches: Searches | None = None) -> MinedTask:
    """Mine every label of a task and write rules, statistics and archive.

    An interruption leaves the searches that were done in the checkpoint, and says so.
    """
    task, archive = own.task, archive_path(project, own.task)
    resume_file = archive.with_name(RESUME_FILE)
    base = project.rule_base(task)
    require_writable(base.folder / base.task)
    try:
        n_parts = int(own.folds.max()) + 2
        opinion = None
        if len(own.unlabelled()):
            with reported(project.progress, f"{task.name}: unlabelled samples", n_parts) as advance:
                opinion = own.opinion(advance)
        with reported(project.progress, f"{task.name}: classifier", n_parts * len(task.labels)) as advance:
            mined = search(own, opinion, resume_file, advance, workers, searches)
        counting = counting_rest(own, workers, project.progress)
        beyond = None if counting is None else counting([*candidate_rules(mined, "", own.seed), *base.rules])
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"the searches of {task.name} that were done are kept; the same command goes on from there"
        ) from None
    save_archive(mined, own.sample_ids, archive, len(own.rest))
    run = datetime.now().strftime("%Y-%m-%dT%H:%M")
    report = update_rule_base(base, mined, own.table, run, own.seed, own.parts.validator, own.parts.synonyms, beyond)
    resume_file.unlink(missing_ok=True)
    told = own.parts.told(task, project.small)
    unlabelled = 0 if opinion is None else len(opinion.table)
    everyone = np.concatenate([own.labels, label_array(own.rest, task)]) if own.rest else own.labels
    searched, conditions = len(own.table), len(mined.problem.vocabulary)
    return MinedTask(task, base, report, archive, everyone, conditions, unlabelled, told, searched, len(everyone))


def mine_project(
    project: Project,
    workers: int | None = None,
    tell: Callable[[str], None] = lambda line: None,
    searches: Searches | None = None,
) -> list[MinedTask]:
    """Mine all tasks of a project that have labelled samples; none is when any of them cannot be.

    Visual questions are asked first, where there is a small model; `tell` is called with what came of that. The
    searches run in `workers` processes, one a core by default, or where `searches` has them run.
    """
    with claimed(folders=[project.config.checkpoint, project.config.rules]):
        labelled = labelled_tasks(project, "mining")
        for line in ask_questions(project, project.small):
            tell(line)
        tasks = TaskProject.all_of(project, labelled)
        return [mine(project, own, workers or os.cpu_count() or 1, searches) for own in tasks]


def mined_rules_of(project: Project, task: Task) -> MinedRules:
    """What mining, and people since, left of a task; KdslError where `kdsl mine` was not run."""
    path = archive_path(project, task)
    if not path.exists():
        raise KdslError(f"{path}: no such file, and the arbiter needs mined rules", Hint.MINE)
    base = project.rule_base(task)
    return MinedRules(tuple(base.rules), base.statistics(), load_archive(path))


def decided_rules(project: Project, task: Task) -> tuple[Rule, ...]:
    """The rules of a task that people wrote, edited, accepted or ruled out."""
    rules = project.rule_base(task).rules
    return tuple(rule for rule in rules if rule.status != "proposed" or not as_mined(task.name, rule))


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
