"""Predicting samples that a Python program has in memory, with what a project trained."""

from collections.abc import Mapping

from kdsl.arbiter.multi_label_decision import AnyDecision
from kdsl.data.given import samples_given
from kdsl.project.current_predictor import CurrentPredictor
from kdsl.project.project import Project
from kdsl.sample import Sample


class MemoryPredictor:
    """Decides about samples in memory: what is trained is read once, and again when its files have changed."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._current = CurrentPredictor(project)

    def decide(self, given: object, task: str | None) -> list[AnyDecision]:
        """See `Project.predict`."""
        project = self._project
        if isinstance(given, str | Mapping | Sample):
            given = [given]
        tasks = project.tasks if task is None else [project.task(task)]
        samples = samples_given(given, tasks, "samples", reading=project.reading())
        if not samples:
            return []
        predictor = self._current.now()
        decisions = predictor.decide(samples)
        predictor.warn()
        return decisions
