"""What KDSL keeps of an exported training set beside it: what was trained on, and in which order answers will come."""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import model_validator

from kdsl.files import is_there, write_atomically
from kdsl.models.large.targets import Target
from kdsl.record_file import RecordModel, read_record
from kdsl.sample import Sample
from kdsl.vlm.pixels import FACTOR

EXPORT_FILE = "kdsl.json"
ADAPTER_FOLDER = "adapter"
"""In the folder of an export, where a trainer leaves what it learned."""
Trainer = Literal["llama-factory", "swift"]


class AskedSample(RecordModel):
    """A sample that the trained model is to be asked about."""

    task: str
    id: str
    fingerprint: str

    @classmethod
    def of(cls, sample: Sample) -> "AskedSample":
        return cls(task=sample.task, id=sample.id, fingerprint=sample.fingerprint)


class ExportRecord(RecordModel):
    """Saved as kdsl.json in the folder of an export."""

    version: Literal[1] = 1
    trainer: Trainer
    whole: bool = False
    """Whether everything was written; what is not may be written over."""
    base: str = ""
    data: str = ""
    """SHA-256 of what is trained on and held out."""
    pixels: tuple[int, int] = (0, 0)
    """The pixel budget that pictures were resized to before they were written."""
    max_tokens: int = 0
    target: Target = "label"
    held_out: tuple[AskedSample, ...] = ()
    test: tuple[AskedSample, ...] = ()

    @model_validator(mode="after")
    def _pixels(self) -> "ExportRecord":
        if self.whole and not FACTOR * FACTOR <= self.pixels[0] <= self.pixels[1]:
            raise ValueError(f"pixels are {self.pixels[0]} to {self.pixels[1]}, which no picture can have")
        return self

    @property
    def asked(self) -> tuple[AskedSample, ...]:
        """All that are predicted, in the order of the answers."""
        return (*self.held_out, *self.test)

    def save(self, folder: Path) -> None:
        write_atomically(folder / EXPORT_FILE, self.model_dump_json(indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path) -> "ExportRecord | None":
        """None where the folder holds none; KdslError for one that is damaged or of another version."""
        path = folder / EXPORT_FILE
        return read_record(cls, path, "export again, into a new folder") if is_there(path) else None

    @classmethod
    def near(cls, folders: Iterable[Path]) -> "ExportRecord | None":
        """The first that one of these folders holds."""
        return next((found for found in map(cls.load, folders) if found is not None and found.whole), None)
