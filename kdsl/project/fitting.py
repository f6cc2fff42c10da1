"""Training the tasks of a project, with the files that `kdsl train` and `kdsl run` read and write."""

import logging
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from kdsl.arbiter.arbiter import ARBITER_FILE, Arbiter
from kdsl.arbiter.fit import fit_arbiter
from kdsl.arbiter.predictor import usable_rules
from kdsl.augmentation.trainer import AugmentingTrainer
from kdsl.errors import KdslError
from kdsl.locks import held
from kdsl.mining.archive import load_archive
from kdsl.models.calibrated import CalibratingTrainer, fit_calibrated
from kdsl.models.classifier import Trainer
from kdsl.models.out_of_fold_file import save_out_of_fold
from kdsl.models.recorded import RecordedTrainer
from kdsl.project.task import TaskProject
from kdsl.rules.rulebase import RuleBase

_log = logging.getLogger(__name__)

TRAINING_ADVANCES = 7
"""Calls of `advance` that training a task makes, with five folds."""


def train_task(mining: TaskProject, trainer: Trainer | CalibratingTrainer, advance: Callable[[str], None]) -> Arbiter:
    """Train the classifier, fit the arbiter out of fold, and save both in the task's checkpoint folder.

    `advance` is called with what was done. Raises KdslError where `kdsl mine` has not been run on these samples.
    """
    task, table, labels = mining.task, mining.table, mining.labels
    n_labels = len(task.labels)
    folder = mining.archive.parent
    archive = load_archive(mining.archive)
    base = RuleBase.load(mining.config.rules, task.name)
    folds = archive.folds_of([row.sample.id for row in table.rows])
    answered = covered_rows(mining, trainer)
    used = np.flatnonzero(answered)
    covered = table.select(used)
    calibrated = fit_calibrated(
        trainer,
        covered,
        labels[used],
        n_labels,
        folds[used],
        lambda done, total: advance(f"{task.name}: classifier"),
        trainer.without_rules() if isinstance(trainer, AugmentingTrainer) else None,
    )
    model = np.full((len(table), n_labels), 1 / n_labels)
    model[used] = calibrated.probabilities
    answered[used] = calibrated.unseen
    ruled_out = [rule for rule in base.rules if rule.status in ("rejected", "disabled")]
    rules = [*usable_rules(base, task), *ruled_out]
    arbiter = fit_arbiter(
        task, table, labels, model, archive, rules, base.statistics(), mining.config.seed, answered
    )  # fmt: skip
    advance(f"{task.name}: arbiter")
    with held(folder):  # who predicts meanwhile reads what belongs together
        (folder / ARBITER_FILE).unlink(
            missing_ok=True
        )  # nor is there anything to predict with after a kill in between
        calibrated.classifier.save(folder)
        save_out_of_fold(folder, task, mining.config.large, table, model, answered)
        arbiter.save(folder)
    advance(f"{task.name}: saved")
    return arbiter


def covered_rows(mining: TaskProject, trainer: Trainer | CalibratingTrainer) -> NDArray[np.bool_]:
    """The samples that the classifier can say something about, all but for a recorded model: [n_samples].

    The others are counted in a warning. Raises KdslError where too few are left.
    """
    if not isinstance(trainer, RecordedTrainer):
        return np.ones(len(mining.table), dtype=bool)
    path = trainer.recorded.path
    answered = trainer.recorded.covers(mining.table)
    missing = int((~answered).sum())
    if missing == len(answered):
        trainer.recorded.require_any(mining.table)
    if len(answered) - missing < len(np.unique(mining.folds)):
        raise KdslError(
            f"{path}: holds too few of the training samples of {mining.task.name} ({len(answered) - missing})"
        )
    if missing:
        _log.warning(
            "%s: %d of %d training samples of %s are not in it; only the others are used",
            path, missing, len(answered), mining.task.name,
        )  # fmt: skip
    return answered
