"""What `kdsl run` did before, kept in the checkpoint: a step is skipped where nothing has changed since."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from kdsl.errors import KdslError
from kdsl.files import write_atomically
from kdsl.record_file import read_record


@dataclass(frozen=True)
class DoneStep:
    """A step that was done."""

    inputs: str
    """Hash of what it depends on."""
    outputs: str
    """Hash of what it left."""
    lines: list[str]
    """What it told."""


class StepRecord:
    """The steps that were done, by name, in a JSON file."""

    def __init__(self, path: Path) -> None:
        """A missing or damaged file holds no step: each can be done again."""
        self._path = path
        try:
            self._done = read_record(dict[str, DoneStep], path, "`kdsl run` writes this file again")
        except KdslError:
            self._done = {}

    def done(self, step: str, inputs: str, outputs: str) -> DoneStep | None:
        """The step as it was done; None where it was done on other inputs, or its outputs are others by now."""
        known = self._done.get(step)
        return known if known is not None and (known.inputs, known.outputs) == (inputs, outputs) else None

    def add(self, step: str, done: DoneStep) -> None:
        """Note that a step was done."""
        self._done[step] = done
        record = {name: asdict(each) for name, each in self._done.items()}
        write_atomically(self._path, json.dumps(record, ensure_ascii=False, indent=1) + "\n")
