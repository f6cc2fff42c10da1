"""The samples that a request asks about, read as those of the project's tasks."""

from collections.abc import Mapping, Sequence
from typing import Any

from kdsl.config_parts import DataConfig
from kdsl.data.media import AUDIO, IMAGES, Medium, is_data_url
from kdsl.data.media_folder import NoMedium, bytes_of_text, bytes_of_url
from kdsl.data.notes import Notes
from kdsl.data.plain import read_plain
from kdsl.data.record import Record, shown
from kdsl.errors import KdslError
from kdsl.sample import Sample, Task
from kdsl.serve.body import Body
from kdsl.serve.media import RequestMedia, Uploads, refused
from kdsl.serve.refusal import Refusal
from kdsl.text import writable

LONGEST = 200_000
"""Characters of one sample: a hundred times a long dialogue, and all others wait while it is decided."""
MOST_TURNS, MOST_FILES = 1000, 100
"""Turns, and images or sounds, of one sample, likewise: each is looked at by itself, however short the request is."""
_MEDIA = {"images": IMAGES, "audio": AUDIO}
_KEYS = ("id", "task", "text", "turns", *_MEDIA)
_TURN = f"a turn has the keys role, text, {', '.join(_MEDIA)}"


class Reader:
    """Reads samples of requests."""

    def __init__(self, tasks: Sequence[Task], data: DataConfig, uploads: Uploads, most: int) -> None:
        """`data` says where images and sounds of the project lie; `most` samples at once."""
        self.tasks = {task.name: task for task in tasks}
        self._tasks = tasks
        self._data = data
        self._uploads = uploads
        self._most = most

    def samples(self, body: Body) -> tuple[list[Sample], RequestMedia]:
        """Those under `samples`, and their files, which are to be released once they are decided.

        Raises Refusal for a body of another form, and KdslError for a sample that cannot be read.
        """
        others = body.value.keys() - {"samples"}
        if others or "samples" not in body.value:
            wrong = f"the key {sorted(others)[0]!r:.60} is not known" if others else "the key 'samples' is missing"
            raise Refusal(422, f'{wrong}; send {{"samples": [{{"id": "1", "task": "…", "text": "…"}}]}}')
        return self.read(body.value["samples"], body.files)

    def read(self, given: Any, files: Mapping[str, bytes], name: str = "samples") -> tuple[list[Sample], RequestMedia]:
        """The samples of a list of records; errors of `samples`, calling the list by its `name`."""
        if not isinstance(given, list) or not given:
            raise Refusal(422, f'{name} is no list of samples like [{{"id": "1", "text": "…"}}]')
        if len(given) > self._most:
            raise Refusal(
                413, f"{name}: {len(given)} at once are more than {self._most} (`serve.samples`); send them in parts"
            )
        named: dict[bytes, str] = {}
        unused = set(files)
        for number, each in enumerate(given, start=1):
            _require_few(each, f"{name}, item {number}")
        records = [_with_files(record, files, named, unused) for record in given]
        if unused:
            raise KdslError(
                f"no sample's images or audio name the file {sorted(unused)[0]!r:.80}; send what samples hold only"
            )
        media = RequestMedia.of(self._data, self._uploads, named)
        try:
            return [self._sample(each, number, name, media) for number, each in enumerate(records, start=1)], media
        except BaseException:
            media.release()
            raise

    def _sample(self, value: Any, number: int, name: str, media: RequestMedia) -> Sample:
        """The sample of one record in KDSL's plain form: here nothing is guessed."""
        notes = Notes()
        if not isinstance(value, dict):
            raise KdslError(f'{name}, item {number}: {shown(value)} is no sample like {{"id": "1", "text": "…"}}')
        record = Record(value, str(number), name, f"item {number}", notes, folders=media.folders)
        for key in value:
            if key not in _KEYS:
                raise record.error(f"the key {key!r:.60} is not known; a sample has the keys {', '.join(_KEYS)}")
        sample = read_plain(record, self._tasks)
        if sample is None:
            raise record.error(f"the task {shown(value['task'])} is none of {', '.join(self.tasks)}")
        for unused in notes.unused:
            raise record.error(f"the key {unused.removesuffix(' of turns')!r:.60} of a turn is not known; {_TURN}")
        for what, noted in notes.left_out.items():
            if noted.lost:
                raise record.error(what)
        if not sample.images and not sample.audio and not any(turn.text.strip() for turn in sample.turns):
            raise record.error("it has no text, no images and no sounds; give one of them")
        if sum(len(turn.text) for turn in sample.turns) > LONGEST:
            raise record.error(f"its texts have more than {LONGEST:,} characters together; send what matters of them")
        return sample


def _with_files(record: Any, files: Mapping[str, bytes], named: dict[bytes, str], unused: set[str]) -> Any:
    """The record with its pictures and sounds as bytes; their names are put into `named` and taken out of `unused`."""
    if not isinstance(record, dict) or not (_MEDIA.keys() & record or isinstance(record.get("turns"), list)):
        return record

    def content(value: Any, medium: Medium) -> Any:
        if isinstance(value, str):
            if value in files:
                unused.discard(value)
                named.setdefault(files[value], value)
                return files[value]
            return _bytes(bytes_of_url, value, medium) if is_data_url(value) else value
        if isinstance(value, dict) and isinstance(value.get("base64"), str) and value.keys() <= {"base64", "name"}:
            data = value["base64"]
            held = _bytes(bytes_of_url if is_data_url(data) else bytes_of_text, data, medium)
            if isinstance(value.get("name"), str):
                named.setdefault(held, writable(value["name"]))
            return held
        return value

    changed = dict(record)
    for key, medium in _MEDIA.items():
        held = changed.get(key)
        if isinstance(held, list):
            changed[key] = [content(each, medium) for each in held]
        elif held is not None:
            changed[key] = content(held, medium)
    if isinstance(changed.get("turns"), list):
        changed["turns"] = [_with_files(turn, files, named, unused) for turn in changed["turns"]]
    return changed


def _require_few(given: Any, place: str) -> None:
    """Before anything is done for a turn, an image or a sound."""
    if not isinstance(given, dict):
        return
    said = given.get("turns")
    turns: list[Any] = said if isinstance(said, list) else []
    if len(turns) > MOST_TURNS:
        raise KdslError(f"{place}: it has {len(turns)} turns, more than {MOST_TURNS}; send the last ones")
    for key, medium in _MEDIA.items():
        held = [each.get(key) for each in (given, *turns) if isinstance(each, dict)]
        files = sum(len(each) for each in held if isinstance(each, list))
        if files > MOST_FILES:
            raise KdslError(f"{place}: it has {files} {medium.many}, more than {MOST_FILES}; send those that matter")


def _bytes(read: Any, text: str, medium: Medium) -> bytes:
    try:
        return bytes(read(text))
    except NoMedium as error:
        raise refused(error, medium) from error
