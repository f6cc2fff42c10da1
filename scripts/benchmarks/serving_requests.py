"""Bodies of requests for `scripts/bench serve`: samples of a project, each time with a new id and new texts."""

import base64
import io
import json
from collections.abc import Iterator, Sequence
from itertools import count, cycle
from typing import Any

import numpy as np
from PIL import Image

from kdsl.errors import KdslError
from kdsl.project.project import Project
from kdsl.sample import Sample

PLACE = "\u241f00000000"
"""What stands in a template for the number of the request."""


class Bodies:
    """Bodies of requests, made of templates; every number is used once, over all runs against one server."""

    def __init__(self, project: Project) -> None:
        samples = project.samples("test") if project.config.data.test is not None else project.samples("train")
        self.dialogues = [record(sample) for sample in samples if sample.turns]
        self.known = [record(sample, new=False) for sample in samples if sample.turns]
        """The same as they are: what they say was said before."""
        self.screenshots = [record(sample) for sample in samples if sample.images and not sample.turns]
        if not self.dialogues:
            raise KdslError(f"{project.folder}: no test sample has a text, and requests are made of those")
        self._numbers = count()

    def of(self, records: Sequence[dict[str, Any]], together: int = 1) -> Iterator[bytes]:
        """Without end: `together` samples a request, in turn."""
        templates = [
            _template([records[(first + other) % len(records)] for other in range(together)])
            for first in range(len(records))
        ]
        for template in cycle(templates):
            yield template.replace(PLACE.encode(), b"%08d" % next(self._numbers))

    def with_uploads(self, every: int) -> Iterator[bytes]:
        """Dialogues, and in each `every`th request a new picture that is uploaded."""
        for number, body in enumerate(self.of(self.dialogues)):
            if number % every == every - 1:
                dialogue = self.dialogues[number // every % len(self.dialogues)]
                yield body_of([_marked(dialogue | {"images": [_picture(number)]}, f"{next(self._numbers):08d}")])
            else:
                yield body


def record(sample: Sample, new: bool = True) -> dict[str, Any]:
    """A sample as it is sent, without its label; its id and, if they are to be `new`, its texts end with the mark."""
    turns = [
        {
            "role": turn.role,
            "text": turn.text + PLACE if new and turn.text else turn.text,
            **({"images": list(turn.images)} if turn.images else {}),
        }
        for turn in sample.turns
    ]
    said = {"turns": turns} if turns else {}
    return {"id": f"{sample.id}-{PLACE}", "task": sample.task, **said, "images": list(sample.images)}


def body_of(records: Sequence[dict[str, Any]]) -> bytes:
    return json.dumps({"samples": records}, ensure_ascii=False).encode()


def _template(records: Sequence[dict[str, Any]]) -> bytes:
    """One id must not stand twice in a request, so each sample's has its place in the request too."""
    return body_of([each | {"id": f"{place}-{each['id']}"} for place, each in enumerate(records)])


def _marked(record: dict[str, Any], mark: str) -> dict[str, Any]:
    return json.loads(json.dumps(record, ensure_ascii=False).replace(PLACE, mark))


def _picture(seed: int) -> str:
    """A small picture as none was before, as a data address."""
    pixels = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).resize((96, 160)).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
