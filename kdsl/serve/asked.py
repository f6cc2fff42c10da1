"""The samples that a request asks about, read as those of the project's tasks."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kdsl.data.media import is_data_url
from kdsl.data.media_folder import NoMedium, bytes_of_text, bytes_of_url
from kdsl.data.notes import Notes
from kdsl.data.plain import read_plain
from kdsl.data.record import Folders, Record, shown
from kdsl.errors import KdslError
from kdsl.sample import Sample, Task
from kdsl.serve.body import Body
from kdsl.serve.pictures import RequestImages, Uploads, refused
from kdsl.serve.refusal import Refusal
from kdsl.text import writable

LONGEST = 200_000
"""Characters of one sample: a hundred times a long dialogue, and all others wait while it is decided."""
MOST_TURNS, MOST_IMAGES = 1000, 100
"""Of one sample, likewise: each is looked at by itself, however short the request is."""
_KEYS = ("id", "task", "text", "turns", "images")
_TURN = "a turn has the keys role, text, images"


class Reader:
    """Reads samples of requests."""

    def __init__(self, tasks: Sequence[Task], folder: Path | None, uploads: Uploads, most: int) -> None:
        """`folder` holds the images of the project; `most` samples at once."""
        self.tasks = {task.name: task for task in tasks}
        self._tasks = tasks
        self._folder = folder
        self._uploads = uploads
        self._most = most

    def samples(self, body: Body) -> tuple[list[Sample], RequestImages]:
        """Those under `samples`, and their pictures, which are to be released once they are decided.

        Raises Refusal for a body of another form, and KdslError for a sample that cannot be read.
        """
        others = body.value.keys() - {"samples"}
        if others or "samples" not in body.value:
            wrong = f"the key {sorted(others)[0]!r:.60} is not known" if others else "the key 'samples' is missing"
            raise Refusal(422, f'{wrong}; send {{"samples": [{{"id": "1", "task": "…", "text": "…"}}]}}')
        return self.read(body.value["samples"], body.files)

    def read(
        self, given: Any, files: Mapping[str, bytes], name: str = "samples"
    ) -> tuple[list[Sample], RequestImages]:
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
        records = [self._with_pictures(record, files, named, unused) for record in given]
        if unused:
            raise KdslError(f"no sample's images name the file {sorted(unused)[0]!r:.80}; send what samples show only")
        images = RequestImages(self._folder, self._uploads, named)
        try:
            return [self._sample(each, number, name, images) for number, each in enumerate(records, start=1)], images
        except BaseException:
            images.release()
            raise

    def _sample(self, value: Any, number: int, name: str, images: RequestImages) -> Sample:
        """The sample of one record in KDSL's plain form: here nothing is guessed."""
        notes = Notes()
        if not isinstance(value, dict):
            raise KdslError(f'{name}, item {number}: {shown(value)} is no sample like {{"id": "1", "text": "…"}}')
        record = Record(value, str(number), name, f"item {number}", notes, folders=Folders(images))
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
        if not sample.images and not any(turn.text.strip() for turn in sample.turns):
            raise record.error("it has neither text nor images; give one of them")
        if sum(len(turn.text) for turn in sample.turns) > LONGEST:
            raise record.error(f"its texts have more than {LONGEST:,} characters together; send what matters of them")
        return sample

    def _with_pictures(
        self, record: Any, files: Mapping[str, bytes], named: dict[bytes, str], unused: set[str]
    ) -> Any:
        """The record with its pictures as bytes, whose names are put into `named`, and taken out of `unused`."""
        if not isinstance(record, dict) or not ("images" in record or isinstance(record.get("turns"), list)):
            return record

        def picture(value: Any) -> Any:
            if isinstance(value, str):
                if value in files:
                    unused.discard(value)
                    named.setdefault(files[value], value)
                    return files[value]
                return _bytes(bytes_of_url, value) if is_data_url(value) else value
            if isinstance(value, dict) and isinstance(value.get("base64"), str) and value.keys() <= {"base64", "name"}:
                data = value["base64"]
                held = _bytes(bytes_of_url if is_data_url(data) else bytes_of_text, data)
                if isinstance(value.get("name"), str):
                    named.setdefault(held, writable(value["name"]))
                return held
            return value

        changed = dict(record)
        shown_images = changed.get("images")
        if isinstance(shown_images, list):
            changed["images"] = [picture(each) for each in shown_images]
        elif shown_images is not None:
            changed["images"] = picture(shown_images)
        if isinstance(changed.get("turns"), list):
            changed["turns"] = [self._with_pictures(turn, files, named, unused) for turn in changed["turns"]]
        return changed


def _require_few(given: Any, place: str) -> None:
    """Before anything is done for a turn or an image."""
    if not isinstance(given, dict):
        return
    said = given.get("turns")
    turns: list[Any] = said if isinstance(said, list) else []
    if len(turns) > MOST_TURNS:
        raise KdslError(f"{place}: it has {len(turns)} turns, more than {MOST_TURNS}; send the last ones")
    shown = [each.get("images") for each in (given, *turns) if isinstance(each, dict)]
    images = sum(len(each) for each in shown if isinstance(each, list))
    if images > MOST_IMAGES:
        raise KdslError(f"{place}: it shows {images} images, more than {MOST_IMAGES}; send those that matter")


def _bytes(read: Any, text: str) -> bytes:
    try:
        return bytes(read(text))
    except NoMedium as error:
        raise refused(error) from error
