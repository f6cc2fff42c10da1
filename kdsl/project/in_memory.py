"""Predicting samples that a Python program has in memory, with what a project trained."""

from collections.abc import Mapping
from pathlib import Path

from kdsl.arbiter.decision import Decision
from kdsl.data.given import samples_given
from kdsl.fields.sidecar import Sidecars
from kdsl.files import Stamp, stamp_of
from kdsl.locks import is_lock
from kdsl.project.prediction import ProjectPredictor
from kdsl.project.project import Project
from kdsl.sample import Sample

Stamps = tuple[tuple[Path, Stamp | None], ...]
"""Of every file that predictions depend on."""


class MemoryPredictor:
    """Decides about samples in memory: what is trained is read once, and again when its files have changed.

    Of sidecars that have changed what is new is taken over; a large model need not be loaded again for it.
    """

    def __init__(self, project: Project) -> None:
        self._project = project
        self._read: tuple[Stamps, ProjectPredictor] | None = None
        self._known: Sidecars | None = None

    def decide(self, given: object, task: str | None) -> list[Decision]:
        """See `Project.predict`."""
        project = self._project
        if isinstance(given, str | Mapping | Sample):
            given = [given]
        tasks = project.tasks if task is None else [project.task(task)]
        samples = samples_given(given, tasks, "samples", reading=project.reading())
        if not samples:
            return []
        predictor = self._predictor()
        known = project.sidecars()
        if known is not self._known:
            predictor.images.learn(known)
            self._known = known
        decisions = predictor.decide(samples)
        predictor.warn()
        return decisions

    def _predictor(self) -> ProjectPredictor:
        stamps = _stamps(self._project)
        if self._read is None or self._read[0] != stamps:
            self._read = stamps, ProjectPredictor.open(self._project)
        return self._read[1]


def _stamps(project: Project) -> Stamps:
    config = project.config
    folders = [folder / task.name for folder in (config.rules, config.checkpoint) for task in project.tasks]
    files = [path for folder in folders for path in sorted(folder.rglob("*")) if not is_lock(path)]
    if config.recorded is not None:
        files.append(config.recorded)
    return tuple((path, stamp_of(path)) for path in files)
