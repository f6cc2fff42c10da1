"""Samples of records in any form: MIRE, messages, KDSL's own, labelling tools, instructions, and tables.

The form is told by a record's keys. Which columns hold what is told by the first records of a file, unless it is said.
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Any

from kdsl.data import mire, plain, sharegpt
from kdsl.data.audio_folder import AudioFolder
from kdsl.data.column_guess import guess_columns
from kdsl.data.columns import Columns, has_foreign_turns
from kdsl.data.dialogue import START_MARKER
from kdsl.data.image_folder import ImageFolder
from kdsl.data.keys import note_keys
from kdsl.data.media import AUDIO, IMAGES, MEDIA
from kdsl.data.notes import Notes
from kdsl.data.record import Folders, Record, key_names
from kdsl.data.tools import TABLE, Flat, Form, alpaca, form_of
from kdsl.sample import Sample, Task

HEAD = 200
"""Records from which is told which columns hold what."""
_NATURAL = Columns(("text",), "turns", IMAGES.keys, "label", "id", AUDIO.keys)
"""What KDSL's own records call things: nothing needs to be told of them."""
_SAID = frozenset({"text", "turns"})
_SHOWN = frozenset({*IMAGES.keys, *AUDIO.keys})


@dataclass(frozen=True)
class Reading:
    """What is said about a file beforehand: which columns are what, what its labels are called in the task, and where
    its images and sounds lie. It is for one reading: their folders count what they are asked for."""

    columns: Columns = field(default_factory=Columns)
    labels: Mapping[str, str] = field(default_factory=dict)
    images: ImageFolder | None = None
    """Where images lie. Without it they must be names of files; with it they may also be addresses, absolute paths
    inside it, and pictures in the data, which are written into its cache."""
    audio: AudioFolder | None = None
    """The same of sounds."""

    @property
    def folders(self) -> Folders:
        return Folders(self.images, self.audio)


AS_IT_IS = Reading()


@dataclass(frozen=True)
class Described:
    """The form of a record, what of it is read as what, and the names of all that `Columns` could name."""

    form: str
    columns: Columns
    names: Set[str]


class RecordReader:
    """Makes samples of the records of one file, of which `head` are the first."""

    def __init__(self, head: Sequence[Record], tasks: Sequence[Task], reading: Reading = AS_IT_IS) -> None:
        self._tasks, self._given, self._known_labels = tasks, reading.columns, reading.labels
        quiet = [each.with_notes(Notes()) for each in head]
        self._is_mire = any(self._instructs(each) for each in quiet)
        prompt = _shared_prompt(quiet)
        self._alpaca = Form("Alpaca", lambda value: "instruction" in value, lambda record: alpaca(record, prompt))
        flat: dict[str, list[Flat]] = {}
        for record in quiet:
            form = self._form(record)
            if form is not None:
                flat.setdefault(form.name, []).append(form.flat(record))
        self._columns = {name: self._guess(name, records, head[0].notes) for name, records in flat.items()}
        own = [each.value for each in quiet if self._is_own(each.value)]
        self._missing = self._guess_missing(own)
        if not {*self._missing.names} <= {*self._given.names}:
            head[0].notes.columns[""] = self._missing.told()

    @property
    def _labels(self) -> list[str]:
        return [*(name for task in self._tasks for name in task.label_names), *self._known_labels]

    def read(self, record: Record, more_keys: Set[str] = frozenset()) -> Sample | None:
        """The sample of one record; None, noted, where it belongs to none of the tasks.

        Keys that its form does not have are noted, but for `more_keys`. Errors are those of `read_samples`.
        """
        form = self._form(record)
        sample = self._as_it_is(record, more_keys) if form is None else self._flat(record, form, more_keys)
        if sample is None:
            return None
        _note_content(record, sample)
        if sample.label is not None and any(task.multi for task in self._tasks if task.name == sample.task):
            sample = replace(sample, label=None, labels=(sample.label,))
        return _listed(record, sample, self._tasks)

    def _form(self, record: Record) -> Form | None:
        """The form by whose columns a record is read; None where it is read by its own keys."""
        value = record.value
        by_keys = not self._says(record)
        if "instruction" in value:
            if by_keys and (self._is_mire or self._instructs(record)):
                return None
            return self._alpaca if "output" in value else form_of(value) or TABLE
        return None if by_keys and (is_messages(value) or self._is_own(value)) else form_of(value) or TABLE

    def _says(self, record: Record) -> bool:
        """Whether the record has a column that was said to hold its text, its turns or its images."""
        return any(name in record.value for name in self._given.content)

    def _is_own(self, value: Mapping[str, Any]) -> bool:
        """Whether it is in KDSL's own form, as far as its keys tell."""
        if not value.keys() & (_SAID | _SHOWN) or "instruction" in value or is_messages(value):
            return False
        return (value.keys() <= plain.KEYS or form_of(value) is None) and not has_foreign_turns(value.get("turns"))

    def _instructs(self, record: Record) -> bool:
        """Whether it is one of the MIRE challenge's: a dialogue between markers, or a question about a picture."""
        value = record.value
        instruction = value.get("instruction")
        if not isinstance(instruction, str) or any(
            START_MARKER in str(value.get(k)) for k in ("instruction", "input")
        ):
            return "instruction" in value
        if value.get("input"):
            return False
        names = any(task.labels and all(name in instruction for name in task.label_names) for task in self._tasks)
        return names or "image" in value

    def _guess(self, form: str, records: Sequence[Flat], notes: Notes) -> Columns:
        """The columns of a form, noted where their names alone do not tell."""
        answers = list(dict.fromkeys(name for each in records for name in each.answers))
        found = self._given.filled(guess_columns([each.values for each in records], self._labels, answers))
        if {*found.names} - {*_NATURAL.names, *answers, *self._given.names}:
            notes.columns[form] = found.told()
        return found

    def describe(self, record: Record) -> "Described":
        """How a record is read."""
        value = record.value
        form = self._form(record)
        if form is not None:
            names = form.flat(record.with_notes(Notes())).values.keys()
            return Described(form.name, self._columns.get(form.name, self._given), names)
        if "instruction" in value:
            return Described("MIRE", Columns(), value.keys())
        if is_messages(value):
            return Described("messages", Columns(), value.keys())
        return Described("KDSL's own form", self._missing.filled(_NATURAL.among(value.keys())), value.keys())

    def _guess_missing(self, records: Sequence[Mapping[str, Any]]) -> Columns:
        """Columns for what no record of KDSL's own form has under its own name."""
        if not records:
            return Columns()
        known = {key for record in records for key, value in record.items() if value is not None}
        rest = [{key: value for key, value in record.items() if key not in plain.KEYS} for record in records]
        found = guess_columns(rest, self._labels, by_name=bool(known & _SHOWN)) if any(rest) else Columns()
        said = known & _SAID
        return Columns(
            () if said else found.text,
            "" if said else found.turns,
            () if known & {*IMAGES.keys} else found.images,
            self._given.label or ("" if "label" in known else found.label),
            self._given.id or ("" if "id" in known else found.id),
            () if known & {*AUDIO.keys} else found.audio,
        )

    def _as_it_is(self, record: Record, more_keys: Set[str]) -> Sample | None:
        if "instruction" in record.value:
            return _noted(record, mire.read_mire(record, self._tasks), mire.KEYS | more_keys)
        if is_messages(record.value):
            keys = sharegpt.KEYS if {"messages", "conversations"} & record.value.keys() else sharegpt.QUERY_KEYS
            return _noted(record, sharegpt.read_sharegpt(record, self._tasks), keys | more_keys)
        missing = self._missing
        if not missing.names or not record.value.keys() & {*missing.names}:
            return _noted(record, plain.read_plain(record, self._tasks), plain.KEYS | more_keys)
        added = {key: value for key, value in missing.plain(record, record.value).value.items() if value is not None}
        whole = record.with_value({**record.value, **added})
        return _noted(whole, plain.read_plain(whole, self._tasks), plain.KEYS | more_keys | {*missing.names})

    def _flat(self, record: Record, form: Form, more_keys: Set[str]) -> Sample | None:
        flat = form.flat(record)
        columns = self._columns.get(form.name)
        if columns is None:
            columns = self._columns[form.name] = self._guess(form.name, [flat], record.notes)
        if not columns.content:
            names = key_names(dict(flat.values))
            raise record.error(
                f"nothing tells which column or key holds the text, the images or the sounds; there is {names}: name "
                "them in data.columns"
            )
        sample = plain.read_plain(columns.plain(record, flat.values), self._tasks)
        for name, value in flat.values.items():
            if (
                name not in columns.names
                and name not in more_keys | {"task", "copy_of"}
                and value not in (None, "", [], {})
            ):
                record.notes.unused[name] += 1
        return sample


def is_messages(value: Mapping[str, Any]) -> bool:
    """Whether it is ShareGPT, of OpenAI, LLaMA-Factory or ms-swift."""
    return bool({"messages", "conversations"} & value.keys()) or (
        value.keys() >= {"query", "response"} and not value.keys() & _SAID
    )


def is_sample(value: Mapping[str, Any]) -> bool:
    """Whether the keys alone tell a sample, not a list of them."""
    return (
        "instruction" in value
        or is_messages(value)
        or bool(value.keys() & (_SAID | _SHOWN))
        or (form_of(value) is not None)
    )


def _shared_prompt(head: Sequence[Record]) -> str | None:
    """The instruction of all records, where there is more than one and anything else differs."""
    instructions = {str(record.value["instruction"]) for record in head if "instruction" in record.value}
    others = any(record.value.get(key) for record in head for key in ("input", "images", *AUDIO.keys))
    return instructions.pop() if len(instructions) == 1 and others and len(head) > 1 else None


def _listed(record: Record, sample: Sample, tasks: Sequence[Task]) -> Sample:
    """With the label `other` in place of one that the task does not list, where the task file says so."""
    task = next((task for task in tasks if task.name == sample.task), None)
    if task is None or not task.unlisted_as_other or sample.label is None or sample.label in task.label_names:
        return sample
    record.notes.note(f"labels that {task.name} does not list are read as {task.other!r}", record.where)
    return replace(sample, label=task.other)


def _noted(record: Record, sample: Sample | None, keys: Set[str]) -> Sample | None:
    if sample is not None:
        note_keys(record, keys, sample)
    return sample


def _note_content(record: Record, sample: Sample) -> None:
    said = "\n".join([turn.text for turn in sample.turns])
    for medium in MEDIA:
        if medium.placeholder in said:
            what = f"samples with an {medium.placeholder} for which no file is listed"
            record.notes.note(what, record.where)
    if not sample.images and not sample.audio and not said.strip():
        where = f"{record.where}, whose keys are {key_names(record.value)}"
        record.notes.note("samples with no text, image or sound", where)
