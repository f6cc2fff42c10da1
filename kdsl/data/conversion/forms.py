"""One table of the forms that samples are written in, and what each of them has no place for."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from kdsl.data.conversion import records
from kdsl.data.conversion.containers import (
    Records,
    csv_table,
    excel_sheet,
    json_lines,
    json_list,
    parquet_table,
    rasa_line,
    rasa_yaml,
)
from kdsl.data.conversion.item import Item
from kdsl.errors import KdslError

Part = Literal["ids", "tasks", "turns", "images", "audio", "unlabelled", "several", "copies", "predictions"]
"""What a form may have a place for: the turns of a dialogue apart, all images, all sounds, samples without a label,
with several labels, …"""

_ALL: frozenset[Part] = frozenset(
    {"ids", "tasks", "turns", "images", "audio", "unlabelled", "several", "copies", "predictions"}
)
_ONE_LABEL: frozenset[Part] = _ALL - {"several", "predictions"}
"""Of those that hold a sample's label as the answer to a prompt."""
_RASA_ENTITY = re.compile(r"\[[^\]]+\]\s*[({]")


@dataclass(frozen=True)
class OutputForm:
    """How samples are written for one tool: `record` makes one of each, `write` the bytes of a file of them."""

    name: str
    tool: str
    """What sentences call it."""
    ending: str
    record: Callable[[Item], dict[str, Any]]
    write: Callable[[Records], bytes]
    holds: frozenset[Part]
    prompted: bool = False
    """Whether it holds the task's prompt, filled in, and so no more than that."""
    first_image: bool = False
    """Whether the first image has a place, and no other."""
    keeps_originals: bool = False
    """Whether a record that the tool itself has written is kept as it is, and added to."""
    listed_for_llama_factory: bool = False
    """Whether LLaMA-Factory needs an entry in `dataset_info.json` beside it."""

    def losses(self, item: Item) -> Iterator[str]:
        """What of a sample is left out or written otherwise, as plural nouns, each the same for every sample."""
        sample, tool = item.sample, self.tool
        if "ids" not in self.holds:
            yield f"ids left out, for which {tool} has no place"
        if "copies" not in self.holds and sample.copy_of is not None:
            yield f"samples that are changed copies of others, which {tool} has no place to say"
        if not item.is_text and "turns" not in self.holds:
            yield f"dialogues written as one text, as {tool} holds texts"
        if sample.images and "images" not in self.holds and not self.first_image:
            yield f"samples whose images were left out, as {tool} has no place for them"
        if sample.audio and "audio" not in self.holds:
            yield f"samples whose sounds were left out, as {tool} has no place for their files"
        if len(sample.images) > 1 and self.first_image:
            yield f"samples of whose images only the first was written, as {tool} has a place for one"
        if self.prompted and item.task.prompt and "{dialogue}" not in item.task.prompt and sample.turns:
            yield "samples whose turns were left out, as the task's prompt has no {dialogue}"
        if self.name == "doccano" and item.is_labelled and not item.labels:
            yield f"samples on which no label holds, which {tool} does not tell from samples without a label"
        if self.name == "rasa":
            yield from _lost_in_rasa(item)

    def left_out(self, item: Item) -> str | None:
        """Why a sample cannot be written at all, as a plural noun; None where it can."""
        if "unlabelled" not in self.holds and not item.is_labelled:
            return f"samples without a label left out, as {self.tool} keeps texts by their label"
        if self.name == "rasa" and not rasa_line(item.text):
            return "samples without a text left out"
        return None


def _lost_in_rasa(item: Item) -> Iterator[str]:
    if rasa_line(item.text) != item.text.strip():
        yield "texts with line breaks or control characters, which became spaces"
    if _RASA_ENTITY.search(item.text):
        yield "texts with brackets that Rasa takes for an entity, as in [here](city)"


FORMS = (
    OutputForm("jsonl", "JSON Lines", ".jsonl", records.plain, json_lines, _ALL),
    OutputForm("csv", "CSV", ".csv", records.row, csv_table, _ALL),
    OutputForm("xlsx", "Excel", ".xlsx", records.row, excel_sheet, _ALL),
    OutputForm("parquet", "Parquet", ".parquet", records.row, parquet_table, _ALL),
    OutputForm("sharegpt", "LLaMA-Factory", ".json", records.messages, json_list, _ONE_LABEL,
               prompted=True, listed_for_llama_factory=True),
    OutputForm("alpaca", "Alpaca", ".json", records.alpaca, json_list,
               _ONE_LABEL - {"turns", "copies"}, listed_for_llama_factory=True),
    OutputForm("openai", "OpenAI's form", ".jsonl", records.openai, json_lines,
               _ONE_LABEL - {"ids", "tasks", "copies", "audio"}, prompted=True),
    OutputForm("ms-swift", "ms-swift", ".jsonl", records.messages, json_lines, _ONE_LABEL, prompted=True),
    OutputForm("label-studio", "Label Studio", ".json", records.label_studio, json_list, _ALL,
               keeps_originals=True),
    OutputForm("doccano", "doccano", ".jsonl", records.doccano, json_lines,
               _ALL - {"predictions", "turns", "images", "audio", "copies"}),
    OutputForm("prodigy", "Prodigy", ".jsonl", records.prodigy, json_lines,
               _ALL - {"predictions", "turns", "images", "audio", "copies"}, first_image=True),
    OutputForm("argilla", "Argilla", ".json", records.argilla, json_list, _ALL - {"images", "audio"}, first_image=True,
               keeps_originals=True),
    OutputForm("rasa", "Rasa", ".yml", records.rasa, rasa_yaml, frozenset()),
    OutputForm("mire", "the MIRE challenge", ".json", records.mire, json_list, _ONE_LABEL),
)  # fmt: skip
_BY_ENDING = {form.ending: form for form in FORMS if form.name in ("jsonl", "csv", "xlsx", "parquet", "rasa")}
_BY_ENDING[".yaml"] = _BY_ENDING[".yml"]
TABLES = (".csv", ".xlsx", ".parquet")


def form_named(name: str) -> OutputForm:
    """The form of that name, which is one."""
    return next(form for form in FORMS if form.name == name)


def form_for(output: Path, name: str | None) -> OutputForm:
    """The form of that name, or without one the form that the ending of `output` means.

    Raises KdslError for an ending that means several forms, or a table of another kind than `name`.
    """
    meant = _BY_ENDING.get(output.suffix.lower())
    if name is None:
        if meant is None:
            names = ", ".join(form.name for form in FORMS)
            raise KdslError(f"{output}: its ending does not tell the format; give --format with one of {names}")
        return meant
    form = form_named(name)
    tables = meant is not None and meant.ending in TABLES
    if meant is not None and meant.ending != form.ending and (tables or form.ending in TABLES):
        raise KdslError(
            f"{output}: ends like {meant.tool}, but --format is {name}; call it {output.stem}{form.ending}"
        )
    return form
