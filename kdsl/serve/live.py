"""The trained project as its files are now: read again when rules or checkpoint change, as a whole or not at all."""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from kdsl.arbiter.multi_label_decision import AnyDecision
from kdsl.arbiter.state import PredictorState
from kdsl.config import CONFIG_NAME
from kdsl.errors import KdslError, first_line
from kdsl.files import stamp_of
from kdsl.models.explanation import Explanation
from kdsl.project.current_predictor import CurrentPredictor, Stamps
from kdsl.project.prediction import ProjectPredictor
from kdsl.project.project import Project
from kdsl.project.read_once import ReadOnce
from kdsl.project.versions import versions_of
from kdsl.sample import Sample, Turn

_log = logging.getLogger(__name__)

LOOK = 0.2
"""Seconds between looks for changed files. What changes is read once it lay still from one look to the next."""
_END = 5.0
"""Seconds that the end waits for what is being read just then."""


class Unusable(KdslError):
    """A task that was not trained: none of its samples can be decided."""


@dataclass(frozen=True)
class Served:
    """What decides: it stays as it is, and another one takes its place."""

    predictor: ProjectPredictor
    state: PredictorState
    versions: Mapping[str, str]
    """What each decision is logged with."""
    unusable: Mapping[str, str] = field(default_factory=dict)
    """Task → why no sample of it can be decided."""

    def decide(self, samples: Sequence[Sample]) -> list[AnyDecision]:
        """One decision for every sample. Raises Unusable for a task that was not trained."""
        for sample in samples:
            if sample.task in self.unusable:
                raise Unusable(self.unusable[sample.task])
        return self.predictor.decide(samples)

    def explain(self, sample: Sample) -> Explanation | None:
        """See `kdsl.arbiter.predictor.Predictor.explain`."""
        return self.predictor.predictor.explain(sample)


class LiveProject:
    """A project that decides while its files change. What cannot be read leaves it as it was, and is told."""

    def __init__(self, project: Project) -> None:
        """Reads everything; a rule file that cannot be read is left out, and told. Nothing of samples is kept on disk.

        Raises KdslError where nothing is trained, or for other labels than the tasks have now.
        """
        self.project = replace(project, progress=None, kept=ReadOnce())
        self._current = CurrentPredictor(self.project, keeping=False)
        self._read = self._current.stamps()
        self._settings = self._setting_stamps()
        self._problem = ""
        try:
            predictor = self._current.now(whole=True)
        except KdslError as error:
            self._problem = error.in_commands()
            predictor = self._current.now()
            predictor.predictor.load_trained()
        self.served = self._served(predictor)
        self._warm_up()
        self._stop = threading.Event()
        self._worker: threading.Thread | None = None
        self.tell: Callable[[bool], None] = lambda worked: None
        """Called after files were read again, with whether that went well."""

    def _warm_up(self) -> None:
        """Decide once, so that encoder and model are loaded before the first request; a server is not asked for that.

        Raises KdslError where that fails: then every request would.
        """
        config = self.project.config
        if config.recorded is not None or "://" in (config.large_model or ""):
            return
        usable = [task.name for task in self.project.tasks if task.name not in self.served.unusable]
        self.served.predictor.predictor.decide([Sample("", name, (Turn("user", "?"),)) for name in usable])

    @property
    def problems(self) -> list[str]:
        """Why what is served is not what the files say, or not all of it: a sentence each."""
        found = [*self.served.unusable.values(), self._problem]
        if self._setting_stamps() != self._settings:
            found.append(
                f"{CONFIG_NAME} or a task file has changed since the start; start `kdsl serve` again to use it"
            )
        return [sentence for sentence in dict.fromkeys(found) if sentence]

    def start(self) -> None:
        """Look for changes in the background."""
        self._worker = threading.Thread(target=self._keep_looking, name="kdsl-reload", daemon=True)
        self._worker.start()

    def stop(self) -> None:
        """End what runs in the background."""
        self._stop.set()
        if self._worker is not None:
            self._worker.join(_END)
        self.served.predictor.close()

    def refresh(self) -> None:
        """Read what has changed, at once."""
        now = self._current.stamps()
        if now != self._read:
            self._reload(now)

    def _keep_looking(self) -> None:
        before = self._read
        while not self._stop.wait(LOOK):
            now = self._current.stamps()
            if now == before and now != self._read:  # nobody is writing
                self._reload(now)
            before = now

    def _reload(self, now: tuple[Stamps, Stamps]) -> None:
        try:
            self._require_rules_folder()
            predictor = self._current.now(whole=True)
            if self._current.stamps() != now:
                return  # it may be half of a change: look again
            fresh = self._served(predictor)
            for name, problem in fresh.unusable.items():
                if name not in self.served.unusable:
                    raise KdslError(problem)
            self.served, self._problem = fresh, ""
        except (KdslError, OSError) as error:
            self._problem = error.in_commands() if isinstance(error, KdslError) else str(error)
            _log.warning("%s; what was read before is still used", self._problem)
        except Exception as error:  # a fault of KDSL's own: it must not end the looking
            self._problem = f"what has changed cannot be read ({first_line(error)}); the service's log says more"
            _log.exception("what has changed cannot be read; what was read before is still used")
        self._read = now
        self.tell(not self._problem)

    def _require_rules_folder(self) -> None:
        """A project may have no rules; one that had some has lost them with their folder."""
        rules = self.project.config.rules
        if any(self.served.state.rules.values()) and not rules.is_dir():
            raise KdslError(f"{rules}: the folder of the rules is not there any more; put it back")

    def _served(self, predictor: ProjectPredictor) -> Served:
        unusable = {}
        for task in self.project.tasks:
            try:
                predictor.predictor.shares(task.name)
            except KdslError as error:
                unusable[task.name] = error.in_commands()
        state = predictor.predictor.state()
        return Served(predictor, state, versions_of(self.project, state), unusable)

    def _setting_stamps(self) -> Stamps:
        """Of kdsl.yaml and the task files, which are read at the start only."""
        config = self.project.config
        files = [config.folder / CONFIG_NAME, *(config.folder / name for name in config.tasks)]
        return {str(path): stamp_of(path) for path in files if path.is_file()}
