"""The Trainer of transformers, with the loss on answers alone and weighted F1 by scored labels."""

import os
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor
from transformers import EarlyStoppingCallback, PreTrainedModel, Trainer, TrainerCallback, TrainingArguments

from kdsl.config_parts import TrainingConfig
from kdsl.errors import KdslError
from kdsl.training.held_out import SELECTION, HeldOut
from kdsl.training.loss import answer_logits, answer_loss, total_weight
from kdsl.training.portions import Portion
from kdsl.vlm.local import LocalModel
from kdsl.vlm.processor import Processor

_WORKERS, _AHEAD = 16, 4
"""Loader processes at most, and batches that each has ready."""
_RATES = {"lora": 1e-4, "qlora": 1e-4, "full": 5e-6}


class LabelTrainer(Trainer):
    """Trains on batches of `kdsl.training.packing.Collator`, judged on held-out examples after every epoch."""

    loss_is_scaled_for_ga = True

    def __init__(self, *, held_out: HeldOut, processor: Processor, smoothing: float = 0.0, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._held_out = held_out
        self._processor = processor
        self._smoothing = smoothing

    def _prepare_inputs(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """On the device, where patches become pixels: loader processes hand over a fraction of the bytes."""
        return self._processor.inputs(super()._prepare_inputs(inputs), self.args.device)

    def get_batch_samples(
        self, epoch_iterator: Iterator[dict[str, Tensor]], num_batches: int, device: torch.device
    ) -> tuple[list[dict[str, Tensor]], Tensor | None]:
        """The batches of one step, and the weight of all their tokens in all processes, which scales the loss."""
        batches, _ = super().get_batch_samples(epoch_iterator, num_batches, device)
        if not batches:
            return batches, None
        total = total_weight(batches).to(device)
        return batches, self.accelerator.gather(total).sum()

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | None = None,
    ) -> Any:
        """`answer_loss`; `num_items_in_batch` is what `get_batch_samples` gives, or None for a batch by itself."""
        base = self.accelerator.unwrap_model(model)
        base = base.get_base_model() if isinstance(base, PeftModel) else base
        logits = answer_logits(model, base, inputs)
        total = None
        if num_items_in_batch is not None:
            # Gradients of several processes are averaged, not summed.
            total = num_items_in_batch / self.accelerator.num_processes
        smoothing = self._smoothing if model.training else 0.0
        loss = answer_loss(logits, inputs["targets"], inputs["weights"], total, smoothing)
        return (loss, {"logits": logits}) if return_outputs else loss

    def evaluate(self, *positional: Any, metric_key_prefix: str = "eval", **named: Any) -> dict[str, float]:
        """The metrics of `HeldOut.judge`; the loss instead where the weights are in shards, which cannot be scored."""
        if sharded():
            return super().evaluate(*positional, metric_key_prefix=metric_key_prefix, **named)
        model = self.accelerator.unwrap_model(self.model)
        model.eval()
        adapter = model.active_adapter if isinstance(model, PeftModel) else None
        scorer = LocalModel(model, self._processor, "in training", adapter)
        found = self._held_out.judge(scorer, self.args.process_index, self.args.world_size)
        model.train()
        metrics = {f"{metric_key_prefix}_{name}": value for name, value in found.items()}
        self.log(metrics)
        self.control: Any = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        """A whole model's checkpoint has the names of its modules: by published models' names, which are older, the
        Trainer would load nothing when it resumes or goes back to the best epoch, and only warn."""
        if not isinstance(self.model, PreTrainedModel):
            super()._save(output_dir, state_dict)
            return
        self.model.save_pretrained(
            output_dir or self.args.output_dir,
            state_dict=state_dict,
            is_main_process=self.args.should_save,
            save_original_format=False,
        )


class Told(TrainerCallback):
    """Calls a function after every step."""

    def __init__(self, advance: Callable[[str], None]) -> None:
        self._advance = advance

    def on_step_end(self, args: Any, state: Any, control: Any, **named: Any) -> None:
        loss = next((entry["loss"] for entry in reversed(state.log_history) if "loss" in entry), None)
        self._advance("Fine-tuning" if loss is None else f"Fine-tuning, loss {loss:.3f}")


def sharded() -> bool:
    """Whether `accelerate launch`, or torchrun with DeepSpeed, spreads one model's weights over processes."""
    return any(os.environ.get(f"ACCELERATE_USE_{kind}", "false") == "true" for kind in ("FSDP", "DEEPSPEED"))


def early_stopping(training: TrainingConfig) -> EarlyStoppingCallback:
    return EarlyStoppingCallback(early_stopping_patience=training.patience)


def learning_rate(training: TrainingConfig) -> float:
    return training.learning_rate or _RATES[training.method]


def training_arguments(
    training: TrainingConfig,
    portion: Portion,
    folder: Path,
    seed: int,
    device: str | None,
    deepspeed: Path | None = None,
) -> TrainingArguments:
    """What the Trainer is told; checkpoints for resuming are kept in `folder`."""
    if deepspeed is not None:
        if find_spec("deepspeed") is None:
            raise KdslError("--deepspeed needs DeepSpeed, which is not installed: pip install deepspeed")
        if not deepspeed.is_file():
            raise KdslError(f"{deepspeed}: no such file; kdsl/training/configs/zero3.json is one that works")
        os.environ["ACCELERATE_USE_DEEPSPEED"] = "true"
    cuda = torch.cuda.is_available() and device != "cpu"
    workers = loader_workers() if cuda else 0
    return TrainingArguments(
        output_dir=str(folder.absolute()),
        num_train_epochs=training.epochs,
        per_device_train_batch_size=portion.at_once,
        gradient_accumulation_steps=samples_a_process(training) // portion.at_once,
        activation_checkpointing=portion.checkpointing,
        per_device_eval_batch_size=8,
        learning_rate=learning_rate(training),
        lr_scheduler_type="cosine",
        warmup_steps=0.1,
        weight_decay=0.0,
        logging_steps=1,
        eval_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=1,
        load_best_model_at_end=True,
        metric_for_best_model="eval_loss" if sharded() else SELECTION,
        greater_is_better=not sharded(),
        restore_callback_states_from_checkpoint=True,
        seed=seed,
        bf16=cuda and torch.cuda.is_bf16_supported(),
        remove_unused_columns=False,
        label_names=["targets"],
        dataloader_num_workers=workers,
        dataloader_persistent_workers=workers > 0,
        dataloader_prefetch_factor=_AHEAD if workers else None,
        use_cpu=not cuda,
        deepspeed=None if deepspeed is None else str(deepspeed),
        disable_tqdm=True,
        report_to="none",
    )


def apply(portion: Portion, training: TrainingConfig, arguments: TrainingArguments) -> None:
    """Have the Trainer take so many samples at once instead, and as many portions as make a step."""
    arguments.per_device_train_batch_size = portion.at_once
    arguments.gradient_accumulation_steps = samples_a_process(training) // portion.at_once
    arguments.activation_checkpointing = portion.checkpointing


def samples_a_process(training: TrainingConfig) -> int:
    """Of a step."""
    return max(1, training.batch // int(os.environ.get("WORLD_SIZE", "1")))


def loader_workers() -> int:
    """Processes that prepare batches for one GPU: the cores that it has, but one for the process that trains."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", os.environ.get("WORLD_SIZE", "1")))
    return min(max(2, cores // processes - 1), _WORKERS)
