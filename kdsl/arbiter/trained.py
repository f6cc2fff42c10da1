"""A trained task: the classifier, the rules and the arbiter that together decide about a sample."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kdsl.arbiter.arbiter import ARBITER_FILE, Arbiter, RuleJudge
from kdsl.arbiter.decision import decide
from kdsl.arbiter.evidence import RuleEvidence
from kdsl.arbiter.left_over import LeftOver
from kdsl.arbiter.multi_label import pooled
from kdsl.arbiter.multi_label_decision import AnyDecision, decide_labels
from kdsl.arbiter.scope import SCOPE_FILE, Belief, Scope
from kdsl.arbiter.taught import Taught
from kdsl.errors import Hint, KdslError
from kdsl.fields.sidecar import Sidecars
from kdsl.fields.table import FieldTable
from kdsl.locks import held
from kdsl.models.by_order import Orders
from kdsl.models.classifier import Classifier, Encoding
from kdsl.models.cold_start import COLD_START_FILE, ColdStartClassifier
from kdsl.models.embedded import EMBEDDED_FILE, LINEAR, Embedded, EmbeddedClassifier, is_cold
from kdsl.models.explanation import Leaning
from kdsl.models.out_of_fold_file import save_out_of_fold
from kdsl.models.recorded import RecordedClassifier, read_recorded
from kdsl.rules.engine import BATCH
from kdsl.rules.meaning import comparable, meanings
from kdsl.rules.rule import Rule
from kdsl.rules.rulebase import ACTIVE
from kdsl.sample import Task

if TYPE_CHECKING:
    from kdsl.models.large.model import LargeModel  # imports a client of servers, which other classifiers do not need

_log = logging.getLogger(__name__)

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class TrainedOn:
    """The training samples, and what the classifier or its like predicts for those that were kept from it."""

    table: FieldTable
    probabilities: Floats
    """[n_samples, n_labels]; uniform where nothing is known."""
    known: NDArray[np.bool_]
    """[n_samples]"""


@dataclass(frozen=True)
class TrainedTask:
    """Everything that predicts one task. `kdsl.project.fitting.fit` makes it, `load` reads it back."""

    task: Task
    classifier: Classifier
    rules: tuple[Rule, ...]
    """The active rules."""
    arbiter: Arbiter
    trained_on: TrainedOn | None = None
    """None once it was read from disk, as `taught` is."""
    taught: Taught | None = None
    """What accepted rules taught the classifier; None without unlabelled samples."""
    scope: Scope | None = None
    """Tells samples of `Task.other`; None where the task names none, or there was too little to learn it from."""

    left_over: LeftOver | None = None
    """What it comes to on samples that were too many to be learned from; None where all are."""

    @property
    def shares(self) -> Mapping[str, float]:
        """How much the classifier goes by each view of a sample; empty for one that cannot tell (`Leaning`)."""
        return self.classifier.shares if isinstance(self.classifier, Leaning) else {}

    @cached_property
    def judge(self) -> RuleJudge:
        """What finds the rules that hold, and weighs them."""
        return RuleJudge(self.arbiter.weigh(self.rules), len(self.task.labels))

    def predict(self, table: FieldTable) -> tuple[Floats, RuleEvidence, Floats]:
        """The model's probabilities, the rules' evidence and the merged probabilities, all for every label."""
        model = self.classifier.predict(table).probabilities
        _, evidence = self.judge.evidence(table)
        if self.scope is not None:
            merged = self.scope.merged(self.arbiter.pool, Belief(model, evidence, self.scope.near(table)))
        elif self.task.multi:
            merged = pooled(self.arbiter.pool, model, evidence)
        else:
            merged = self.arbiter.pool.probabilities(model, evidence)
        return model, evidence, merged

    def decide(self, table: FieldTable) -> list[AnyDecision]:
        """One decision for every sample of `table`, in its order."""
        if len(table) <= BATCH:
            self._encode(table)
        if self.task.multi:
            return [*decide_labels(self.arbiter, self.classifier, self.judge, table)]
        return [*decide(self.arbiter, self.classifier, self.judge, table, self.scope)]

    def _encode(self, table: FieldTable) -> None:
        """Have the sentence vectors that classifier and rules will ask for made at once.

        For a few samples that takes half the time that it takes field by field.
        """
        vectors = table.sentence_vectors
        if vectors is not None and vectors.available:
            own = self.classifier.encoded(table) if isinstance(self.classifier, Encoding) else []
            vectors.of([*dict.fromkeys([*own, *self.judge.encoded(table)])])

    def save(self, folder: Path, model: str) -> None:
        """Write classifier, arbiter and out-of-fold predictions into `folder`; the rules lie in the rule base.

        `model` is `large:` of the configuration. Raises KdslError when something cannot be written.
        """
        with held(folder):  # who predicts meanwhile reads what belongs together
            (folder / ARBITER_FILE).unlink(missing_ok=True)  # after a kill in between there is nothing to predict with
            for file in (COLD_START_FILE, EMBEDDED_FILE, SCOPE_FILE):  # it may have labelled samples by now, or none
                (folder / file).unlink(missing_ok=True)
            if self.scope is not None:
                self.scope.save(folder)
            self.classifier.save(folder)
            if self.trained_on is not None:
                own = self.trained_on
                save_out_of_fold(folder, self.task, model, own.table, own.probabilities, own.known)
            self.arbiter.save(folder)

    @classmethod
    def load(
        cls,
        task: Task,
        checkpoint: Path,
        rules: Sequence[Rule],
        recorded: Path | None = None,
        large: "LargeModel | None" = None,
        orders: Orders = (),
        embedded: Embedded = LINEAR,
        sidecars: Sidecars | None = None,
    ) -> "TrainedTask":
        """Read what `save` left in `checkpoint`/<task>; `rules` is the rule base as it is now.

        `recorded` is the file of a recorded model (with `orders` as for `read_recorded`), `large` the large model;
        without both it is the `embedded` classifier, or where no sample had a label the one that goes by their names;
        `sidecars` are what rules are tested with. Raises KdslError when the task was not trained, or with other
        labels, or on other fields. Warns as `with_rules` does.
        """
        folder = checkpoint / task.name
        arbiter = Arbiter.load(folder)
        if arbiter.labels != task.label_names:
            raise KdslError(f"{folder}: trained for other labels than {task.name} has now", Hint.TRAIN_AGAIN)
        if arbiter.multi != task.multi:
            was = "several labels" if arbiter.multi else "one label"
            raise KdslError(
                f"{folder}: trained for {was} a sample, but the task file now says `multi: {str(task.multi).lower()}`",
                Hint.TRAIN_AGAIN,
            )
        if arbiter.other != task.other:
            was, now = (f"other: {name}" if name else "no `other`" for name in (arbiter.other, task.other))
            raise KdslError(f"{folder}: trained with {was}, but {task.name} now has {now}", Hint.TRAIN_AGAIN)
        known = sidecars or Sidecars()
        if set(arbiter.left_out) != known.left_out:
            was, now = (", ".join(sorted(names)) or "no field" for names in (arbiter.left_out, known.left_out))
            raise KdslError(
                f"{folder}: training left out {was}, but `fields:` in kdsl.yaml now leaves out {now}", Hint.SET_BACK
            )
        classifier: Classifier
        if large is not None:
            classifier = large.load_classifier(task)
        elif recorded is not None:
            classifier = RecordedClassifier.load(folder, read_recorded(recorded, task, orders))
        elif is_cold(folder):
            classifier = ColdStartClassifier.load(folder, len(task.labels))
        else:
            classifier = EmbeddedClassifier.load(folder, embedded, len(task.labels))
        scope = Scope.load(folder, len(task.labels)) if arbiter.detects_other else None
        trained = cls(task, classifier, (), arbiter, scope=scope)
        return trained.with_rules(rules, known)

    def with_rules(self, rules: Sequence[Rule], known: Sidecars) -> "TrainedTask":
        """The same with the active ones of `rules`, the rule base as it is now; `known` is what they are tested with.

        Rules that training did not know as they stand are counted in a warning.
        """
        other = replace(self, rules=tuple(active_rules(rules, self.task, known)))
        weighed = other.judge.weighed
        new = int((~weighed.known).sum())
        if new:
            example = weighed.rules[int(np.argmin(weighed.known))].id
            _log.warning(
                "%s: %d rules were added or edited since training and are shown but do not count, the first being %s; "
                "%s",
                self.task.name, new, example, Hint.TRAIN_AGAIN,
            )  # fmt: skip
        return other


def active_rules(rules: Sequence[Rule], task: Task, known: Sidecars) -> list[Rule]:
    """Those that count: accepted and proposed ones, for labels that the task has, that can be tested with what is
    `known` beside the samples: their fields are looked at, and their meanings can be compared.

    The others do not count, with counted warnings.
    """
    labelled = [rule for rule in rules if rule.status in ACTIVE and rule.label in task.label_names]
    unknown = sum(rule.status in ACTIVE for rule in rules) - len(labelled)
    if unknown:
        _log.warning(
            "%s: %d rules are for labels that the task does not have and are left out; `kdsl rules lint` lists them",
            task.name, unknown,
        )  # fmt: skip
    looking = [rule for rule in labelled if not _is_blind(rule, known)]
    if len(looking) < len(labelled):
        _log.warning(
            "%s: %d rules test %s, which `fields:` in kdsl.yaml leaves out, and do not count; `kdsl rules lint` lists "
            "them",
            task.name, len(labelled) - len(looking), " or ".join(sorted(known.left_out)),
        )  # fmt: skip
    usable = _active(rules, task, known)
    if len(usable) < len(looking):
        example = next(rule for rule in looking if not comparable(rule, known.vectors))
        wanted = next((meaning.encoder for meaning in meanings(example) if meaning.encoder), None)
        _log.warning(
            "%s: %d rules on meaning do not count, the first being %s%s: %s; set `encoder:` in kdsl.yaml",
            task.name, len(looking) - len(usable), example.id,
            "" if wanted is None else f", made with the encoder {wanted}",
            "there is no encoder" if known.vectors is None else f"the encoder is {known.vectors.name}",
        )  # fmt: skip
    return usable


def usable_rules(rules: Sequence[Rule], task: Task, known: Sidecars) -> list[Rule]:
    """The active ones, then those that people ruled out: all that `kdsl.arbiter.fit.fit_arbiter` wants to know of.

    It says nothing of what is left out: `active_rules` does, once for a task that is trained or read.
    """
    return [*_active(rules, task, known), *(rule for rule in rules if rule.status in ("rejected", "disabled"))]


def _active(rules: Sequence[Rule], task: Task, known: Sidecars) -> list[Rule]:
    return [
        rule
        for rule in rules
        if rule.status in ACTIVE
        and rule.label in task.label_names
        and not _is_blind(rule, known)
        and comparable(rule, known.vectors)
    ]


def _is_blind(rule: Rule, known: Sidecars) -> bool:
    """Whether it tests a field that is left out: negated, such a test would hold on every sample."""
    return any(condition.reads in known.left_out for condition in rule.conditions)
