"""Which columns probably are what, by their names and by what stands in the first records."""

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kdsl.data.audio_folder import is_sound, is_waveform
from kdsl.data.columns import PARTS_TYPE, ROLES, Columns
from kdsl.data.dialogue import CHINESE, ENGLISH
from kdsl.data.keys import meant_by_name
from kdsl.data.record import json_in, labels_in

_FILE_OF_IMAGE = re.compile(
    r"data:image/|[^\n]{1,400}\.(?:png|jpe?g|webp|gif|bmp|tiff?|heic)(?:[?#][^\n]*)?$", re.IGNORECASE
)
_FILE_OF_SOUND = re.compile(
    r"data:audio/|[^\n]{1,400}\.(?:wav|mp3|og[ga]|opus|flac|amr|m4a|aac|aiff?|wma|3gp)(?:[?#][^\n]*)?$", re.IGNORECASE
)
_NUMBER = re.compile(r"[\d\s.,:/%+-]*")
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://|[\w.-]*/[\w./-]*$|[0-9a-f-]{16,}$", re.IGNORECASE)
"""Addresses, paths and hashes."""
_MOST, _HALF = 0.8, 0.5
"""Shares of the values of a column from which it is taken to be what they look like."""
_LONG_LABEL, _MOST_LABELS = 60, 300
"""Characters of a label, and labels of a task, that a column may have to be taken for the labels unasked."""
_BESIDES = frozenset({"comment", "comments", "remark", "note", "notes", "备注", "sentences"})
"""Names that mean a text only where no other column is one: annotators write there, too."""


@dataclass(frozen=True)
class _Column:
    """A column with its values, as far as it has any, and how many records there are."""

    name: str
    values: Sequence[Any]
    rows: int

    @property
    def texts(self) -> list[str]:
        return [value for value in self.values if isinstance(value, str)]

    @property
    def length(self) -> float:
        """Characters of a text, on average; 0 where most values are none."""
        texts = self.texts
        return sum(map(len, texts)) / len(texts) if len(texts) > _HALF * len(self.values) else 0.0

    @property
    def distinct(self) -> int:
        return len(set(map(repr, self.values)))

    @property
    def numeric(self) -> bool:
        return all(_NUMBER.fullmatch(str(value)) for value in self.values)

    def share(self, test: Any) -> float:
        return sum(map(test, self.values)) / len(self.values)


def guess_columns(
    records: Sequence[Mapping[str, Any]],
    labels: Collection[str] = (),
    answers: Collection[str] = (),
    by_name: bool = False,
) -> Columns:
    """The columns that probably hold what a sample is made of; empty where nothing looks like it.

    `labels` are those of the tasks, if there are any; `answers` are columns that annotators filled in, of which one is
    the label if there are some. Names decide first, values where names say nothing; `by_name` where a text must
    be called like one.

    >>> rows = [{"标题": "太大", "类别": "尺码", "图": "a.png"}, {"标题": "退钱", "类别": "退款", "图": "b.png"}]
    >>> guess_columns(rows)
    Columns(text=('标题',), turns='', images=('图',), label='类别', id='', audio=())
    """
    names = list(dict.fromkeys(name for record in records for name in record))
    columns = [_Column(name, _values(records, name), len(records)) for name in names]
    columns = [column for column in columns if column.values]
    known = {column.name: column for column in columns}
    images = tuple(column.name for column in columns if column.share(_names_images) >= _MOST)
    audio = tuple(column.name for column in columns if column.share(_names_sounds) >= _MOST)
    turns = next((column.name for column in columns if _holds_dialogues(column)), "")
    left = [column for column in columns if column.name not in (*images, *audio, turns)]
    identity = _identity(left)
    left = [column for column in left if column.name != identity]
    asked = [known[name] for name in answers if name in known]
    label = _label(asked or left, frozenset(labels), only=bool(asked))
    left = [column for column in left if column.name != label and column.name not in answers]
    text = _text(left, by_name) if not turns or "text" in known else ()
    return Columns(text, turns, images, label, identity, audio)


def _values(records: Sequence[Mapping[str, Any]], name: str) -> list[Any]:
    found = [record.get(name) for record in records]
    return [value for value in found if value is not None and value not in ("", [], {}) and value == value]


def _names_images(value: Any) -> bool:
    value = _listed(value)
    if isinstance(value, list):
        return bool(value) and all(map(_names_images, value))
    if isinstance(value, dict):
        return "bytes" in value and "path" in value and not _names_sounds(value)
    return isinstance(value, str) and _is_file(value, _FILE_OF_IMAGE, "data:image/")


def _names_sounds(value: Any) -> bool:
    value = _listed(value)
    if isinstance(value, list):
        return bool(value) and all(map(_names_sounds, value))
    if isinstance(value, dict):  # of Hugging Face
        held, path = value.get("bytes"), value.get("path")
        return (
            is_waveform(value)
            or ("bytes" in value and isinstance(path, str) and _names_sounds(path))
            or (isinstance(held, bytes) and is_sound(held))
        )
    return isinstance(value, str) and _is_file(value, _FILE_OF_SOUND, "data:audio/")


def _listed(value: Any) -> Any:
    """The list that a cell holds as JSON."""
    held = json_in(value) if isinstance(value, str) and value.startswith("[") else None
    return held if isinstance(held, list) else value


def _is_file(value: str, name: re.Pattern[str], data_url: str) -> bool:
    return name.fullmatch(value.strip()) is not None or value.startswith(data_url)


def _holds_dialogues(column: _Column) -> bool:
    """Whether the values are lists of turns, or lines of two speakers."""
    called = meant_by_name(column.name) == "text"
    return column.share(lambda value: _is_dialogue(value, called)) >= _MOST


def _is_dialogue(value: Any, called: bool) -> bool:
    if isinstance(value, str) and value.lstrip().startswith("["):
        return _is_dialogue(json_in(value), called)
    if isinstance(value, str):
        return any(len(speakers.starts.findall(value)) > 1 for speakers in (CHINESE, ENGLISH))
    return isinstance(value, list) and all(
        isinstance(turn, list)
        or (isinstance(turn, dict) and (called or bool(turn.keys() & {*ROLES, PARTS_TYPE})))
        or (isinstance(turn, str) and called)
        for turn in value
    )


def _identity(columns: Sequence[_Column]) -> str:
    return next(
        (
            column.name
            for column in columns
            if meant_by_name(column.name) == "id" and len(column.values) == column.rows == column.distinct
        ),
        "",
    )


def _label(columns: Sequence[_Column], labels: frozenset[str], only: bool) -> str:
    """`only`: all of the columns are answers, so a single one is the label whatever it is called."""
    if labels:
        holding = [(column.share(lambda value: _among(value, labels)), column) for column in columns]
        best = max((share for share, _ in holding), default=0.0)
        if best >= _HALF:
            alike = [column for share, column in holding if share == best]
            return next((each.name for each in alike if meant_by_name(each.name) == "label"), alike[0].name)
    if only and len(columns) == 1:
        return columns[0].name
    plain = next((column.name for column in columns if column.name == "label"), "")
    if plain or (labels and not only):
        return plain
    short = [column for column in columns if _like_labels(column)]
    named = [column.name for column in short if meant_by_name(column.name) == "label"]
    worded = [column.name for column in short if not column.numeric and meant_by_name(column.name) is None]
    return named[0] if named else worded[-1] if worded else ""


def _among(value: Any, labels: frozenset[str]) -> bool:
    value = labels_in(value, labels)
    if isinstance(value, list):
        return bool(value) and all(_among(each, labels) for each in value)
    return str(value).strip() in labels


def _like_labels(column: _Column) -> bool:
    """Whether the values are few, short and come again."""
    given = map(labels_in, column.values)
    flat = [each for value in given for each in (value if isinstance(value, list) else [value])]
    if not all(isinstance(value, str | int) and len(str(value)) <= _LONG_LABEL for value in flat):
        return False
    counts = Counter(map(str, flat))
    return 2 <= len(counts) <= min(_MOST_LABELS, max(2, len(flat) * _HALF))


def _text(columns: Sequence[_Column], by_name: bool) -> tuple[str, ...]:
    """Those that are called like texts; without any the longest one that holds sentences, unless names alone count."""
    if any(column.name == "text" for column in columns):
        return ("text",)
    named = [column for column in columns if meant_by_name(column.name) == "text" and column.length]
    first = [column.name for column in named if column.name.casefold() not in _BESIDES]
    if named:
        return tuple(first or [named[0].name])
    said = [] if by_name else [column for column in columns if column.length and column.share(_says) >= _HALF]
    return (max(said, key=lambda column: column.length).name,) if said else ()


def _says(value: Any) -> bool:
    """Whether it may be a sentence: no number, no date, no address."""
    return isinstance(value, str) and not _NUMBER.fullmatch(value) and _ADDRESS.match(value) is None
