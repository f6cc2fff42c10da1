"""What a project predicts with before anybody has labelled a sample: the names of its labels, and people's rules."""

import logging
from collections.abc import Sequence

from kdsl.arbiter.arbiter import ARBITER_FILE
from kdsl.arbiter.fit import unfitted_arbiter
from kdsl.arbiter.trained import TrainedTask, active_rules
from kdsl.config import EMBEDDED
from kdsl.data.checks import NO_LABELS
from kdsl.errors import KdslError
from kdsl.files import is_there
from kdsl.locks import claimed
from kdsl.models.cold_start import fit_cold_start
from kdsl.project.project import Project
from kdsl.project.unlabelled import unlabelled_table
from kdsl.sample import Task

_log = logging.getLogger(__name__)


def cold_tasks(project: Project) -> list[Task]:
    """The tasks that have no labelled training sample."""
    return [task for task in project.tasks if not project.has_labels(task)]


def labelled_tasks(project: Project, what: str) -> list[Task]:
    """The other tasks. Those without labels are told of in a warning: `what` leaves them out.

    Raises KdslError where none is left.
    """
    cold = cold_tasks(project)
    if len(cold) == len(project.tasks):
        train, config = project.config.data.train, project.config.folder / "kdsl.yaml"
        found = f"{config}: data.train is not set" if train is None else f"{train}: no sample has a label"
        raise KdslError(f"{found}, and {what} needs labelled samples; training and predicting go without")
    for task in cold:
        _log.warning("%s: no training sample has a label, so %s leaves the task out", task.name, what)
    return [task for task in project.tasks if task not in cold]


def train_cold(project: Project, task: Task) -> TrainedTask:
    """The classifier of a task without labelled samples, with the rules that people accepted; left in the checkpoint.

    Samples without labels, of data.train and data.unlabelled, tell it what samples have in common; data.train need not
    be there yet. Raises KdslError where the project has another classifier than those of KDSL.
    """
    if task.multi:
        raise KdslError(
            f"{task.name}: no training sample has labels, and where a sample may have several (`multi: true`) their "
            "names alone do not tell how many hold; label samples"
        )
    if not _embedded(project):
        raise KdslError(
            f"{task.name}: no training sample has a label, and `large: {project.config.large}` is weighed by some; "
            "label samples, or set `large: linear`, which goes by the labels' names without any"
        )
    base = project.rule_base(task)
    if project.awaits_samples:
        accepted = sum(rule.approved for rule in base.rules)
        _log.warning(
            "%s: %s is not there yet, so nothing was trained: predicts by the rules that people accepted (%d) and by "
            "the names and descriptions of the labels",
            task.name, project.config.data.train, accepted,
        )  # fmt: skip
    else:
        _log.warning("%s: %s", task.name, NO_LABELS)
    if project.config.abstain is not None:
        _log.warning("%s: abstain: nothing is handed to a person until samples tell how often it is right", task.name)
    sidecars = project.learned_sidecars()
    unlabelled = unlabelled_table(project, task)
    rules = active_rules(base.rules, task, sidecars)
    arbiter = unfitted_arbiter(task, unlabelled, rules, base.statistics(), sidecars.left_out)
    trained = TrainedTask(task, fit_cold_start(task, unlabelled, sidecars.vectors), tuple(rules), arbiter)
    trained.save(project.config.checkpoint / task.name, project.config.large)
    return trained


def train_untrained(project: Project, tasks: Sequence[Task]) -> None:
    """Train those of `tasks` that need no labelled samples for it, and that nobody has trained.

    Where data.train is not there, be it that its name is mistyped, these are the tasks that people accepted rules for.
    """
    checkpoint = project.config.checkpoint
    untrained = [task for task in tasks if not is_there(checkpoint / task.name / ARBITER_FILE)]
    if not untrained or not _embedded(project):
        return
    if project.awaits_samples:
        cold = [task for task in untrained if any(rule.approved for rule in project.rule_base(task).rules)]
    else:
        cold = [task for task in cold_tasks(project) if task in untrained]
    if cold:
        with claimed(folders=[checkpoint]):
            for task in cold:
                train_cold(project, task)


def _embedded(project: Project) -> bool:
    return project.config.large in EMBEDDED
