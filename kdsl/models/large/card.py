"""The training card: what a fine-tuned model was made from and how it did, beside its weights."""

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from kdsl.config_parts import TrainingConfig
from kdsl.errors import KdslError
from kdsl.files import write_atomically
from kdsl.record_file import read_record
from kdsl.version import __version__

CARD_FILE, CURVES = "card.json", "curves.png"
_PACKAGES = ("torch", "transformers", "peft", "accelerate", "bitsandbytes", "deepspeed")


class TrainingCard(BaseModel):
    """Saved as card.json, and as card.md for people."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    fingerprint: str
    """Hash of everything that the weights depend on."""
    base: str
    base_weights: str
    tasks: dict[str, dict[str, int]]
    """Task → how many samples were trained on (`train`) and held out (`held_out`), on how many `copies` of the former,
    and on how many of a teacher's (`soft_labels`)."""
    held_out: dict[str, tuple[str, ...]]
    """Task → ids of the held-out samples."""
    data: str
    """SHA-256 of the training samples: texts, labels, pictures and sounds."""
    training: TrainingConfig
    in_memory: str = ""
    """How many samples were in memory at once, whether with activation checkpointing, and what that was chosen by."""
    learning_rate: float
    prompt: dict[str, bool | int]
    pixels: tuple[int, int]
    max_tokens: int
    seed: int
    trained: dict[str, int]
    """Parameters: `trainable` of `all`."""
    best: dict[str, float]
    """The figures of the kept checkpoint on the held-out samples."""
    history: list[dict[str, Any]]
    """The Trainer's log: loss of every step, figures of every epoch."""
    versions: dict[str, str]

    def save(self, folder: Path) -> None:
        write_atomically(folder / "card.md", _markdown(self))
        write_atomically(folder / CARD_FILE, self.model_dump_json(indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path) -> "TrainingCard | None":
        """None where there is no card that this version can read: then the weights count as unknown."""
        try:
            return read_record(cls, folder / CARD_FILE, "the weights count as unknown")
        except KdslError:
            return None


def installed_versions() -> dict[str, str]:
    found = {"kdsl": __version__}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _trained_on(counts: dict[str, int]) -> str:
    copies, soft_labels = counts.get("copies"), counts.get("soft_labels")
    besides = [f"{copies} copies" if copies else "", f"a teacher's {soft_labels}" if soft_labels else ""]
    return " and ".join(filter(None, [str(counts["train"]), *besides]))


def _markdown(card: TrainingCard) -> str:
    samples = "\n".join(
        f"| {task} | {_trained_on(counts)} | {counts['held_out']} |" for task, counts in card.tasks.items()
    )
    figures = "\n".join(f"| {name} | {value:.4f} |" for name, value in card.best.items())
    settings = card.training.model_dump() | {"learning_rate": card.learning_rate}
    settings |= {"at_once": card.in_memory} if card.in_memory else {}
    settings |= {"pixels": f"{card.pixels[0]} to {card.pixels[1]}", "max_tokens": card.max_tokens, "seed": card.seed}
    settings |= card.prompt
    rows = "\n".join(f"| {name} | {value} |" for name, value in settings.items())
    versions = ", ".join(f"{name} {number}" for name, number in card.versions.items())
    return f"""# Fine-tuned by KDSL

Base: {card.base} ({card.base_weights}). {card.trained["trainable"]:,} of {card.trained["all"]:,} parameters trained.

| task | trained on | held out |
|---|---|---|
{samples}

On the held-out samples, which training stopped on and the arbiter is fitted on:

| figure | value |
|---|---|
{figures}

![Loss and weighted F1]({CURVES})

| setting | value |
|---|---|
{rows}

Data: sha256 {card.data}. Made with {versions}.
"""
