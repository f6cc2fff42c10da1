"""Reading samples from MIRE json, ShareGPT and plain records, as JSON lists or JSON Lines."""

from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import replace
from pathlib import Path

from kdsl.data import mire, plain, sharegpt
from kdsl.data.keys import advice, meant_key, note_keys
from kdsl.data.notes import Notes
from kdsl.data.record import Record, key_names, record_at
from kdsl.data.values import Value, json_values
from kdsl.data.writers import unknown_label
from kdsl.errors import KdslError
from kdsl.files import path_given
from kdsl.sample import IMAGE_PLACEHOLDER, Sample, SampleKey, Task

_WRAPPERS = frozenset({"data", "samples", "records", "items", "examples", "rows"})
"""Keys under which a file may hold its list of samples."""


def read_samples(path: str | Path, tasks: Sequence[Task] = (), notes: Notes | None = None) -> list[Sample]:
    """All samples of a file that belong to one of `tasks`, in the order of the file; the format is detected.

    Without `tasks` a sample may have any task and any label; one that names no task is of the task "samples".

    Raises KdslError with the line or element for anything of another shape, for a record without an id whose number is
    the id of another one, and for a file without samples. What is left out, put right or not read is told in counted
    warnings, and noted in `notes`. Labels are not compared with the task's: see `kdsl.data.checks` and
    `kdsl.sample.label_indices`.
    """
    return [sample for _, sample in iterate_records(path_given(path, "path"), tasks, notes)]


def read_known(path: Path, tasks: Sequence[Task]) -> list[Sample]:
    """Like `read_samples`, for a model to learn from: KdslError for a label that the sample's task does not have."""
    by_name = {task.name: task for task in tasks}
    samples = []
    for record, sample in iterate_records(path, tasks):
        task = by_name[sample.task]
        for label in sample.labels or () if sample.label is None else (sample.label,):
            if label not in task.label_names:
                raise record.error(unknown_label(label, [task]))
        samples.append(sample)
    return samples


def iterate_samples(path: Path, tasks: Sequence[Task], content: Path | None = None) -> Iterator[Sample]:
    """Like `read_samples`, one sample at a time; of JSON Lines only one line is in memory."""
    return (sample for _, sample in iterate_records(path, tasks, content=content))


def iterate_records(
    path: Path,
    tasks: Sequence[Task],
    notes: Notes | None = None,
    more_keys: Set[str] = frozenset(),
    content: Path | None = None,
) -> Iterator[tuple[Record, Sample]]:
    """Like `iterate_samples`, with the record of each, for what it says besides under `more_keys`.

    `content` is a copy of what `path` holds, where that is a pipe: it is read, and messages name `path`.
    """
    notes, ids = notes if notes is not None else Notes(), _Ids()
    records = samples = 0
    labels = [name for task in tasks for name in task.label_names]
    for value in _unwrapped(json_values(path, labels, content)):
        record = record_at(path, value, notes)
        records += 1
        sample = read_record(record, tasks, more_keys)
        if sample is not None:
            samples += 1
            ids.take(record, sample.key)
            yield record, replace(sample, copy_of=record.copy_of()) if "copy_of" in record.value else sample
    if not records:
        raise KdslError(f"{path}: holds no samples; give a JSON list or one JSON object a line")
    notes.tell(path)
    if not samples:
        names = ", ".join(task.name for task in tasks)
        raise KdslError(f"{path}: holds no samples of the project's tasks ({names}); name their task in `tasks:`")


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


def _unwrapped(values: Iterator[Value]) -> Iterator[Value]:
    """The samples of objects like {"data": [sample, …]}, and all other values as they are."""
    for value in values:
        held = value.value
        wrapped = _WRAPPERS & held.keys() if isinstance(held, dict) else ()
        lists = [held[key] for key in wrapped if isinstance(held[key], list)]
        if len(lists) == 1 and _form(held) is None:
            for number, element in enumerate(lists[0], start=1):
                yield Value(f"{value.place}, element {number}", f"{number}", element)
        else:
            yield value


Read = Callable[[Record, Sequence[Task]], Sample | None]


def _form(value: dict[str, object]) -> tuple[Read, Set[str]] | None:
    """The reader of a record, by its keys, and all keys that it knows."""
    keys = value.keys()
    if "instruction" in keys:
        return mire.read_mire, mire.KEYS
    if "messages" in keys or "conversations" in keys:
        return sharegpt.read_sharegpt, sharegpt.KEYS
    if keys >= {"query", "response"} and not keys & {"text", "turns"}:
        return sharegpt.read_sharegpt, sharegpt.QUERY_KEYS
    if keys & {"text", "turns", "images", "image"}:
        return plain.read_plain, plain.KEYS
    return None


def read_record(record: Record, tasks: Sequence[Task], more_keys: Set[str] = frozenset()) -> Sample | None:
    """The sample of one record; None, noted, where it belongs to none of `tasks`. Errors are those of `read_samples`.

    Keys that its form does not have are noted, but for `more_keys`.
    """
    form = _form(record.value)
    if form is None:
        raise _formless(record)
    read, keys = form
    sample = read(record, tasks)
    if sample is not None:
        if sample.label is not None and any(task.multi for task in tasks if task.name == sample.task):
            sample = replace(sample, label=None, labels=(sample.label,))
        note_keys(record, keys | more_keys | (frozenset() if sample.labels is None else {"labels"}), sample)
        _note_content(record, sample)
    return sample


def _formless(record: Record) -> KdslError:
    meant = next((key for key in record.value if meant_key(key) == "text"), None)
    what = f"; {meant!r} is none of them: {advice(meant, plain.KEYS)}" if meant is not None else ""
    return record.error(
        "a sample has the key instruction (MIRE), messages or conversations (ShareGPT), text, turns or images; "
        f"this one has {key_names(record.value)}{what}"
    )


def _note_content(record: Record, sample: Sample) -> None:
    if any(IMAGE_PLACEHOLDER in turn.text for turn in sample.turns):
        record.notes.note(f"samples with an {IMAGE_PLACEHOLDER} for which no image is listed", record.where)
    if not sample.images and not any(turn.text.strip() for turn in sample.turns):
        where = f"{record.where}, whose keys are {key_names(record.value)}"
        record.notes.note("samples with neither a text nor an image", where)
