"""The pictures and sounds of a record, however it names or holds them, as the names of files."""

import re
from collections.abc import Iterable
from typing import Any

from kdsl.data.audio_folder import is_waveform, sound_of_waveform
from kdsl.data.image_folder import is_image, picture_of_image
from kdsl.data.media import (
    AUDIO,
    IMAGES,
    LEFT_OUT,
    Medium,
    NoMediaFile,
    check_media_name,
    is_data_url,
    is_fetchable,
    with_slashes,
)
from kdsl.data.media_folder import MediaFolder, NoMedium, bytes_of_text, bytes_of_url
from kdsl.data.record import Record, json_in, shown
from kdsl.errors import KdslError

_ITSELF = ("bytes", "base64", "data", "source", "file_id", "file_data")
"""Keys under which an object holds a picture or sound: as bytes, in base64, or where a service keeps it."""
_BETWEEN = re.compile(r"\s*[;|\n；，]\s*|\s*,\s*(?=[^,/]*\.\w{2,5}\s*(?:,|$))")
"""What stands between file names in one cell; a comma only where a whole name follows it."""
_ENDS = re.compile(r"\.\w{2,5}$")
"""The ending of a file's name."""


def files_in(record: Record, medium: Medium) -> tuple[str | None, ...]:
    """The file names under the first of the medium's keys that is there; one name may stand without a list.

    None, noted, keeps the place of what names no file; `LEFT_OUT`, noted, stands for one that cannot be had.
    """
    given = [key for key in medium.keys if record.value.get(key) is not None]
    if not given:
        return ()
    for other in given[1:]:
        if record.value[other] != record.value[given[0]]:
            record.notes.note_unread(other, f"{given[0]!r} is read instead: keep one of the two", record.where)
    value = record.value[given[0]]
    if isinstance(value, str):
        value = _cell(value)
    if isinstance(value, list):
        return tuple(file_in(record, medium, given[0], each) for each in value)
    if isinstance(value, str | dict | bytes) or is_image(value):
        return (file_in(record, medium, given[0], value),)
    raise record.error(f'{given[0]} is {shown(value)}; it must be a list of file names like ["{medium.example}"]')


def file_in(record: Record, medium: Medium, key: str, value: Any) -> str | None:
    """The name of one file, given as such, as {"path": name}, or as an address or the picture or sound itself.

    None, noted, where no name is given; `LEFT_OUT`, noted, for an address that was not fetched and for what cannot be
    kept.
    """
    folder = folder_of(record, medium)
    try:
        held = _held(record, medium, folder, value)
        if held is None:
            record.notes.note(f"{medium.many} without a name left out", record.where)
            return None
        if isinstance(held, bytes) and folder is not None:
            return folder.keep(held)
        if isinstance(held, str):
            return _name(record, medium, folder, held)
    except NoMedium as error:
        record.notes.note(f"{medium.themselves} in the data left out, as they {error}", record.where, medium)
        return LEFT_OUT
    raise record.error(f"{key} is {shown(held)}; it must be a file name in quotes")


def folder_of(record: Record, medium: Medium) -> MediaFolder | None:
    """Where the files of the medium lie; None where that is not known."""
    return record.folders.images if medium is IMAGES else record.folders.audio


def names_in(value: Any) -> list[Any]:
    """The names that a table's cell holds, as a JSON list or with signs between them; of another value itself, or its
    parts.

    >>> names_in("a.wav; b.wav"), names_in('["a.wav", "b.wav"]'), names_in(None)
    (['a.wav', 'b.wav'], ['a.wav', 'b.wav'], [])
    """
    if isinstance(value, str):
        text = value.strip()
        if text.startswith("["):
            listed = json_in(text)
            return listed if isinstance(listed, list) else [text]
        return [text] if text.startswith("data:") else [name for name in _BETWEEN.split(text) if name]
    return value if isinstance(value, list) else [] if value is None else [value]


def _cell(text: str) -> Any:
    """The names in a table's cell, where these are several; any other text as it is."""
    names = names_in(text)
    if text.startswith("["):
        return names if all(isinstance(name, str) for name in names) else text
    return names if len(names) > 1 and all(map(_ENDS.search, names)) else text


def all_files(listed: Iterable[str | None], of_turns: Iterable[str]) -> tuple[str, ...]:
    """Those of a sample: what its record lists, and behind them those of its turns that are not among these."""
    named = [name for name in listed if name]
    return (*named, *(name for name in of_turns if name not in named))


def _held(record: Record, medium: Medium, folder: MediaFolder | None, value: Any) -> Any:
    """The name, or the bytes, that an object holds or is; anything else as it is."""
    held = value
    for _ in range(2):  # {"image_url": {"url": name}} is as deep as it gets
        if not isinstance(held, dict):
            break
        content = None if folder is None else _content(held, medium)
        found = next((held[each] for each in medium.names if held.get(each) is not None), None)
        if content is None and found is None and (is_waveform(held) or any(map(held.get, _ITSELF))):
            to_save = f"set {medium.setting} to a folder, in which KDSL saves it"
            what = to_save if folder is None else "give its name"
            problem = f"{shown(value)} is {medium.itself} itself; {medium.many} must be files: {what}"
            raise _wrong(record, medium, NoMediaFile(problem))
        held = found if content is None else content
    return picture_of_image(held) if folder is not None and medium is IMAGES and is_image(held) else held


def _content(held: dict[str, Any], medium: Medium) -> bytes | None:
    """What an object holds itself: Hugging Face's {"bytes", "path"}, and what chat services take."""
    if medium is AUDIO and is_waveform(held):
        return sound_of_waveform(held)
    source = held.get("source")
    if isinstance(source, dict):
        held = source
    for key in ("bytes", "base64", "data"):
        value = held.get(key)
        if isinstance(value, bytes | bytearray) and value:
            return bytes(value)
        if isinstance(value, str) and value:
            return bytes_of_url(value) if is_data_url(value) else bytes_of_text(value)
    return None


def _name(record: Record, medium: Medium, folder: MediaFolder | None, held: str) -> str:
    name = with_slashes(held)
    if name != held:
        record.notes.note(f"names of {medium.many} with backslashes, which are read as slashes", record.where)
    if folder is not None:
        if is_data_url(name):
            return folder.keep(bytes_of_url(name))
        name = folder.name_of(name) or name
        if is_fetchable(name):
            fetched = folder.fetched(name)
            if fetched is None and not folder.fetching:
                what = f"{medium.many} left out that are addresses (`kdsl fetch` fetches them)"
                record.notes.note(what, record.where, medium)
            return fetched or LEFT_OUT
    try:
        check_media_name(name, medium)
    except KdslError as error:
        raise _wrong(record, medium, error) from error
    return name


def _wrong(record: Record, medium: Medium, problem: KdslError) -> KdslError:
    """The same, with the place and the sample."""
    identity = shown(record.number if record.value.get("id") is None else record.value["id"])
    return type(problem)(f"{record.place}: {medium.one} of sample {identity}: {problem}")
