"""The log of a service's decisions: one JSON line a decision, in files of a day, and of some size.

A line says what was decided, by whom, and which rules held, with the versions of all that decided. What the customer
wrote stands in it only where it is asked for: by default a sample is known by its id and its fingerprint alone.

Days are those of UTC: no hour comes twice, and the files do not depend on where the service runs.
"""

import logging
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache, partial
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import AwareDatetime, Field, TypeAdapter, ValidationError

from kdsl.arbiter.decision import Decision
from kdsl.arbiter.multi_label_decision import AnyDecision
from kdsl.data.writers import plain_record
from kdsl.errors import KdslError
from kdsl.files import opened
from kdsl.json_file import Append, append_jsonl
from kdsl.record_file import Share

_log = logging.getLogger(__name__)

LARGEST = 64 << 20
"""Bytes after which another file of the same day is begun."""
_NAME = re.compile(r"decisions-(\d{4}-\d{2}-\d{2})(?:\.([2-9]|[1-9]\d+))?\.jsonl", re.ASCII)
_LONGEST_LINE = 1 << 28
"""Bytes of a line that is read: a sample with its texts is far shorter."""
_DIGITS = 6
"""Of probabilities, as in a prediction file."""
_AT = b'{"at": "'
"""How every line begins; a time in UTC of fixed length follows."""
_AT_LENGTH = len("2026-11-30T15:04:05.123456")


def _now() -> datetime:
    return datetime.now(UTC)


class DecisionLog:
    """Writes the log. Safe for threads, and for several services that log into one folder."""

    def __init__(
        self,
        folder: Path,
        texts: bool = False,
        days: int = 30,
        most_bytes: int = LARGEST,
        now: Callable[[], datetime] = _now,
    ) -> None:
        """Opens the file of today, made with its folder where they are missing; deletes files of days that are more
        than `days` ago. With `texts`, lines hold the samples too.

        Raises KdslError where `folder` cannot be written to, or is a link, as what is deleted would lie elsewhere.
        """
        self._folder = folder
        self._texts = texts
        self._days = days
        self._most_bytes = most_bytes
        self._now = now
        self._mutex = threading.Lock()
        self._file = _OpenFile.begin(folder, self._today(), most_bytes)
        self._delete_old()

    def append(self, decisions: Sequence[AnyDecision], versions: Mapping[str, str]) -> None:
        """Log `decisions` that were just made, of which `versions` tells by what: see `kdsl.project.versions`.

        They are handed to the system in one write when this returns, so that a kill loses none of them; a power cut
        may. Raises KdslError where they cannot be written.
        """
        with self._mutex:
            at = self._now().astimezone(UTC)
            if not self._file.serves(at.date(), self._most_bytes):
                file = _OpenFile.begin(self._folder, at.date(), self._most_bytes)
                self._file.close()
                self._file = file
                self._delete_old()
            stamp = at.isoformat(timespec="microseconds")
            self._file.append(*(_line(each, stamp, versions, self._texts) for each in decisions))

    def close(self) -> None:
        """Nothing is appended after this."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _today(self) -> date:
        return self._now().astimezone(UTC).date()

    def _delete_old(self) -> None:
        first = self._today() - timedelta(days=self._days)
        for file in _log_files(self._folder):
            if file.day < first:
                try:
                    file.path.unlink(missing_ok=True)
                except OSError as error:  # decisions are logged nevertheless
                    _log.warning("%s: cannot be deleted (%s), though it is over %d days old; delete it by hand",
                                 file.path, error.strerror, self._days)  # fmt: skip


def _line(decision: AnyDecision, at: str, versions: Mapping[str, str], texts: bool) -> dict[str, Any]:
    """What is logged of a decision: nothing that the customer wrote, but for the id and, with `texts`, the sample."""
    sample = decision.sample
    line = {
        "at": at,
        "id": sample.id,
        "task": sample.task,
        "label": decision.label,
        "probability": round(float(decision.merged.max()), _DIGITS) if isinstance(decision, Decision) else None,
        "by": decision.by,
        "label_without_rules": decision.model_label,
        "rules": [hit.rule.id for hit in decision.rules],
        "fingerprint": sample.fingerprint,
        "versions": dict(versions),
    }
    if texts:
        line["sample"] = {key: value for key, value in plain_record(sample).items() if key != "label"}
    return line


class _LogFile(NamedTuple):
    """Sorted as they were written."""

    day: date
    number: int
    path: Path

    @classmethod
    def of(cls, folder: Path, day: date, number: int) -> "_LogFile":
        name = f"decisions-{day}.jsonl" if number == 1 else f"decisions-{day}.{number}.jsonl"
        return cls(day, number, folder / name)


def _log_files(folder: Path) -> list[_LogFile]:
    """The files of the log, the oldest first, none where there is no folder; what has another name is no file of it.

    Raises KdslError where the folder, or one of them, is a link: it may lead to what is nobody's log.
    """
    if folder.is_symlink():
        raise KdslError(f"{folder}: is a link; set serve.log to the folder that it leads to")
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    except NotADirectoryError as error:
        raise KdslError(f"{folder}: is a file; set serve.log to a folder, which may be a new one") from error
    except OSError as error:
        raise KdslError(
            f"{folder}: cannot be read ({error.strerror}); set serve.log to a folder that you may read"
        ) from error
    files = []
    for name in names:
        match = _NAME.fullmatch(name)
        if match is None or (day := _day(match[1])) is None:
            continue
        if (folder / name).is_symlink():
            raise KdslError(f"{folder / name}: is a link; the files of a decision log lie in its folder themselves")
        files.append(_LogFile(day, int(match[2] or 1), folder / name))
    return sorted(files)


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:  # 2026-02-30
        return None


@dataclass(frozen=True)
class _OpenFile:
    """The file that is appended to."""

    day: date
    path: Path
    place: tuple[int, int]
    """Device and inode: another file may come by this name, or none."""
    append: Append
    close: Callable[[], None]

    @classmethod
    def begin(cls, folder: Path, day: date, most_bytes: int) -> "_OpenFile":
        """The last file of that day, or the one after it where that is full."""
        number = max((file.number for file in _log_files(folder) if file.day == day), default=1)
        file = _LogFile.of(folder, day, number)
        status = _status(file.path)
        if status is not None and status.st_size >= most_bytes:
            file = _LogFile.of(folder, day, number + 1)
        with ExitStack() as stack:
            append = stack.enter_context(append_jsonl(file.path))
            status = _status(file.path)
            if status is None:
                raise KdslError(f"{file.path}: somebody has just deleted it; try again")
            return cls(day, file.path, (status.st_dev, status.st_ino), append, stack.pop_all().close)

    def serves(self, day: date, most_bytes: int) -> bool:
        """Whether it is of that day, still there under its name, and not full."""
        status = _status(self.path)
        return (
            status is not None
            and self.day == day
            and self.place == (status.st_dev, status.st_ino)
            and status.st_size < most_bytes
        )


def _status(path: Path) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except OSError:  # what is wrong with it is said when it is opened
        return None


@dataclass(frozen=True, slots=True)
class LoggedDecision:
    """One line of the log."""

    at: AwareDatetime
    id: str
    task: str
    label: Annotated[str | tuple[str, ...] | None, Field(union_mode="left_to_right")]
    """None where it was handed to a person; of several labels those that hold."""
    probability: Share | None
    """Of the likeliest label; None where a sample may have several."""
    by: Literal["model", "rules", "other", "abstained"]
    label_without_rules: Annotated[str | tuple[str, ...], Field(union_mode="left_to_right")]
    rules: tuple[str, ...]
    """Ids of the rules that held, the heaviest first."""
    fingerprint: str
    versions: dict[str, str]
    sample: dict[str, Any] | None = None
    """The sample in KDSL's plain form (docs/data.md), without its label; None in a log without texts."""


@cache
def _parser() -> TypeAdapter[LoggedDecision]:
    return TypeAdapter(LoggedDecision)


class LoggedDecisions:
    """The decisions of a log since some time, read from its files whenever they are gone through."""

    def __init__(self, files: Sequence[Path], since: datetime, behind: Mapping[Path, int]) -> None:
        self._files = files
        self._since = since.astimezone(UTC)
        self._behind = behind
        self.damaged = 0
        """Lines that were no decision, of those that have been gone through: torn by a kill, or written by others."""
        self.unfinished = 0
        """How many of these are last lines without an end, which somebody may be writing."""
        self.read = dict(behind)
        """Bytes of each file up to the line that is gone through next; an unfinished one is gone through again."""

    def __iter__(self) -> Iterator[LoggedDecision]:
        self.damaged, self.unfinished, self.read = 0, 0, dict(self._behind)
        parse = _parser().validate_json
        # Most lines of the first day are too old: their time is compared as it stands.
        first, end = self._since.isoformat(timespec="microseconds")[:_AT_LENGTH].encode(), len(_AT) + _AT_LENGTH
        for path in self._files:
            with opened(path) as file:
                place = self._behind.get(path, 0)
                if place > os.fstat(file.fileno()).st_size:  # another file, begun where that one was taken away
                    place = 0
                file.seek(place)
                for line in iter(partial(file.readline, _LONGEST_LINE), b""):
                    whole = line.endswith(b"\n")
                    place += len(line)
                    if whole:
                        self.read[path] = place
                    if line[len(_AT) : end] < first and line.startswith(_AT):
                        continue
                    try:
                        decision = parse(line)
                    except ValidationError:
                        damaged = bool(line.strip())
                        self.damaged += damaged
                        self.unfinished += damaged and not whole
                        continue
                    if decision.at >= self._since and whole:
                        yield decision


def read_decisions(
    folder: Path, since: datetime, behind: Mapping[Path, int] = MappingProxyType({})
) -> LoggedDecisions:
    """The decisions in the log at `folder` that were made at `since`, which has a time zone, or later.

    They come in the order in which they were written, a line at a time; files of days before are not opened. With
    `behind`, what an earlier one has `read`, only what was written since. Without a folder there are none. Raises
    KdslError where one of the files cannot be read, or is a link.
    """
    day = since.astimezone(UTC).date()
    return LoggedDecisions([file.path for file in _log_files(folder) if file.day >= day], since, behind)
