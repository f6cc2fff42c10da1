"""What a project predicts with as its files are now: for a process that stays while people review, mine and train."""

import os
from pathlib import Path

from kdsl.fields.sidecar import Sidecars
from kdsl.files import Stamp, stamp_of
from kdsl.locks import is_lock
from kdsl.project.prediction import ProjectPredictor
from kdsl.project.project import Project

Stamps = tuple[tuple[Path, Stamp | None], ...]
"""Of files that predictions depend on."""


class CurrentPredictor:
    """Reads what a project predicts with, and again only what has changed since.

    - Rule files: classifiers, arbiters and models are kept.
    - What `kdsl train` leaves, or recorded answers: all but the weights of a large model that are the same.
    - Sidecars: what is new in them is taken over.

    What was given out before is never changed by that, so that decisions of another thread end as they began.
    """

    def __init__(self, project: Project) -> None:
        self._project = project
        self._read: tuple[Stamps, Stamps, ProjectPredictor] | None = None
        """Of the rules, of what was trained, and what was made of them."""
        self._known: Sidecars | None = None

    def now(self, whole: bool = False) -> ProjectPredictor:
        """What predicts now: the same object as before unless rules or a checkpoint have changed.

        `whole` is for who would rather go on with what was given before than lack a part: it raises KdslError also
        where a rule file cannot be read, and where a task cannot be loaded of which no sample has come yet. After any
        error the next call tries again.
        """
        rules, trained = self.stamps()  # before they are read: what is written meanwhile is read next time
        if self._read is None or self._read[1] != trained:
            predictor = self._opened(whole)
        elif self._read[0] != rules:
            predictor = self._read[2].with_current_rules(whole)
        else:
            predictor = self._read[2]
        known = self._project.sidecars()
        if known is not self._known:
            predictor.images.learn(known)
        self._known, self._read = known, (rules, trained, predictor)
        return predictor

    def stamps(self) -> tuple[Stamps, Stamps]:
        """Of the rules and of what was trained, as their files are now; where they are the same, so is `now`."""
        config = self._project.config
        trained = self._stamps(config.checkpoint)
        if config.recorded is not None:
            trained += ((config.recorded, stamp_of(config.recorded)),)
        return self._stamps(config.rules), trained

    def _opened(self, whole: bool) -> ProjectPredictor:
        opened = ProjectPredictor.open(self._project, earlier=None if self._read is None else self._read[2])
        if whole:
            opened.predictor.load()
        return opened

    def _stamps(self, folder: Path) -> Stamps:
        """Of all files in the folders of the tasks."""
        paths = [
            Path(place, name)
            for task in self._project.tasks
            for place, _, names in os.walk(folder / task.name)
            for name in names
        ]
        return tuple((path, stamp_of(path)) for path in sorted(paths) if not is_lock(path))
