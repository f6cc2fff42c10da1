"""Reading samples from files of any form: see `kdsl.data.forms`."""

from collections.abc import Iterator, Sequence, Set
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path

from kdsl.data.containers import file_values
from kdsl.data.forms import AS_IT_IS, HEAD, Reading, RecordReader
from kdsl.data.notes import Notes
from kdsl.data.record import Record, record_at
from kdsl.data.writers import unknown_label
from kdsl.errors import KdslError
from kdsl.files import path_given
from kdsl.sample import Sample, SampleKey, Task


def read_samples(
    path: str | Path, tasks: Sequence[Task] = (), notes: Notes | None = None, reading: Reading = AS_IT_IS
) -> list[Sample]:
    """All samples of a file that belong to one of `tasks`, in the order of the file; the form is detected.

    Without `tasks` a sample may have any task and any label; one that names no task is of the task "samples".
    `reading` says which columns are what, where names and values do not tell, and where images lie.

    Raises KdslError with the line or element for anything of another shape, for a record without an id whose number is
    the id of another one, and for a file without samples. What is left out, put right or not read is told in counted
    warnings, and noted in `notes`. Labels are not compared with the task's: see `kdsl.data.checks` and
    `kdsl.sample.label_indices`.
    """
    return [sample for _, sample in iterate_records(path_given(path, "path"), tasks, notes, reading=reading)]


def read_known(path: Path, tasks: Sequence[Task], reading: Reading = AS_IT_IS) -> list[Sample]:
    """Like `read_samples`, for a model to learn from: KdslError for a label that the sample's task does not have."""
    by_name = {task.name: task for task in tasks}
    samples = []
    for record, sample in iterate_records(path, tasks, reading=reading):
        task = by_name[sample.task]
        for label in sample.labels or () if sample.label is None else (sample.label,):
            if label not in task.label_names:
                raise record.error(unknown_label(label, [task]))
        samples.append(sample)
    return samples


def iterate_samples(
    path: Path, tasks: Sequence[Task], content: Path | None = None, reading: Reading = AS_IT_IS
) -> Iterator[Sample]:
    """Like `read_samples`, one sample at a time; of JSON Lines only one line is in memory."""
    return (sample for _, sample in iterate_records(path, tasks, content=content, reading=reading))


def iterate_records(
    path: Path,
    tasks: Sequence[Task],
    notes: Notes | None = None,
    more_keys: Set[str] = frozenset(),
    content: Path | None = None,
    reading: Reading = AS_IT_IS,
) -> Iterator[tuple[Record, Sample]]:
    """Like `iterate_samples`, with the record of each, for what it says besides under `more_keys`.

    `content` is a copy of what `path` holds, where that is a pipe: it is read, and messages name `path`.
    """
    notes, ids = notes if notes is not None else Notes(), _Ids()
    samples = 0
    reader, records = open_records(path, tasks, notes, content, reading)
    for record in records:
        sample = reader.read(record, more_keys)
        if sample is not None:
            samples += 1
            ids.take(record, sample.key)
            yield record, replace(sample, copy_of=record.copy_of()) if "copy_of" in record.value else sample
    notes.tell(path)
    if not samples:
        names = ", ".join(task.name for task in tasks)
        raise KdslError(f"{path}: holds no samples of the project's tasks ({names}); name their task in `tasks:`")


def open_records(
    path: Path, tasks: Sequence[Task], notes: Notes, content: Path | None = None, reading: Reading = AS_IT_IS
) -> tuple[RecordReader, Iterator[Record]]:
    """The records of a file, and what makes samples of them; errors are those of `read_samples`."""
    labels = [name for task in tasks for name in task.label_names] + [*reading.labels]
    found = (
        record_at(path, value, notes, reading.labels, reading.folders)
        for value in file_values(path, labels, content, notes)
    )
    head = [*islice(found, HEAD)]
    if not head:
        raise KdslError(f"{path}: holds no samples, for it is empty")
    return RecordReader(head, tasks, reading), chain(head, found)


class _Ids:
    """The ids of a file, as far as a record's number may be taken for one."""

    def __init__(self) -> None:
        self._given: dict[SampleKey, str] = {}
        self._numbers: dict[SampleKey, str] = {}

    def take(self, record: Record, key: SampleKey) -> None:
        """Raises KdslError where a record without an id would go by the id of another one."""
        identity = key[1]
        if record.value.get("id") is None:
            if key in self._given:
                raise record.error(
                    f"has no id and would go by its number {identity}, which is the id in {self._given[key]}; give "
                    "every record an id, or none"
                )
            self._numbers[key] = record.place
        elif identity.replace(".", "").isdecimal():
            if key in self._numbers:
                raise record.error(
                    f"the id {identity!r} is the number of {self._numbers[key]}, which has no id and goes by it; give "
                    "every record an id, or none"
                )
            self._given[key] = record.place
