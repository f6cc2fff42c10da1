"""The search of one label, to look at: what it finds, and its graph. Nothing is written into the rule base."""

import difflib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kdsl.errors import KdslError
from kdsl.file_names import safe_name
from kdsl.locks import claimed
from kdsl.mining.archive import Archive, load_archive
from kdsl.mining.inside import Inside
from kdsl.mining.miner import MiningSettings, listed, mine_label, start_search
from kdsl.mining.named import Found, with_named
from kdsl.mining.problem import ALL_SAMPLES, FoundRule, MiningProblem, jobs
from kdsl.mining.run import inside_of, prepare
from kdsl.mining.trace import write_trace
from kdsl.project.mining import archive_path
from kdsl.project.project import Project
from kdsl.project.small import ask_questions
from kdsl.project.task import TaskProject
from kdsl.sample import Task

Tell = Callable[[str], None]
"""Called with what came of asking a small model visual questions, a line at a time."""


@dataclass(frozen=True)
class LabelRule:
    """A rule that the search of one label found, with its counts on the training samples."""

    rule: str
    """Its conditions in words."""
    hits: int
    correct: int
    reliability: float | None
    """None where the task was never mined as a whole, which is what estimates it."""

    def record(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def search_label(project: Project, label: str, tell: Tell = lambda line: None) -> tuple[Task, list[LabelRule]]:
    """The task of a label, and the rules that its search finds on all samples, the most reliable first.

    As `kdsl mine --label` does it. Raises KdslError for a label that no task has, and for samples that nothing can be
    learned from.
    """
    task, index = find_label(project, label)
    # Nothing is written but the answers of a small model.
    with claimed(folders=[None if project.config.small_model is None else project.config.checkpoint]):
        own = _asked(project, task, tell)
        path = archive_path(project, task)
        archive = load_archive(path) if path.exists() else None
        problem = _problem(own)
        found: Found = {job: [] for job in jobs(problem)}
        found[ALL_SAMPLES, index] = mine_label(problem, ALL_SAMPLES, index, own.settings, _inside(own, problem))
        problem, found = with_named(problem, found, own.table)
        return task, _listed(problem, found[ALL_SAMPLES, index], archive, own.settings)


def trace_label(project: Project, label: str, tell: Tell = lambda line: None) -> tuple[Path, Path]:
    """Run the search of one label and write its graph into the checkpoint, as `kdsl mine --trace` does; the two files.

    Errors are those of `search_label`, and KdslError where no condition holds on enough samples of the label.
    """
    task, index = find_label(project, label)
    with claimed(folders=[project.config.checkpoint]):
        own = _asked(project, task, tell)
        problem = _problem(own)
        started = start_search(problem, ALL_SAMPLES, index, own.settings, _inside(own, problem))
        if started is None:
            raise KdslError(
                f"{task.name}: there is nothing to trace, as no condition holds on enough samples of {label!r}"
            )
        started.run()
        return write_trace(started, label, project.config.checkpoint / f"trace-{safe_name(label)}")


def find_label(project: Project, name: str) -> tuple[Task, int]:
    """The first task that has the label, and its index there; KdslError, with labels like it, where none has."""
    for task in project.tasks:
        if name in task.label_names:
            return task, task.label_names.index(name)
    known = [label for task in project.tasks for label in task.label_names]
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.0)
    raise KdslError(f"no task of the project has the label {name!r}; did you mean {' or '.join(map(repr, close))}?")


def _asked(project: Project, task: Task, tell: Tell) -> TaskProject:
    """What the task's search works on, once the visual questions are answered that a small model proposes."""
    for line in ask_questions(project, project.small):
        tell(line)
    project.learned_sidecars()  # warns of images whose text nobody has read
    return TaskProject.of(project, task)


def _problem(own: TaskProject) -> MiningProblem:
    return prepare(
        own.task, own.table, own.labels, own.settings, own.seed, own.weights, own.folds, own.parts.proposer
    )  # fmt: skip


def _inside(own: TaskProject, problem: MiningProblem) -> Inside | None:
    return inside_of(problem, own.settings, own.parts.adviser, own.parts.validator, own.parts.budget)


def _listed(
    problem: MiningProblem, found: Sequence[FoundRule], archive: Archive | None, settings: MiningSettings
) -> list[LabelRule]:
    """The list of the label, the most reliable first; without an archive the first candidates, as they were found."""
    everyone = problem.members(ALL_SAMPLES)
    if archive is None:
        chosen = list(found[: settings.most_rules])
    else:
        counts = [problem.shown(rule, everyone) for rule in found]
        chosen = listed(problem, ALL_SAMPLES, found, counts, archive.reliability, settings)
    rows = []
    for rule in chosen:
        shown = problem.shown(rule, everyone)
        reliability = None if archive is None else round(float(archive.reliability.estimate([shown])[0]), 4)
        words = " and ".join(map(str, rule.written(problem.vocabulary)))
        rows.append(LabelRule(words, shown.hits, shown.correct, reliability))
    return sorted(rows, key=lambda rule: -(rule.reliability or 0.0))
