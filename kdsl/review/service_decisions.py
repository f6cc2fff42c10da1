"""What a service decided of late, by its decision log, which is read on in the background while it grows."""

import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

from kdsl.errors import KdslError
from kdsl.project.decision_log import LoggedDecision, read_decisions
from kdsl.review.decision_tally import Tally

PERIODS = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(days=7)}
_SLOT = 600
"""Seconds that are counted together; a period begins with such a slot."""
_PATIENCE = 0.8
"""Seconds that a request waits for what is being read: a day of a busy service takes longer the first time."""
_TOGETHER = 2000
"""Decisions that are counted before requests see them, a few hundredths of a second."""


@dataclass(frozen=True)
class Lately:
    """The decisions about the samples of a task since some time."""

    since: datetime
    tally: Tally
    reading: bool
    """Whether there may be more, which is being read."""
    damaged: int
    """Lines of the log that are no decisions."""
    problem: str
    """Why the log cannot be read; empty where it can."""


class ServiceDecisions:
    """Counts of the decision log in `folder`. Safe for threads.

    Every line is read once. What is kept are tallies of ten minutes each, for as long as the longest period that was
    asked for.
    """

    def __init__(
        self, folder: Path, tasks: Collection[str], now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        """Decisions about samples of other `tasks` are passed over."""
        self.folder = folder
        self._tasks = frozenset(tasks)
        self._now = now
        self._mutex = threading.Lock()
        self._worker: threading.Thread | None = None
        self._longest = PERIODS["day"]
        self._forget()

    def _forget(self) -> None:
        """Read everything again, from as long ago as is kept."""
        self._first = self._slot_ago(self._longest)
        self._slots: dict[tuple[int, str], Tally] = {}
        self._read: Mapping[Path, int] = {}
        self._damaged, self._unfinished, self._problem = 0, 0, ""

    @property
    def there(self) -> bool:
        """Whether a service has begun such a log."""
        return self.folder.is_symlink() or self.folder.is_dir()

    def lately(self, task: str, period: str) -> Lately:
        """What was decided about a task's samples in the last hour, day or week: see `PERIODS`.

        It comes within a second, whatever the size of the log, and tells whether there is more to come.
        """
        with self._mutex:
            if PERIODS[period] > self._longest:
                self._longest = PERIODS[period]
                self._forget()
            worker = self._worker
            if worker is None or not worker.is_alive():
                worker = self._worker = threading.Thread(target=self._catch_up, name="kdsl-decisions", daemon=True)
                worker.start()
        worker.join(_PATIENCE)
        first, total = self._slot_ago(PERIODS[period]), Tally()
        with self._mutex:
            for (slot, name), tally in sorted(self._slots.items()):
                if slot >= first and name == task:
                    total.merge(tally)
            return Lately(_begin(first), total, worker.is_alive(), self._damaged + self._unfinished, self._problem)

    def _catch_up(self) -> None:
        """Count what was logged since the last time."""
        with self._mutex:
            oldest = self._slot_ago(self._longest)
            self._slots = {key: tally for key, tally in self._slots.items() if key[0] >= oldest}
        try:
            while not self._read_on():
                pass
        except KdslError as error:
            with self._mutex:
                self._problem = error.in_commands()

    def _read_on(self) -> bool:
        """Whether all was counted; not where a longer period was asked for meanwhile."""
        with self._mutex:
            slots, before = self._slots, self._damaged
            log = read_decisions(self.folder, _begin(self._first), self._read)
        left = iter(log)
        while True:
            some = list(islice(left, _TOGETHER))
            apart: defaultdict[tuple[int, str], list[LoggedDecision]] = defaultdict(list)
            for decision in some:
                if decision.task in self._tasks:
                    apart[_slot(decision.at), decision.task].append(decision)
            found = {key: Tally.of(decisions) for key, decisions in apart.items()}
            with self._mutex:
                if self._slots is not slots:
                    return False
                for key, tally in found.items():
                    slots.setdefault(key, Tally()).merge(tally)
                # Together with what was counted, so that no line counts twice.
                self._read, self._damaged = dict(log.read), before + log.damaged - log.unfinished
                self._unfinished, self._problem = log.unfinished, ""
            if not some:
                return True

    def _slot_ago(self, period: timedelta) -> int:
        return _slot(self._now() - period)


def _slot(at: datetime) -> int:
    return int(at.timestamp()) // _SLOT


def _begin(slot: int) -> datetime:
    return datetime.fromtimestamp(slot * _SLOT, UTC)
