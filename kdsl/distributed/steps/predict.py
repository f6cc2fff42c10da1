"""Predictions: model and rules on every sample, one decision each with its reason."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

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
        predictor.predictor.state()  # that nothing changed since the run began is seen when a task is loaded
        return Predicting(predictor, self.schema(project))

    def _opened(self, project: Project) -> ProjectPredictor:
        tasks = [task for task in project.tasks if task.name in self.tasks]
        return ProjectPredictor.open(project, tasks=tasks, keeping=False)


@dataclass(frozen=True)
class Predicting:
    """One process of it."""

    predictor: ProjectPredictor
    schema: "pyarrow.Schema"

    def begin(self) -> None:
        """A shard begins."""

    def work(self, samples: Sequence[Sample]) -> Worked:
        """All at once; where that cannot be, one by one, to find out which of them it is."""
        try:
            return self._decided(samples)
        except KdslError:
            if len(samples) == 1:
                raise
        worked, first = Worked(), None
        for sample in samples:
            try:
                worked.records += self._decided([sample]).records
            except KdslError as error:
                first = first or error
                worked.problems.append(Problem(sample.id, sample.task, str(error)))
        if first is not None and not worked.records:
            raise first  # it is no matter of single samples
        return worked

    def _decided(self, samples: Sequence[Sample]) -> Worked:
        decisions = self.predictor.decide(samples)
        records = [{**each.record(), "fingerprint": each.sample.fingerprint} for each in decisions]
        return Worked(prediction_rows(records, self.schema))

    def end(self) -> None:
        """Tell what was missing or unusable."""
        self.predictor.warn()

    def close(self) -> None:
        """End the processes that read pictures and sounds."""
        self.predictor.close()
