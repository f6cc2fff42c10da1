"""What lies beside fine-tuned weights and tells how they were made: in which size they saw pictures, how their answers
end, and which samples were held out."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from kdsl.errors import KdslError
from kdsl.files import is_there, parsing, read_text
from kdsl.hosts import is_address
from kdsl.json_file import read_json
from kdsl.models.large.card import TrainingCard
from kdsl.models.large.export_record import ADAPTER_FOLDER, ExportRecord
from kdsl.models.large.targets import Target
from kdsl.vlm.pixels import FACTOR, PixelBudget

LLAMA_FACTORY, SWIFT = "LLaMA-Factory", "ms-swift"
_DEFAULTS = {LLAMA_FACTORY: (32 * 32, 768 * 768), SWIFT: (56 * 56, 16384 * 28 * 28)}
"""The pixels that trainers take where nobody says another number, for Qwen2-VL."""
_SETTINGS = {LLAMA_FACTORY: "image_max_pixels", SWIFT: "MAX_PIXELS"}
_FRONT_MATTER = re.compile(r"\A---\n(.*?)\n---", re.DOTALL)


@dataclass(frozen=True)
class TrainingRecord:
    """What is known of how the weights in a folder were trained; everything may be unknown."""

    folder: Path
    trainer: str = ""
    """KDSL, LLaMA-Factory or ms-swift."""
    pixels: tuple[int, int] | None = None
    """The pixel budget of its pictures."""
    processor: tuple[int, int] | None = None
    """As of `PixelBudget`."""
    target: Target | None = None
    held_out: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Task → ids of the samples that it was not trained on."""
    system: str | None = None
    """A system message that it was trained with, where it may be another than the model's own."""
    template: str | None = None
    """A chat format that may not end an answer as Qwen's do."""

    @classmethod
    def of(cls, name: str) -> "TrainingRecord | None":
        """Of the weights in a directory; None for a hub id, an address, and a model of which nothing is told.

        KdslError for a record of an export that is damaged.
        """
        folder = Path(name).expanduser()
        if is_address(name) or not folder.is_dir():
            return None
        card = TrainingCard.load(folder)
        if card is not None:
            return cls(folder, "KDSL", card.pixels, target=card.training.target, held_out=card.held_out)
        is_adapter = (folder / "adapter_config.json").is_file()
        # A base model may lie beside an export, too.
        of_export = is_adapter or ADAPTER_FOLDER in (folder.name, folder.parent.name)
        exported = ExportRecord.near([folder, folder.parent, folder.parent.parent] if of_export else [])
        if exported is not None:
            return _of_export(folder, exported)
        record = cls(folder)
        if "llama-factory" in _tags(folder):
            record = cls(folder, LLAMA_FACTORY, processor=_processor_area(folder))
        elif "swift_version" in (arguments := _json(folder / "args.json")):
            record = _of_swift(folder, arguments)
        return record if record.trainer or is_adapter else None

    def budget(self, given: PixelBudget, is_default: bool) -> PixelBudget:
        """The sizing of its pictures: its own where that is known and `given` is nobody's wish, else `given`."""
        if self.pixels is not None:
            return PixelBudget(*self.pixels) if is_default else given
        return replace(given, processor=self.processor)

    def doubts(self, budget: PixelBudget, sees: bool) -> Iterator[str]:
        """What may be different from its training where pictures have this budget, each in a sentence."""
        if sees:
            yield from self._about_pictures(budget)
        if self.system is not None:
            yield (
                f"was trained with the system message {self.system[:60]!r}, but is asked with that of the model's "
                "chat format"
            )
        if self.template is not None:
            yield (
                f"was trained with the chat format {self.template}, but is asked in the model's own, whose answers "
                "may end otherwise"
            )

    def _about_pictures(self, budget: PixelBudget) -> Iterator[str]:
        sees = f"{{min: {budget.min_pixels}, max: {budget.max_pixels}}}"
        if self.pixels is not None:
            if self.pixels != (budget.min_pixels, budget.max_pixels):
                saw = f"{{min: {self.pixels[0]}, max: {self.pixels[1]}}}"
                yield f"was trained with pixels: {saw}, but the project has {sees}; set pixels: {saw}"
        elif self.trainer in _DEFAULTS:
            least, most = _DEFAULTS[self.trainer]
            yield (
                f"was trained by {self.trainer}, which keeps no {_SETTINGS[self.trainer]} (its default is {most}, and "
                f"{least} at least); it is asked with pixels: {sees}; set them to what it was trained with"
            )
        else:
            yield f"nothing tells in which size it saw pictures; it is asked with pixels: {sees}; set them to that"


def _of_export(folder: Path, exported: ExportRecord) -> TrainingRecord:
    held_out: dict[str, tuple[str, ...]] = {}
    for each in exported.held_out:
        held_out[each.task] = (*held_out.get(each.task, ()), each.id)
    trainer = LLAMA_FACTORY if exported.trainer == "llama-factory" else SWIFT
    # Its pictures had their size before the trainer saw them: nothing was left to be scaled.
    return TrainingRecord(folder, trainer, exported.pixels, target=exported.target, held_out=held_out)


def _tags(folder: Path) -> list[str]:
    """Those of the model card."""
    value = _yaml(folder / "README.md", front=True)
    tags = value.get("tags")
    return [str(tag) for tag in tags] if isinstance(tags, list) else []


def _processor_area(folder: Path) -> tuple[int, int]:
    """What the processor beside an adapter of LLaMA-Factory allows: it is that of the model."""
    for name in ("processor_config.json", "preprocessor_config.json"):
        value = _json(folder / name)
        size = _mapping(_mapping(value.get("image_processor", value)).get("size"))
        least, most = size.get("shortest_edge"), size.get("longest_edge")
        if isinstance(least, int) and isinstance(most, int) and FACTOR * FACTOR <= least <= most:
            return least, most
    return _DEFAULTS[SWIFT]


def _of_swift(folder: Path, arguments: dict[str, Any]) -> TrainingRecord:
    """What ms-swift keeps: its arguments, and the file of settings that it was called with, if there was one."""
    pixels: tuple[int, int] | None = None
    for path in sorted([*folder.glob("*.yaml"), *folder.parent.glob("*.yaml")]):
        environment = _yaml(path).get("ENV")
        if isinstance(environment, dict):
            least, most = (str(environment.get(name, "")) for name in ("MIN_PIXELS", "MAX_PIXELS"))
            asked = _whole(least) or _DEFAULTS[SWIFT][0], _whole(most)
            pixels = asked if FACTOR * FACTOR <= asked[0] <= asked[1] else pixels
    template, system = arguments.get("template"), arguments.get("system")
    is_qwens = isinstance(template, str) and (template.startswith("qwen") or template == "chatml")
    return TrainingRecord(
        folder,
        SWIFT,
        pixels,
        system=system if isinstance(system, str) and system else None,
        template=None if is_qwens else str(template),
    )


def _whole(text: str) -> int:
    """0 for what is no number of pixels."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else 0


def _json(path: Path) -> dict[str, Any]:
    """Nothing for a file that is not there, or that holds something else."""
    try:
        value = read_json(path) if is_there(path) else {}
    except KdslError:
        return {}
    return _mapping(value)


def _yaml(path: Path, front: bool = False) -> dict[str, Any]:
    try:
        text = read_text(path) if is_there(path) else ""
        match = _FRONT_MATTER.match(text) if front else None
        with parsing(path, "no YAML"):
            value = yaml.safe_load(match[1] if match else "" if front else text)
    except KdslError:
        return {}
    return _mapping(value)


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
