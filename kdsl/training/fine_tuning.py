"""Fine-tuning the large model: the recipe, resumed where an earlier run was interrupted."""

import gc
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import gather_object, set_seed
from transformers import PrinterCallback

from kdsl.config_parts import TrainingConfig
from kdsl.errors import KdslError
from kdsl.files import write_atomically
from kdsl.models.large.card import CURVES, TrainingCard, installed_versions
from kdsl.models.large.prompts import Prompts
from kdsl.pretrained import fingerprint, is_out_of_memory, loading_in_one_sentence, quiet
from kdsl.progress import Progress, reported
from kdsl.training.adapting import trainable_model
from kdsl.training.balance import balanced
from kdsl.training.curves import curves_plot
from kdsl.training.data import TaskData, data_hash, examples_of
from kdsl.training.examples import Example, Examples
from kdsl.training.held_out import HeldOut
from kdsl.training.label_trainer import (
    LabelTrainer,
    Told,
    apply,
    early_stopping,
    samples_a_process,
    sharded,
    training_arguments,
)
from kdsl.training.packing import Collator, blank_media, row_tokens
from kdsl.training.portions import Portion, keep, kept, portions, smaller
from kdsl.training.probing import chosen_by_memory, longest
from kdsl.training.resuming import last_checkpoint, prepare_steps
from kdsl.vlm.checkpoint import find_model
from kdsl.vlm.picture_cache import PictureCache
from kdsl.vlm.pixels import PixelBudget
from kdsl.vlm.processor import Processor
from kdsl.vlm.saving import save_model

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what the weights become, but for the samples."""

    base: str
    """A model directory or hub id."""
    prompts: Prompts
    budget: PixelBudget
    max_tokens: int
    training: TrainingConfig
    seed: int
    device: str | None = None
    """None: the GPU where there is one."""
    deepspeed: Path | None = None
    """DeepSpeed's configuration, under torchrun."""
    most_tokens: int | None = None
    """Output tokens of a sample in prediction, which a reason before its label is cut to; None is unlimited."""
    pictures: Path | None = None
    """The folder for what is prepared of pictures, which epochs, folds and adapters share; None keeps nothing."""


def fine_tune(
    recipe: Recipe, data: Sequence[TaskData], folder: Path, progress: Progress | None = None
) -> TrainingCard:
    """Train on all tasks' samples together; leaves adapter or model, card and curves in `folder`.

    What is there already is kept when it was made from the same; a run that was interrupted goes on from its last
    epoch, and ends as if it had not been. Raises KdslError for a model, an image or a sound that cannot be used
    and for a device without enough memory.
    """
    examples, held_out, prompts = examples_of(data, recipe.prompts)
    examples = balanced(examples, recipe.training.balance)
    if prompts.embedder is not None:
        prompts.embedder.release()
    base_weights = fingerprint(find_model(recipe.base))
    data_sum = data_hash([*examples, *held_out])
    identity = _identity(recipe, base_weights, data_sum, len(examples))
    known = TrainingCard.load(folder)
    if known is not None and known.fingerprint == identity:
        return known
    steps = folder.with_name(f"{folder.name}.training")
    prepare_steps(steps, identity)
    trainer, portion = _train(recipe, examples, held_out, data, steps, progress)
    card = _card(recipe, data, trainer, portion, identity, base_weights, data_sum)
    _publish(trainer, card, recipe, folder)
    if trainer.is_world_process_zero():
        shutil.rmtree(steps)
    trainer.accelerator.wait_for_everyone()
    return card


def _train(
    recipe: Recipe,
    examples: list[Example],
    held_out: list[Example],
    data: Sequence[TaskData],
    steps: Path,
    progress: Progress | None,
) -> tuple[LabelTrainer, Portion]:
    """From the last checkpoint on. Where memory runs out, again from there with a smaller portion."""
    while True:
        trainer, portion = _trainer(recipe, examples, held_out, data, steps)
        if _trained(trainer, portion, steps, progress):
            return trainer, portion
        device = trainer.args.device
        less = smaller(_candidates(recipe), portion)
        # Processes would have to agree on it, but only some of them ran out of memory.
        if less is None or trainer.args.world_size > 1:
            raise KdslError(
                f"out of memory on {device} in training; lower training.at_once, pixels.max or "
                "prompt.max_tokens, set `training: {method: qlora}`, or take a smaller model"
            )
        _log.warning("out of memory on %s: training goes on from the last epoch with %s", device, less)
        keep(steps, less)
        del trainer
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _trainer(
    recipe: Recipe, examples: list[Example], held_out: list[Example], data: Sequence[TaskData], steps: Path
) -> tuple[LabelTrainer, Portion]:
    """Ready to go on, and what it takes at once."""
    training = recipe.training
    arguments = training_arguments(training, steps, recipe.seed, recipe.device, recipe.deepspeed)
    set_seed(recipe.seed)
    with loading_in_one_sentence(recipe.base):
        cache = None if recipe.pictures is None else PictureCache(recipe.pictures)
        processor = Processor.load(find_model(recipe.base), recipe.budget, recipe.max_tokens, cache)
    # In shards all weights have one type; computing in bfloat16 is then up to the launcher's configuration.
    model = trainable_model(recipe.base, training, _device(recipe), torch.float32 if sharded() else None)
    collator = Collator(processor, row_tokens(model), blank_media(processor) if sharded() else ())
    dataset = Examples(examples, processor, training.target, recipe.most_tokens)
    portion = kept(steps)
    if portion is None:
        candidates = _candidates(recipe)
        if arguments.device.type != "cuda":
            row = 0
        elif sharded():  # each process holds a part of the weights, which cannot be tried alone
            row = next(row for row, each in enumerate(candidates) if each.checkpointing)
        else:
            rows = longest(examples, dataset, recipe.budget.max_pixels)
            row = chosen_by_memory(candidates, training, model, rows, dataset, collator)
        portion = candidates[max(gather_object([row]))]
        if arguments.device.type == "cuda" and not sharded():
            portion = replace(portion, chosen="measured on the longest samples")
        if arguments.process_index == 0:
            keep(steps, portion)
    apply(portion, training, arguments)
    trainer = LabelTrainer(
        held_out=HeldOut(
            held_out,
            {part.task.name: part.task.label_names for part in data},
            training.target,
            recipe.most_tokens,
        ),
        processor=processor,
        smoothing=training.label_smoothing,
        model=model,
        args=arguments,
        train_dataset=dataset,
        eval_dataset=Examples(held_out, processor, training.target, recipe.most_tokens),
        data_collator=collator,
        callbacks=[early_stopping(training)],
    )
    return trainer, portion


def _candidates(recipe: Recipe) -> list[Portion]:
    """One sample at a time where nothing says what fits: on a CPU, and with weights in shards."""
    most = recipe.training.at_once
    cuda = torch.cuda.is_available() and recipe.device != "cpu"
    return portions(samples_a_process(recipe.training), 1 if most is None and (sharded() or not cuda) else most)


def _trained(trainer: LabelTrainer, portion: Portion, steps: Path, progress: Progress | None) -> bool:
    """Whether memory sufficed until the end."""
    arguments: Any = trainer.args
    per_step = arguments.per_device_train_batch_size * arguments.gradient_accumulation_steps * arguments.world_size
    total = -(-len(trainer.train_dataset) // per_step) * int(arguments.num_train_epochs)
    _log.info("fine-tuning: %s", portion)
    with reported(progress, f"Fine-tuning, {portion}", total) as advance:
        trainer.add_callback(Told(advance))
        trainer.remove_callback(PrinterCallback)  # it prints the log to stdout
        try:
            with quiet():
                trainer.train(resume_from_checkpoint=last_checkpoint(steps))
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            return False
    return True


def _device(recipe: Recipe) -> str | None:
    """Where the weights are loaded to; from there accelerate spreads them over processes, where it does."""
    rank = os.environ.get("LOCAL_RANK")
    if sharded():
        return "cpu"
    if recipe.device is not None or rank is None:
        return recipe.device
    return f"cuda:{rank}" if torch.cuda.is_available() else "cpu"


def _identity(recipe: Recipe, base_weights: str, data_sum: str, n_trained: int) -> str:
    settings = recipe.training.model_dump(exclude={"at_once"})
    # Once there were none of these: what was trained without is known by the same hash.
    settings = {key: value for key, value in settings.items() if value or key not in ("balance", "label_smoothing")}
    if recipe.training.target == "reason_label":
        settings["most_tokens"] = recipe.most_tokens
    prompt = [recipe.budget.min_pixels, recipe.budget.max_pixels, recipe.max_tokens]
    described = json.dumps([base_weights, data_sum, n_trained, settings, prompt, recipe.seed])
    return hashlib.sha256(described.encode()).hexdigest()


def _card(
    recipe: Recipe,
    data: Sequence[TaskData],
    trainer: LabelTrainer,
    portion: Portion,
    identity: str,
    base_weights: str,
    data_sum: str,
) -> TrainingCard:
    history = trainer.state.log_history
    best: dict[str, Any] = next(
        (entry for entry in history if entry["step"] == trainer.state.best_global_step and "epoch" in entry
         and any(key.startswith("eval_") for key in entry)), {}
    )  # fmt: skip
    model = trainer.accelerator.unwrap_model(trainer.model)
    sizes = [(weights.numel(), weights.requires_grad) for weights in model.parameters()]
    return TrainingCard(
        fingerprint=identity,
        base=recipe.base,
        base_weights=base_weights,
        tasks={
            part.task.name: {
                "train": int((~part.held_out).sum()),
                "held_out": int(part.held_out.sum()),
                **({} if part.copies is None else {"copies": len(part.copies)}),
                **({} if part.soft_labels is None else {"soft_labels": len(part.soft_labels)}),
            }
            for part in data
        },
        held_out={
            part.task.name: tuple(
                row.sample.id for row, held in zip(part.table.rows, part.held_out, strict=True) if held
            )
            for part in data
        },
        data=data_sum,
        training=recipe.training,
        in_memory=str(portion),
        learning_rate=trainer.args.learning_rate,
        prompt={
            "descriptions": recipe.prompts.descriptions,
            "ocr": recipe.prompts.ocr,
            "neighbours": recipe.prompts.neighbours,
            "knowledge": recipe.prompts.knowledge,
        },
        pixels=(recipe.budget.min_pixels, recipe.budget.max_pixels),
        max_tokens=recipe.max_tokens,
        seed=recipe.seed,
        trained={"trainable": sum(n for n, trained in sizes if trained), "all": sum(n for n, _ in sizes)},
        best={
            key.removeprefix("eval_"): value
            for key, value in best.items()
            if key.startswith("eval_") and not key.endswith(("runtime", "_per_second"))
        },
        history=history,
        versions=installed_versions(),
    )


def _publish(trainer: LabelTrainer, card: TrainingCard, recipe: Recipe, folder: Path) -> None:
    """Write everything beside `folder`, then put it in its place."""
    new = folder.with_name(f"{folder.name}.new")
    trainer.accelerator.wait_for_everyone()
    if trainer.is_world_process_zero():
        shutil.rmtree(new, ignore_errors=True)
    trainer.accelerator.wait_for_everyone()
    if recipe.training.method == "full":
        _save_whole(trainer, recipe, new)
    else:
        trainer.save_model(str(new))
    if trainer.is_world_process_zero():
        for name in ("README.md", "training_args.bin"):
            (new / name).unlink(missing_ok=True)
        write_atomically(new / CURVES, curves_plot(card.history))
        card.save(new)
        shutil.rmtree(folder, ignore_errors=True)
        new.rename(folder)


def _save_whole(trainer: LabelTrainer, recipe: Recipe, new: Path) -> None:
    """In the type of the base's files, which is what predictions compute with on a GPU; checkpoints for resuming have
    the float32 that training goes on from."""
    state = trainer.accelerator.get_state_dict(trainer.model)  # of weights in shards too, so by all processes
    if trainer.is_world_process_zero():
        save_model(trainer.accelerator.unwrap_model(trainer.model), recipe.base, new, recipe.budget, state)
