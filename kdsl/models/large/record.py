"""What a large model was asked with in training, so that it is never asked in another way."""

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import field_validator

from kdsl.errors import Hint, KdslError
from kdsl.models.large.targets import Target
from kdsl.record_file import RecordModel, read_trained

LARGE_FILE = "large.json"


class LargeRecord(RecordModel):
    """Saved as <checkpoint>/<task>/large.json: what predicting needs to ask as in training."""

    version: int = 1
    labels: tuple[str, ...]
    prompt: str
    descriptions: bool
    ocr: bool
    ocr_tokens: int
    neighbours: int
    embeddings: Literal["text", "model"]
    knowledge: int
    pixels: tuple[int, int]
    max_tokens: int
    target: Target = "label"
    """What its answers hold."""
    language: Literal["Chinese", "English"] = "Chinese"
    """Of what stands before turns, reasons and labels; all were Chinese before this was kept."""
    model: str
    """Fingerprint of the model that `large:` names, or its hub id or address."""
    answers_only: bool
    """Whether it is asked for a label instead of the score of every label."""
    tuned: str | None
    """The folder in <checkpoint>/large that holds what was fine-tuned; None for a model used as it stands."""
    tuned_weights: str | None
    """Fingerprint of that folder."""
    memory: str | None
    """Fingerprint of memory.npz, what the prompts learned from the samples that were trained on; None without it."""

    @field_validator("tuned")
    @classmethod
    def _tuned(cls, tuned: str | None) -> str | None:
        if tuned is not None and (not tuned or Path(tuned).name != tuned or tuned.startswith(".")):
            raise ValueError(f"{tuned[:60]!r} is not the name of a folder in <checkpoint>/large")
        return tuned

    @classmethod
    def load(cls, folder: Path) -> "LargeRecord":
        """KdslError when the file is missing, damaged or of another version."""
        return read_trained(cls, folder / LARGE_FILE)

    def require_same(self, other: "LargeRecord", path: Path) -> None:
        """Raises KdslError where `other`, made from the project as it is now, would ask another thing."""
        for key, was in self.model_dump(exclude={"version", "tuned", "tuned_weights", "memory"}).items():
            now = getattr(other, key)
            if was != now:
                shown = f" ({_shown(was)}, now {_shown(now)})" if key != "labels" else ""
                raise KdslError(f"{path}: trained with another {key}{shown}", Hint.SET_BACK)


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "…"
