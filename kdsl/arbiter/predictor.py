"""Collaborative prediction with a checkpoint: classifier, rule base and arbiter of every task of a project."""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING

from kdsl.arbiter.arbiter import ARBITER_FILE
from kdsl.arbiter.multi_label_decision import AnyDecision
from kdsl.arbiter.state import PredictorState, RuleState
from kdsl.arbiter.trained import TrainedTask
from kdsl.config_parts import AbstainConfig
from kdsl.errors import Hint, KdslError
from kdsl.fields.sidecar import Sidecars
from kdsl.fields.table import FieldTable, SampleFields
from kdsl.files import file_hash, is_there
from kdsl.locks import held
from kdsl.models.by_order import Orders
from kdsl.models.cold_start import COLD_START_FILE
from kdsl.models.embedded import LINEAR, Embedded, is_cold
from kdsl.models.explanation import Explainable, Explanation
from kdsl.models.label_answers import RECORDED_FILE
from kdsl.models.large.record import LARGE_FILE
from kdsl.rules.rule import Rule
from kdsl.rules.rulebase import RuleBase
from kdsl.sample import Sample, Task
from kdsl.vlm.usage import Usage

if TYPE_CHECKING:
    from kdsl.models.large.model import LargeModel  # imports a client of servers, which other classifiers do not need

_log = logging.getLogger(__name__)


class Predictor:
    """All tasks of a project, each read when its first sample comes."""

    def __init__(
        self,
        tasks: Sequence[Task],
        checkpoint: Path,
        base_of: Callable[[Task], RuleBase],
        recorded: Path | None,
        sidecars: Sidecars,
        large: "LargeModel | None" = None,
        orders: Orders = (),
        embedded: Embedded = LINEAR,
        abstain: AbstainConfig | None = None,
    ) -> None:
        """`base_of` gives the rule base of a task, and `abstain` is what kdsl.yaml asks for now; the others are those
        of `TrainedTask.load`."""
        self._tasks = {task.name: task for task in tasks}
        self._place = checkpoint, recorded, large
        self._base_of = base_of
        self._bases: dict[str, RuleBase] = {}
        self._orders = orders
        self._embedded = embedded
        self._abstain = abstain
        self._sidecars = sidecars
        self._rules: dict[str, Sequence[Rule]] = {}
        self._seen: dict[str, str] = {}
        """Task → hash of its files in the checkpoint, as `state` found them."""
        self._loaded: dict[str, TrainedTask] = {}

    def decide(self, samples: Sequence[Sample]) -> list[AnyDecision]:
        """One decision for every sample, in their order. Raises KdslError for a task that was not trained."""
        decisions: dict[int, AnyDecision] = {}
        for name in dict.fromkeys(sample.task for sample in samples):
            of_task = [index for index, sample in enumerate(samples) if sample.task == name]
            table = FieldTable([samples[index] for index in of_task], self._sidecars)
            decisions |= zip(of_task, self._task(name).decide(table), strict=True)
        return [decisions[index] for index in range(len(samples))]

    def explain(self, sample: Sample) -> Explanation | None:
        """What the classifier goes by besides the sample itself; None for one that cannot tell. Errors of `decide`."""
        classifier = self._task(sample.task).classifier
        return (
            classifier.explain(SampleFields(sample, self._sidecars)) if isinstance(classifier, Explainable) else None
        )

    def shares(self, task: str) -> Mapping[str, float]:
        """See `TrainedTask.shares`. Errors of `decide`."""
        return self._task(task).shares

    def label_shares(self) -> dict[str, dict[str, float]]:
        """Task → label → its share of the training samples, of the tasks that learned from labelled ones.

        Where a sample may have several labels, the shares sum to how many it has on average. Errors of `decide`.
        """
        checkpoint, *_ = self._place
        arbiters = [self._task(name).arbiter for name in self._tasks if is_there(checkpoint / name / ARBITER_FILE)]
        return {each.task: dict(zip(each.labels, each.base_rates, strict=True)) for each in arbiters if not each.cold}

    def _task(self, name: str) -> TrainedTask:
        if name not in self._loaded:
            checkpoint, recorded, large = self._place
            with held(checkpoint / name, shared=True):
                if name in self._seen and self._seen[name] != file_hash(*self._files(name)):
                    raise KdslError(f"{checkpoint / name}: was trained again since predicting began; predict again")
                trained = TrainedTask.load(
                    self._tasks[name],
                    checkpoint,
                    self._task_rules(name),
                    recorded,
                    large,
                    self._orders,
                    self._embedded,
                    self._sidecars,
                )
            self._require_abstention(trained, checkpoint / name)
            self._loaded[name] = trained
        return self._loaded[name]

    def _require_abstention(self, trained: TrainedTask, folder: Path) -> None:
        """Raise KdslError where decisions would be handed to people otherwise than kdsl.yaml asks."""
        chosen = trained.arbiter.abstention
        if not trained.arbiter.cold and (None if chosen is None else chosen.asked) != self._abstain:
            raise KdslError(f"{folder}: trained with another `abstain:` than kdsl.yaml has now", Hint.TRAIN_AGAIN)

    def load(self) -> None:
        """Read all tasks that were trained, now and not when their first sample comes.

        Errors of `decide`, and KdslError where a rule file cannot be read, which is left out otherwise.
        """
        self._require_whole()
        self.load_trained()

    def load_for(self, samples: Sequence[Sample]) -> None:
        """Read the tasks of these samples, now and not when they are decided. Errors of `decide`."""
        for name in dict.fromkeys(sample.task for sample in samples):
            self._task(name)

    def load_trained(self) -> None:
        """The same without rule files that cannot be read."""
        for name in self._trained():
            self._task(name)

    def with_current_rules(self, whole: bool = False) -> "Predictor":
        """The same with the rules as their files are now: what was trained is shared, not read again.

        This one stays as it is, also for decisions that it is about to make in another thread. `whole` raises
        KdslError where a rule file cannot be read, which is left out otherwise.
        """
        other = copy(self)
        other._bases, other._rules, other._loaded = {}, {}, dict(self._loaded)
        other.bases()
        if whole:
            other._require_whole()
        for name, trained in other._loaded.items():
            if other._rules[name] != self._rules[name]:
                other._loaded[name] = trained.with_rules(other._rules[name], self._sidecars)
        return other

    def _require_whole(self) -> None:
        for base in self.bases():
            if base.unreadable:
                raise KdslError(next(iter(base.unreadable.values())))

    def base(self, name: str) -> RuleBase:
        """The rule base of a task."""
        if name not in self._bases:
            self._bases[name] = self._base_of(self._tasks[name])
            self._rules[name] = self._bases[name].rules  # the base may be read again before the task's first sample
        return self._bases[name]

    def bases(self) -> list[RuleBase]:
        """The rule bases of all tasks."""
        return [self.base(name) for name in self._tasks]

    def _task_rules(self, name: str) -> Sequence[Rule]:
        """Asked for once, so that what predicts is what `state` tells of."""
        self.base(name)
        return self._rules[name]

    def _files(self, name: str) -> list[Path]:
        """What `kdsl train` left of a task."""
        checkpoint, recorded, large = self._place
        folder = checkpoint / name
        if large is not None or recorded is not None:
            return [folder / ARBITER_FILE, folder / (LARGE_FILE if large is not None else RECORDED_FILE)]
        if is_cold(folder):
            return [folder / ARBITER_FILE, folder / COLD_START_FILE]
        return [folder / ARBITER_FILE, *self._embedded.files(folder)]

    @property
    def large(self) -> "LargeModel | None":
        *_, large = self._place
        return large

    @property
    def usage(self) -> Usage | None:
        """What samples have cost so far; None without a large model."""
        return None if self.large is None else self.large.usage

    def tell(self) -> None:
        """Log a counted warning of a server's answers that were none of the labels, if there were any."""
        large = self.large
        if large is not None and large.strays.strays:
            _log.warning(
                "%s: %s; these count as no answer", large.weights.name, large.strays.told("none of the labels")
            )

    def state(self) -> PredictorState:
        """What predictions depend on: the checkpoint, recorded answers and rules.

        Raises KdslError when no task was trained.
        """
        checkpoint, recorded, _ = self._place
        with ExitStack() as stack:
            for name in self._tasks:
                stack.enter_context(held(checkpoint / name, shared=True))
            trained = self._trained()
            for name in trained:
                self._seen[name] = file_hash(*self._files(name))
            return PredictorState(
                {name: self._seen[name] for name in trained},
                None if recorded is None else file_hash(recorded),
                {name: {rule.id: RuleState.of(rule) for rule in self._task_rules(name)} for name in trained},
            )

    def _trained(self) -> list[str]:
        """The tasks that were trained; KdslError where none was."""
        checkpoint, *_ = self._place
        trained = [name for name in self._tasks if is_there(checkpoint / name / ARBITER_FILE)]
        if not trained:
            raise KdslError(f"{checkpoint}: none of the project's tasks was trained", Hint.TRAIN)
        return trained
