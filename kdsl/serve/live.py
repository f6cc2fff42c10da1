"""The trained project as its files are now: read again when rules or checkpoint change, as a whole or not at all."""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kdsl.arbiter.multi_label_decision import AnyDecision
from kdsl.errors import KdslError
from kdsl.files import Stamp, stamp_of
from kdsl.locks import is_lock
from kdsl.models.explanation import Explanation
from kdsl.project.prediction import ProjectPredictor
from kdsl.project.project import Project
from kdsl.sample import Sample

_log = logging.getLogger(__name__)

LOOK = 0.2
"""Seconds between looks for changed files. What changes is read once it lay still from one look to the next."""
_END = 5.0
"""Seconds that the end waits for what is being read just then."""

Stamps = tuple[tuple[Path, Stamp | None], ...]


@dataclass(frozen=True)
class Served:
    """What decides: it stays as it is, and another one takes its place."""

    predictor: ProjectPredictor
    versions: Mapping[str, str]
    unusable: Mapping[str, str] = field(default_factory=dict)
    """Task → why no sample of it can be decided."""

    def decide(self, samples: Sequence[Sample]) -> list[AnyDecision]:
        """One decision for every sample. Raises KdslError for a task that cannot be decided."""
        for sample in samples:
            if sample.task in self.unusable:
                raise Unusable(self.unusable[sample.task])
        return self.predictor.decide(samples)

    def explain(self, sample: Sample) -> Explanation | None:
        """See `kdsl.arbiter.predictor.Predictor.explain`."""
        return self.predictor.predictor.explain(sample)


class Unusable(KdslError):
    """A task is not trained, or for other labels."""


class LiveProject:
    """A project that decides while its files change. What cannot be read leaves it as it was, and is told."""

    def __init__(self, project: Project) -> None:
        """Reads everything. Raises KdslError where no task can be decided: there is nothing to serve."""
        self.project = project
        self._read = self._stamps()
        self.served = _opened(project)
        if len(self.served.unusable) == len(project.tasks):
            raise KdslError(next(iter(self.served.unusable.values())))
        self._settings = self._setting_stamps()
        self._problem = ""
        self._stop = threading.Event()
        self._worker: threading.Thread | None = None
        self.reloaded: Callable[[bool], None] = lambda worked: None
        """Called after files were read again, with whether that went well."""

    @property
    def problems(self) -> list[str]:
        """Why what is served is not what the files say, or not all of it: a sentence each."""
        found = [*self.served.unusable.values(), self._problem]
        if self._setting_stamps() != self._settings:
            found.append("kdsl.yaml or a task file has changed since the start; start kdsl serve again to use it")
        return [sentence for sentence in dict.fromkeys(found) if sentence]

    def start(self) -> None:
        """Look for changes in the background."""
        self._worker = threading.Thread(target=self._keep_looking, name="kdsl-reload", daemon=True)
        self._worker.start()

    def stop(self) -> None:
        self._stop.set()
        if self._worker is not None:
            self._worker.join(_END)

    def _keep_looking(self) -> None:
        before = self._read
        while not self._stop.wait(LOOK):
            now = self._stamps()
            if now != self._read and now == before:  # nobody is writing
                self._reload(now)
            before = now

    def refresh(self) -> None:
        """Read what has changed, at once."""
        now = self._stamps()
        if now != self._read:
            self._reload(now)

    def _reload(self, now: Stamps) -> None:
        try:
            fresh = _opened(self.project)
            if self._stamps() != now:
                return  # it may be half of a change: look again
            broken = [name for name in fresh.unusable if name not in self.served.unusable]
            if broken:
                raise KdslError(fresh.unusable[broken[0]])
            self.served, self._problem = fresh, ""
        except (KdslError, OSError) as error:
            self._problem = error.in_commands() if isinstance(error, KdslError) else str(error)
            _log.warning("what was read before is still used: %s", self._problem)
        self._read = now
        self.reloaded(not self._problem)

    def _stamps(self) -> Stamps:
        """Of every file that decisions depend on and that is read again."""
        config = self.project.config
        folders = [folder / task.name for folder in (config.rules, config.checkpoint) for task in self.project.tasks]
        files = [path for folder in folders for path in sorted(folder.rglob("*")) if not is_lock(path)]
        files += [path for path in (config.recorded,) if path is not None]
        return tuple((path, stamp_of(path)) for path in files)

    def _setting_stamps(self) -> Stamps:
        """Of kdsl.yaml and the task files, which are read at the start only."""
        config = self.project.config
        files = [config.folder / "kdsl.yaml", *(config.folder / name for name in config.tasks)]
        return tuple((path, stamp_of(path)) for path in files if path.is_file())


def _opened(project: Project) -> Served:
    predictor = ProjectPredictor.open(project)
    unusable: dict[str, str] = {}
    for task in project.tasks:
        try:
            predictor.predictor.shares(task.name)  # reads what was trained
        except KdslError as error:
            unusable[task.name] = error.in_commands()
    return Served(predictor, {}, unusable)
