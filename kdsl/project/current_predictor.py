"""What a project predicts with as its files are now: for a process that stays while people review, mine and train."""

import os
from collections.abc import Iterator
from pathlib import Path

from kdsl.fields.sidecar import Sidecars
from kdsl.files import Stamp, stamp_of
from kdsl.locks import is_lock
from kdsl.project.prediction import ProjectPredictor
from kdsl.project.project import Project

Stamps = dict[str, Stamp | None]
"""Of files that predictions depend on."""


class CurrentPredictor:
    """Reads what a project predicts with, and again only what has changed since.

    - Rule files: classifiers, arbiters and models are kept.
    - What `kdsl train` leaves, or recorded answers: all but the weights of a large model that are the same.
    - Sidecars: what is new in them is taken over.

    What was given out before is never changed by that, so that decisions of another thread end as they began.
    """

    def __init__(self, project: Project, keeping: bool = True) -> None:
        """`keeping` is that of `ProjectPredictor.open`."""
        self._project = project
        self._keeping = keeping
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
            predictor.learn(known)
        self._known, self._read = known, (rules, trained, predictor)
        return predictor

    def stamps(self) -> tuple[Stamps, Stamps]:
        """Of the rules and of what was trained, as their files are now; where they are the same, so is `now`."""
        config = self._project.config
        trained = self._stamps(config.checkpoint)
        if config.recorded is not None:
            trained[str(config.recorded)] = stamp_of(config.recorded)
        return self._stamps(config.rules), trained

    def _opened(self, whole: bool) -> ProjectPredictor:
        earlier = None if self._read is None else self._read[2]
        opened = ProjectPredictor.open(self._project, earlier=earlier, keeping=self._keeping)
        if whole:
            opened.predictor.load()
        return opened

    def _stamps(self, folder: Path) -> Stamps:
        """Of all files in the folders of the tasks; quick, as a service looks several times a second."""
        return {path: stamp for task in self._project.tasks for path, stamp in _files(str(folder / task.name))}


def _files(folder: str) -> Iterator[tuple[str, Stamp]]:
    """Path and stamp of every file in a folder and in those within it, but for locks; nothing without a folder."""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    yield from _files(entry.path)
                elif not is_lock(entry.name):
                    status = entry.stat()
                    yield entry.path, (status.st_mtime_ns, status.st_size, status.st_ino)
    except OSError:  # it went away just now, or was never there: what reads it says so
        return
