"""Which rules count, and how much: held against the model alone on samples that no parameter was fitted on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from kdsl.arbiter.evidence import Floats, RuleEvidence
from kdsl.arbiter.pool import Pool, Step, fit_pool
from kdsl.data.splits import stratified_folds
from kdsl.record_file import RecordModel

PARTS = 5
"""The arbiter's parameters are fitted on all parts of the out-of-fold predictions but one and judged on that."""
Labels = NDArray[np.int64]
_ALONE = (Step(),), (Step(temperature=True),)
"""The ways to fit the model alone."""


class Quality(RecordModel):
    """How good predictions were on samples that neither they nor the arbiter's parameters were fitted on."""

    log_loss: float = Field(ge=0)
    weighted_f1: float = Field(ge=0, le=1)


@dataclass(frozen=True)
class Judged:
    """A pool fitted on all samples, and what its like says about each sample when fitted without it."""

    pool: Pool
    steps: tuple[Step, ...]
    """How it was fitted."""
    log_probabilities: Floats
    """[n_samples, n_labels]"""
    labels: Labels

    @property
    def log_likelihoods(self) -> Floats:
        """Log probability of every sample's own label: [n_samples]."""
        return self.log_probabilities[np.arange(len(self.labels)), self.labels]

    @property
    def quality(self) -> Quality:
        from sklearn.metrics import f1_score

        said = self.log_probabilities.argmax(axis=1)
        return Quality(
            log_loss=float(-self.log_likelihoods.mean()),
            weighted_f1=float(f1_score(self.labels, said, average="weighted", zero_division=0.0)),
        )

    def gain_over(self, other: "Judged") -> tuple[float, float]:
        """How much smaller the log loss is than that of the other, per sample, and the standard error of that."""
        gains = self.log_likelihoods - other.log_likelihoods
        return float(gains.mean()), float(gains.std() / np.sqrt(len(gains)))


@dataclass(frozen=True)
class Choice:
    """What decides with rules, and what without them."""

    alone: Judged
    both: Judged


def judge_alone(model: Floats, labels: Labels, seed: int) -> Judged:
    """The model alone, with a temperature where that is better out of fold."""
    return _best(model, RuleEvidence.none(*model.shape), labels, seed, _ALONE)


def choose_rules(model: Floats, evidence: RuleEvidence, labels: Labels, seed: int) -> Choice:
    """Which rules count, by out-of-fold probabilities [n_samples, n_labels] and evidence.

    What people vouch for needs no proof: it is left out, b_people = 0, only where it makes the log loss larger by more
    than its standard error. What mining proposes counts only where it makes the log loss smaller still; else b_mined
    is 0. Accepted rules that nothing out of fold speaks about have b_people at the mean of its prior.
    """
    alone = _best(model, evidence, labels, seed, _ALONE)
    with_people = _best(model, evidence, labels, seed, ((*alone.steps, Step(people=True)),))
    gain, error = with_people.gain_over(alone)
    both = with_people if gain >= -error and with_people.pool.b_people > 0 else alone
    if evidence.mined.any():
        people = both is with_people
        ways: list[tuple[Step, ...]]
        if people and evidence.people.any():
            # A temperature of the model beside these would only make much of what people had looked at.
            ways = [(*both.steps, Step(mined=True))]
        else:
            ways = [(Step(free, people, mined=True),) for free in (False, True)]
        with_mined = _best(model, evidence, labels, seed, ways)
        if with_mined.gain_over(both)[0] > 0 and with_mined.pool.b_mined > 0:
            both = with_mined
    return Choice(alone, both)


def _best(
    model: Floats, evidence: RuleEvidence, labels: Labels, seed: int, ways: Sequence[tuple[Step, ...]]
) -> Judged:
    """The pool that is fitted in the best of these ways, by what they say out of fold."""
    parts = stratified_folds(labels, min(PARTS, len(labels)), seed)
    judged = [_judged(steps, model, evidence, labels, parts) for steps in ways]
    return max(judged, key=lambda each: each.log_likelihoods.mean())  # of equals the first


def _judged(
    steps: tuple[Step, ...], model: Floats, evidence: RuleEvidence, labels: Labels, parts: NDArray[np.int64]
) -> Judged:
    held_out = np.empty_like(model)
    for part in np.unique(parts):
        inside, outside = parts == part, parts != part
        pool = fit_pool(model[outside], evidence.rows(outside), labels[outside], steps)
        held_out[inside] = pool.log_probabilities(model[inside], evidence.rows(inside))
    return Judged(fit_pool(model, evidence, labels, steps), steps, held_out, labels)
