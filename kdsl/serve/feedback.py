"""Feedback: what a person says is right about a decision, kept with its sample as data of the project."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from kdsl.data.audio_folder import AudioFolder
from kdsl.data.feedback import FeedbackEvent, right_answer
from kdsl.data.image_folder import ImageFolder
from kdsl.data.media import AUDIO, IMAGES, Medium
from kdsl.data.media_folder import EMBEDDED, MediaFolder
from kdsl.errors import KdslError
from kdsl.files import existing_file
from kdsl.project.project import Project
from kdsl.sample import Sample, Task
from kdsl.serve.asked import Reader
from kdsl.serve.body import Body
from kdsl.serve.media import Uploads, require_pictures, without_paths
from kdsl.serve.refusal import Refusal
from kdsl.serve.remembered import LastDecisions, Remembered
from kdsl.serve.sounds import require_sounds

_KEYS = ("id", "task", "label", "by", "sample")
_EXAMPLES = {"id": "the one of the sample", "by": "the name of who says so"}


class FeedbackTaker:
    """Takes feedback into the project's log."""

    def __init__(self, project: Project, reader: Reader, uploads: Uploads, last: LastDecisions) -> None:
        self._project = project
        self._log = project.feedback_log
        self._reader = reader
        self._uploads = uploads
        self._last = last

    def take(self, body: Body) -> FeedbackEvent:
        """The event, which is on disk.

        Raises Refusal for a body of another form and for a sample that is not remembered, and KdslError for a label
        or a sample that cannot be taken.
        """
        value = body.value
        self._require_keys(value)
        task = self._task(value)
        right_answer(value["label"], task)  # what is wrong is said before a file is kept
        found = self._last.of((task.name, value["id"]))
        if value.get("sample") is not None:
            found = self._given(value, task, body.files, found)
        elif found is None:
            raise Refusal(
                404, f"{value['id']!r:.80} is none of the last decisions; send the sample along, as `sample`"
            )
        else:
            self._keep_files(found.sample)
        return self._log.give(found.sample, value["label"], value["by"], task, found.label, found.rules)

    def _require_keys(self, value: Mapping[str, Any]) -> None:
        for key in value:
            if key not in _KEYS:
                raise Refusal(422, f"the key {key!r:.60} is not known; feedback has the keys {', '.join(_KEYS)}")
        for key in ("id", "by"):
            if not isinstance(value.get(key), str) or not value[key].strip():
                raise Refusal(422, f"{key!r} is {value.get(key)!r:.60}; give a text, such as {_EXAMPLES[key]}")
        if "label" not in value:
            raise Refusal(422, "'label' is missing; give the one that is right")

    def _task(self, value: Mapping[str, Any]) -> Task:
        tasks, name = self._reader.tasks, value.get("task")
        if name is None and len(tasks) == 1:
            return next(iter(tasks.values()))
        if not isinstance(name, str) or name not in tasks:
            raise Refusal(422, f"the task {name!r:.60} is none of {', '.join(tasks)}")
        return tasks[name]

    def _given(
        self, value: Mapping[str, Any], task: Task, files: Mapping[str, bytes], decided: Remembered | None
    ) -> Remembered:
        """The sample that was sent along, with what was decided about it where that is remembered."""
        given = value["sample"]
        if not isinstance(given, dict):
            raise Refusal(422, f'\'sample\' is {given!r:.60}; give an object like {{"text": "…"}}')
        [sample], media = self._reader.read([{"id": value["id"], "task": task.name, **given}], files, "sample")
        try:
            require_pictures(media.images, map(media.images.path, sample.images))
            require_sounds([sample], media.sounds, {})
            if sample.key != (task.name, value["id"]):
                raise Refusal(
                    422, f"the sample is {sample.id!r:.60} of {sample.task}, the feedback is about another one"
                )
            kept = without_paths(sample, media.kept)
            self._keep_files(kept)
        finally:
            media.release()
        same = decided is not None and decided.sample.fingerprint == kept.fingerprint
        return replace(decided, sample=kept) if decided is not None and same else Remembered(kept, None, ())

    def _keep_files(self, sample: Sample) -> None:
        """Put what came with requests below data.images and data.audio, where samples that are trained on have it."""
        data = self._project.config.data
        self._keep(sample, sample.images, IMAGES, None if data.images is None else ImageFolder(data.images))
        self._keep(sample, sample.audio, AUDIO, None if data.audio is None else AudioFolder(data.audio))

    def _keep(self, sample: Sample, names: Sequence[str], medium: Medium, folder: MediaFolder | None) -> None:
        for name in names:
            if not name.startswith(f"{EMBEDDED}/") or (folder is not None and existing_file(folder.folder, name)):
                continue
            if folder is None:
                raise KdslError(
                    f"{medium.setting} is not set, so that {medium.themselves} of feedback cannot be kept; "
                    "name a folder"
                )
            content = self._uploads.content(Path(name).name)
            if content is None:
                raise Refusal(
                    404, f"{medium.itself} of {sample.id!r:.80} is not there any more; send the sample along"
                )
            folder.keep(content)
