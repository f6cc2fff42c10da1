"""The one way to fit a task: rules, classifier and arbiter, for training, cross-validation, ablation and Python."""

import logging

import numpy as np
from numpy.typing import NDArray

from kdsl.arbiter.abstention import choose_abstention
from kdsl.arbiter.arbiter import Arbiter
from kdsl.arbiter.evidence import RuleEvidence
from kdsl.arbiter.fit import fit_arbiter, out_of_fold_evidence
from kdsl.arbiter.scope import FEWEST_EXAMPLES, FEWEST_LABELS, Scope, fit_scope
from kdsl.arbiter.trained import TrainedOn, TrainedTask, active_rules, usable_rules
from kdsl.data.splits import stratified_folds
from kdsl.errors import KdslError
from kdsl.mining.update import MinedRules, with_decisions
from kdsl.models.calibrated import CalibratingTrainer, fit_calibrated
from kdsl.models.classifier import Classifier
from kdsl.models.recorded import RecordedTrainer
from kdsl.progress import Advance
from kdsl.project.held_out_labels import held_out_labels
from kdsl.project.mining import counting_rest, search
from kdsl.project.task import Learner, TaskProject
from kdsl.project.teaching import teach

_log = logging.getLogger(__name__)


def fit(
    own: TaskProject, mined: MinedRules | None = None, workers: int = 2, advance: Advance = lambda done: None
) -> TrainedTask:
    """Mine rules, train the classifier, and fit the arbiter on what both say out of fold about the samples.

    1. Rules: `mined` is what mining left, as `kdsl train` reads it from the rule base; where it is None they are mined
       here, and what people decided (`own.decided`) is merged in, as it is in a rule base.
    2. Classifier: trained on all samples, and without each fold of the mining; accepted rules teach it what they know
       about unlabelled samples (`kdsl.project.teaching`).
    3. Arbiter: fitted on the predictions of both, none of them made by what has seen the sample.

    `advance` is called after each of `advances(own)` pieces of work. Raises KdslError where there is too little to
    learn from, and where `mined` is about other samples.
    """
    learn = own.require_learn()
    if mined is None:
        mined = mine_in_memory(own, workers, advance)
    task, table, labels, n_labels = own.task, own.table, own.labels, len(own.task.labels)
    active = active_rules(mined.rules, task, table.sidecars)
    learner = learn(active)
    known = covered_rows(own, learner)
    rows = np.flatnonzero(known)
    folds = mined.archive.folds_of(own.sample_ids)
    teaching, spared = teach(own, learner, mined), learn(())
    without = (
        {}
        if isinstance(spared, CalibratingTrainer)
        else {fold: teaching.learner_without(spared, fold) for fold in np.unique(folds).tolist()}
    )
    if not known.all():
        # A recorded model learned nothing here. The samples that its trainer held out, which are often all that it was
        # asked about, are a single fold of mining: its calibration needs folds of its own.
        folds = folds.copy()
        folds[rows] = stratified_folds(labels[rows], len(np.unique(own.folds)), own.seed)
    calibrated = fit_calibrated(
        teaching.learner(learner),
        table.select(rows),
        labels[rows],
        n_labels,
        folds[rows],
        lambda done, total: advance(f"{task.name}: classifier"),
        without,
    )
    probabilities = np.full((len(table), n_labels), 1 / n_labels)
    probabilities[rows] = calibrated.probabilities
    known[rows] = calibrated.unseen
    arbiter = arbitrate(own, mined, probabilities, known)
    scope = None
    if task.other is not None or own.abstain is not None:
        tempered = arbiter.model_alone.probabilities(probabilities, RuleEvidence.none(*probabilities.shape))
        usable = usable_rules(mined.rules, task, table.sidecars)
        evidence = out_of_fold_evidence(task, table, labels, tempered, known, mined.archive, usable)
        seen = own.select(np.flatnonzero(known))
        arbiter, scope = _with_scope(seen, spared, arbiter, probabilities[known], folds[known], evidence.rows(known))
    advance(f"{task.name}: arbiter")
    trained_on = TrainedOn(table, probabilities, known)
    return TrainedTask(task, calibrated.classifier, tuple(active), arbiter, trained_on, teaching.taught, scope)


def _with_scope(
    own: TaskProject,
    learner: Learner,
    arbiter: Arbiter,
    probabilities: NDArray[np.float64],
    folds: NDArray[np.int64],
    evidence: RuleEvidence,
) -> tuple[Arbiter, Scope | None]:
    """The arbiter with its threshold, and what tells samples of `other`, by what is known out of fold about all
    samples of `own`: `probabilities` of the classifier and `evidence` of rules."""
    task, scope = own.task, None
    merged = arbiter.pool.probabilities(probabilities, evidence)
    if task.other_index is not None:
        rounds = held_out_labels(own, learner, probabilities, folds)
        fitted = fit_scope(own.table, own.labels, task.other_index, arbiter.pool, probabilities, evidence, rounds)
        if fitted is None:
            _log.warning(
                "%s: nothing is told to be %r that is not like samples of it, as there are too few labels and samples "
                "to learn that from: give %d samples of %r, or samples of at least %d other labels",
                task.name, task.other, FEWEST_EXAMPLES, task.other, FEWEST_LABELS,
            )  # fmt: skip
        else:
            scope, merged = fitted
    abstention = None if own.abstain is None else choose_abstention(own.abstain, merged, own.labels)
    if abstention is not None and abstention.error is None:
        _log.warning(
            "%s: abstain: not even the surest decisions were right often enough out of fold, so all are handed to "
            "people",
            task.name,
        )  # fmt: skip
    changed = {"abstention": abstention, "detects_other": scope is not None}
    return arbiter.model_copy(update=changed), scope


def mine_in_memory(own: TaskProject, workers: int = 2, advance: Advance | None = None) -> MinedRules:
    """The first step of `fit`: the rules that are mined, merged with what people decided."""
    mined = search(own, own.opinion(advance or (lambda what: None)), None, advance, workers)
    return with_decisions(mined, own.sample_ids, own.decided, own.seed, counting_rest(own, workers))


def fit_alone(own: TaskProject) -> Classifier:
    """The second step of `fit` where there is no arbiter: the classifier, trained on all samples without rules."""
    learner = own.require_learn()(())
    n_labels = len(own.task.labels)
    if isinstance(learner, CalibratingTrainer):
        return learner.fit_calibrated(own.table, own.labels, n_labels).classifier
    return learner.fit(own.table, own.labels, n_labels)


def arbitrate(
    own: TaskProject, mined: MinedRules, probabilities: NDArray[np.float64], known: NDArray[np.bool_]
) -> Arbiter:
    """The last step of `fit`: the arbiter, from `probabilities` [n_samples, n_labels] out of fold where `known`."""
    rules = usable_rules(mined.rules, own.task, own.table.sidecars)
    return fit_arbiter(
        own.task, own.table, own.labels, probabilities, mined.archive, rules, mined.statistics, own.seed, known
    )  # fmt: skip


def advances(own: TaskProject, mining: bool = True) -> int:
    """How often `fit` calls `advance` for a classifier that is trained without each fold; fewer times for others."""
    folds = int(own.folds.max()) + 1
    looked = 1 if len(own.unlabelled()) else 0
    return (folds + 1) * (1 + (looked + len(own.task.labels) if mining else 0))


def covered_rows(own: TaskProject, learner: Learner) -> NDArray[np.bool_]:
    """The samples that the classifier can say something about, all but for a recorded model: [n_samples].

    The others are counted in a warning. Raises KdslError where too few are left.
    """
    if not isinstance(learner, RecordedTrainer):
        return np.ones(len(own.table), dtype=bool)
    path = learner.recorded.path
    known = learner.recorded.covers(own.table)
    missing = int((~known).sum())
    if missing == len(known):
        learner.recorded.require_any(own.table)
    if len(known) - missing < len(np.unique(own.folds)):
        raise KdslError(f"{path}: holds too few of the training samples of {own.task.name} ({len(known) - missing})")
    if missing:
        _log.warning(
            "%s: %d of %d training samples of %s are not in it; only the others are used",
            path, missing, len(known), own.task.name,
        )  # fmt: skip
    return known
