"""The samples that a request asks about, read as those of the project's tasks."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kdsl.data.forms import Reading
from kdsl.data.given import samples_given
from kdsl.data.image_folder import NoPicture, picture_of_text, picture_of_url
from kdsl.data.image_names import is_picture_itself
from kdsl.data.notes import Notes
from kdsl.errors import KdslError
from kdsl.sample import Sample, Task
from kdsl.serve.body import Body
from kdsl.serve.pictures import RequestImages, Uploads
from kdsl.serve.refusal import Refusal

_IMAGES = ("images", "image")


class Reader:
    """Reads samples of requests."""

    def __init__(
        self, tasks: Sequence[Task], reading: Reading, folder: Path | None, uploads: Uploads, most: int
    ) -> None:
        """`reading` is how the project reads its own files, `folder` that of its images; `most` samples at once."""
        self.tasks = {task.name: task for task in tasks}
        self._reading = reading
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
        records = [self._with_pictures(record, files, named, unused) for record in given]
        if unused:
            raise KdslError(f"no sample's images name the file {sorted(unused)[0]!r:.80}; send what samples show only")
        images = RequestImages(self._folder, self._uploads, named)
        notes = Notes()
        try:
            reading = Reading(self._reading.columns, self._reading.labels, images)
            samples = samples_given(records, list(self.tasks.values()), name, reading=reading, notes=notes)
            for what, noted in notes.left_out.items():
                if noted.lost:
                    raise KdslError(f"{name}, {noted.first}: {what}")
        except BaseException:
            images.release()
            raise
        return samples, images

    def _with_pictures(
        self, record: Any, files: Mapping[str, bytes], named: dict[bytes, str], unused: set[str]
    ) -> Any:
        """The record with its pictures as bytes, whose names are put into `named`, and taken out of `unused`."""
        if not isinstance(record, dict):
            return record

        def picture(value: Any) -> Any:
            if isinstance(value, str):
                if value in files:
                    unused.discard(value)
                    named.setdefault(files[value], value)
                    return files[value]
                return _bytes(picture_of_url, value) if is_picture_itself(value) else value
            if isinstance(value, dict) and isinstance(value.get("base64"), str) and value.keys() <= {"base64", "name"}:
                data = value["base64"]
                held = _bytes(picture_of_url if is_picture_itself(data) else picture_of_text, data)
                if isinstance(value.get("name"), str):
                    named.setdefault(held, value["name"])
                return held
            return value

        changed = dict(record)
        for key in _IMAGES:
            value = changed.get(key)
            if value is not None:
                changed[key] = [picture(each) for each in value] if isinstance(value, list) else picture(value)
        if isinstance(changed.get("turns"), list):
            changed["turns"] = [self._with_pictures(turn, files, named, unused) for turn in changed["turns"]]
        return changed


def _bytes(read: Any, text: str) -> bytes:
    try:
        return bytes(read(text))
    except NoPicture as error:
        raise KdslError(f"a picture cannot be looked at, as such that {error} are not taken") from error
