"""Predictions: model and rules on every sample, one decision each with its reason."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from kdsl.distributed.schemas import prediction_rows, prediction_schema
from kdsl.distributed.step import Problem, Worked
from kdsl.errors import KdslError
from kdsl.project.prediction import ProjectPredictor
from kdsl.project.project import Project
from kdsl.sample import Sample

if TYPE_CHECKING:
    import pyarrow


@dataclass(frozen=True)
class Predict:
    """The step behind `kdsl predict` over shards."""

    tasks: tuple[str, ...]
    batch: int = 256
    gpus: float = 0.0
    needs: tuple[str, ...] = ()
    reads: tuple[str, ...] = ("ocr", "captions", "transcripts", "questions")
    name: str = "predict"

    def state(self, project: Project) -> str:
        """Of checkpoint, recorded answers and rules. KdslError where no task was trained."""
        state = self._opened(project).predictor.state()
        return hashlib.sha256(json.dumps(asdict(state), sort_keys=True).encode()).hexdigest()

    def schema(self, project: Project) -> "pyarrow.Schema":
        return prediction_schema([task for task in project.tasks if task.name in self.tasks])

    def open(self, project: Project) -> "Predicting":
        predictor = self._opened(project)
        state = predictor.predictor.state()  # that nothing changed since is seen when a task is loaded
        return Predicting(predictor, self.schema(project), frozenset(state.rules))

    def _opened(self, project: Project) -> ProjectPredictor:
        tasks = [task for task in project.tasks if task.name in self.tasks]
        return ProjectPredictor.open(project, tasks=tasks, keeping=False)


_SEVERAL = 16
"""Samples in a row that fail: then it is no matter of single ones, as where a server is gone."""


@dataclass
class Predicting:
    """One process of it."""

    predictor: ProjectPredictor
    schema: "pyarrow.Schema"
    trained: frozenset[str]
    """The tasks that were."""
    decided: bool = False
    """Whether any sample was: what goes wrong before is no matter of single samples."""
    failed: int = 0
    """Samples in a row that could not be."""

    def begin(self) -> None:
        """A shard begins."""

    def work(self, samples: Sequence[Sample]) -> Worked:
        """All at once; where that cannot be, one by one, to find out which of them it is."""
        worked = Worked()
        for sample in samples:
            if sample.task not in self.trained:
                worked.problems.append(Problem(sample.id, sample.task, f"task {sample.task} was not trained"))
        ready = [sample for sample in samples if sample.task in self.trained]
        try:
            worked.records += self._rows(ready)
            return worked
        except KdslError:
            if len(ready) == 1 and not self.decided:
                raise
        first = None
        for sample in ready:
            try:
                worked.records += self._rows([sample])
            except KdslError as error:
                first = first or error
                self.failed += 1
                worked.problems.append(Problem(sample.id, sample.task, str(error)))
                if self.failed >= _SEVERAL:
                    raise
        if first is not None and not self.decided:
            raise first
        return worked

    def _rows(self, samples: Sequence[Sample]) -> list[dict[str, Any]]:
        decisions = self.predictor.decide(samples)
        if samples:
            self.decided, self.failed = True, 0
        records = [{**each.record(), "fingerprint": each.sample.fingerprint} for each in decisions]
        return prediction_rows(records, self.schema)

    def end(self) -> None:
        """Tell what was missing or unusable."""
        self.predictor.warn()

    def close(self) -> None:
        """End the processes that read pictures and sounds."""
        self.predictor.close()
