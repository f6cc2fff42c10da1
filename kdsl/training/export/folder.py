"""Writes the folder of an export, from which a trainer of other people makes what KDSL would have made itself."""

import logging
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kdsl.errors import KdslError
from kdsl.fields.table import FieldTable
from kdsl.files import is_there, write_atomically
from kdsl.locks import is_lock
from kdsl.models.large.export_record import ADAPTER_FOLDER, EXPORT_FILE, AskedSample, ExportRecord, Trainer
from kdsl.models.large.prompts import Prompts
from kdsl.models.large.targets import marks_of
from kdsl.pretrained import is_path, loading_in_one_sentence
from kdsl.progress import Progress, track
from kdsl.sample import Task
from kdsl.training.adapting import ALPHA, DROPOUT, RANK, TARGETS
from kdsl.training.data import TaskData, data_hash, examples_of
from kdsl.training.examples import Example, Examples
from kdsl.training.export import llama_factory, swift
from kdsl.training.export.media import write_media
from kdsl.training.export.messages import MessageWriter
from kdsl.training.export.recipe import TRAIN_FILE, ExportedRecipe
from kdsl.training.fine_tuning import Recipe
from kdsl.training.label_trainer import learning_rate
from kdsl.vlm.checkpoint import find_model, model_config
from kdsl.vlm.conversation import Audio, Conversation, Picture, ask, drop_earliest, pictures, sounds
from kdsl.vlm.processor import Processor

log = logging.getLogger(__name__)

_FORMATS = {"llama-factory": llama_factory, "swift": swift}
_TOOLS = {"llama-factory": "LLaMA-Factory", "swift": "ms-swift"}
_QWEN = re.compile(
    r"(?:<\|im_start\|>system\n(?P<system>.*?)<\|im_end\|>\n)?"
    r"<\|im_start\|>user\n\.<\|im_end\|>\n<\|im_start\|>assistant\n",
    re.DOTALL,
)
"""A dot, asked in the chat format of Qwen's models."""
_MARKS = 256
"""Tokens that a chat format puts around what is said, pictures and sounds: more than any has."""
_SOUND_TOKENS = 26
"""Of a second, at most."""


@dataclass(frozen=True)
class Exported:
    """How many conversations were written, and into which folder."""

    folder: Path
    train: int
    held_out: int
    test: int


def write_export(
    trainer: Trainer,
    recipe: Recipe,
    data: Sequence[TaskData],
    test: Sequence[tuple[Task, FieldTable]],
    folder: Path,
    progress: Progress | None = None,
) -> Exported:
    """Write what `fine_tune` would train on and hold out, and the conversations of `test`, into `folder`.

    Pictures and sounds are written as the model is given them. What the trainer is called with comes last, so that
    nothing is trained on half of it. Errors are those of `fine_tune` about samples and models; KdslError too for a
    folder that holds something else, or what was trained on other samples.
    """
    _require_own(folder)
    trained, held_out, prompts = examples_of(data, recipe.prompts)
    every = {"train": trained, "held_out": held_out, "test": _test_examples(test, prompts)}
    if prompts.embedder is not None:
        prompts.embedder.release()
    with loading_in_one_sentence(recipe.base):
        location = find_model(recipe.base)
        processor = Processor.load(location, recipe.budget, recipe.max_tokens)
        family = model_config(location).model_type
    _require_plain_labels(MessageWriter(processor.tokenizer.added_tokens_encoder, {}), data, trainer)
    base = str(Path(location).absolute()) if is_path(recipe.base) else recipe.base
    record = _record(trainer, recipe, base, data_hash([*trained, *held_out]), data, test)
    _begin(folder, record)
    parts = {name: _fitting(part, processor, name, progress) for name, part in every.items() if part}
    writer = _writer(trainer, family, parts, processor, folder, progress)
    learned = Examples([], processor, recipe.training.target, recipe.most_tokens)
    answers = {
        name: [learned.answer_pieces(each) if each.answer else () for each in part] for name, part in parts.items()
    }
    exported = ExportedRecipe(
        base=base,
        family=family,
        system=_system_of(processor, recipe.base, trainer),
        training=recipe.training,
        learning_rate=learning_rate(recipe.training),
        lora={"rank": RANK, "alpha": ALPHA, "dropout": DROPOUT, "targets": TARGETS},
        budget=recipe.budget,
        max_tokens=recipe.max_tokens,
        answer_tokens=max(len(processor.answer_ids(*each)) for part in answers.values() for each in part),
        seed=recipe.seed,
        samples=len(trained),
    )
    records = {
        name: [
            writer.record(each.conversation, "".join(answer)) for each, answer in zip(part, answers[name], strict=True)
        ]
        for name, part in parts.items()
    }
    form = _FORMATS[trainer]
    for name, content in {**form.data_files(records), **form.settings_files(exported, "test" in parts)}.items():
        write_atomically(folder / name, content)
    record.model_copy(update={"whole": True}).save(folder)
    if recipe.training.balance:
        log.warning("training.balance: not written, as it has no place in what %s is given", _TOOLS[trainer])
    if writer.changed:
        log.warning(
            "%s: texts hold %s, which %s would take for something else; they got spaces inside",
            folder, ", ".join(sorted(writer.changed)), _TOOLS[trainer],
        )  # fmt: skip
    return Exported(folder, len(trained), len(held_out), len(every["test"]))


def _record(
    trainer: Trainer,
    recipe: Recipe,
    base: str,
    data_sum: str,
    data: Sequence[TaskData],
    test: Sequence[tuple[Task, FieldTable]],
) -> ExportRecord:
    return ExportRecord(
        trainer=trainer,
        base=base,
        data=data_sum,
        pixels=(recipe.budget.min_pixels, recipe.budget.max_pixels),
        max_tokens=recipe.max_tokens,
        target=recipe.training.target,
        held_out=tuple(
            AskedSample.of(part.table.rows[row].sample) for part in data for row in part.held_out.nonzero()[0]
        ),
        test=tuple(AskedSample.of(row.sample) for _, table in test for row in table.rows),
    )


def _begin(folder: Path, record: ExportRecord) -> None:
    """Mark the folder as that of an export which is not whole yet, and which nothing can be trained on.

    Raises KdslError where a trainer would go on from what it learned of other samples.
    """
    known = ExportRecord.load(folder)
    others = known is not None and (known.base, known.data, known.pixels) != (record.base, record.data, record.pixels)
    if others and is_there(folder / ADAPTER_FOLDER):
        raise KdslError(
            f"{folder / ADAPTER_FOLDER}: was trained on another export; move it away, or name a new folder"
        )
    record.save(folder)
    (folder / TRAIN_FILE).unlink(missing_ok=True)


def _require_own(folder: Path) -> None:
    if not is_there(folder) or ExportRecord.load(folder) is not None:
        return
    if not folder.is_dir() or not all(map(is_lock, folder.iterdir())):
        raise KdslError(f"{folder}: holds something else than an export ({EXPORT_FILE} is missing); name a new folder")


def _test_examples(test: Sequence[tuple[Task, FieldTable]], prompts: Prompts) -> list[Example]:
    return [
        Example(task.name, prompts.conversation(task, row), row.sample.label or "", marks=marks_of(task))
        for task, table in test
        for row in table.rows
    ]


def _fitting(examples: Sequence[Example], processor: Processor, name: str, progress: Progress | None) -> list[Example]:
    """The examples without what a prompt of more than `max_tokens` tokens loses."""
    return [
        replace(each, conversation=_fitted(each.conversation, processor))
        for each in track(examples, f"Measuring {name}", len(examples), progress)
    ]


def _fitted(conversation: Conversation, processor: Processor) -> Conversation:
    # A token is a byte at least, so that few conversations need be read as the model reads them.
    said = sum(len(piece.encode()) for message in conversation for piece in message.pieces if isinstance(piece, str))
    seen = len(pictures(conversation)) * (processor.budget.max_pixels // max(1, processor.factor) ** 2 + 2)
    heard = len(sounds(conversation)) * (processor.sound_seconds * _SOUND_TOKENS + _MARKS)
    if said + seen + heard + _MARKS <= processor.max_tokens:
        return conversation
    dropped = processor.encode(conversation).dropped
    return drop_earliest(conversation, dropped)[0] if dropped else conversation


def _writer(
    trainer: Trainer,
    family: str,
    parts: Mapping[str, Sequence[Example]],
    processor: Processor,
    folder: Path,
    progress: Progress | None,
) -> MessageWriter:
    """Writes messages about pictures and sounds, whose files are then there."""
    media: list[Picture | Audio] = []
    for example in (example for part in parts.values() for example in part):
        media += [*pictures(example.conversation), *sounds(example.conversation)]
    workers = os.cpu_count() or 1
    names = write_media(media, folder, processor.budget, processor.factor, processor.sound_seconds, workers, progress)
    # ms-swift writes the words itself, as the model's chat template does.
    sound = "Audio {}: <audio>\n" if trainer == "llama-factory" and family == "qwen2_audio" else "<audio>"
    return MessageWriter(processor.tokenizer.added_tokens_encoder, names, sound)


def _require_plain_labels(writer: MessageWriter, data: Sequence[TaskData], trainer: Trainer) -> None:
    for part in data:
        for label in part.task.label_names:
            if writer.plain(label) != label:
                raise KdslError(
                    f"{part.task.name}: the label {label!r} holds what {_TOOLS[trainer]} takes for something else; "
                    "rename it"
                )


def _system_of(processor: Processor, base: str, trainer: Trainer) -> str | None:
    """The system message that the model's own chat template begins with; None where its form is not Qwen's."""
    match = _QWEN.fullmatch(processor.rendered(ask(".")))
    if match is not None:
        return match["system"] or ""
    log.warning(
        "%s: its chat template is not written like Qwen's, so %s may make other tokens of a prompt than KDSL",
        base, _TOOLS[trainer],
    )  # fmt: skip
    return None


def next_commands(trainer: Trainer) -> Mapping[str, str]:
    """What to run in the folder, and what for."""
    if trainer == "llama-factory":
        return {"train": "llamafactory-cli train train.yaml", "predict": "llamafactory-cli train predict.yaml"}
    return {"train": "swift sft train.yaml", "predict": "swift infer predict.yaml"}
