"""The Trainer of transformers, with the loss on answers alone and weighted F1 by scored labels."""

import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor
from transformers import EarlyStoppingCallback, Trainer, TrainerCallback, TrainingArguments
from transformers.loss.loss_utils import ForCausalLMLoss

from kdsl.config_parts import TrainingConfig
from kdsl.errors import KdslError
from kdsl.training.held_out import SELECTION, HeldOut
from kdsl.vlm.local import LocalModel
from kdsl.vlm.processor import Processor

_RATES = {"lora": 1e-4, "qlora": 1e-4, "full": 5e-6}


class LabelTrainer(Trainer):
    """Trains on batches of `kdsl.training.examples.Collator`, judged on held-out examples after every epoch."""

    def __init__(self, *, held_out: HeldOut, processor: Processor, **arguments: Any) -> None:
        super().__init__(compute_loss_func=answer_loss, **arguments)
        self._held_out = held_out
        self._processor = processor

    def compute_loss(self, model: Any, inputs: dict[str, Any], *positional: Any, **named: Any) -> Any:
        """Cross entropy of the answers; logits are computed where `labels` [batch, kept] lie, not for the prompts, by
        models that know how: those that hear do not."""
        return super().compute_loss(
            model, inputs | {"logits_to_keep": inputs["labels"].shape[1]}, *positional, **named
        )  # fmt: skip

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


def answer_loss(outputs: Any, labels: Tensor, num_items_in_batch: Tensor | None = None) -> Tensor:
    """The mean cross entropy over the tokens of `labels` [batch, kept], the targets of the last `kept` tokens."""
    logits = outputs.logits[:, -labels.shape[1] :].contiguous()
    return ForCausalLMLoss(logits, labels, logits.shape[-1], num_items_in_batch)


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


def training_arguments(
    training: TrainingConfig, folder: Path, seed: int, device: str | None, deepspeed: Path | None = None
) -> TrainingArguments:
    """What the Trainer is told; checkpoints for resuming are kept in `folder`."""
    if deepspeed is not None:
        if find_spec("deepspeed") is None:
            raise KdslError("--deepspeed needs DeepSpeed, which is not installed: pip install deepspeed")
        if not deepspeed.is_file():
            raise KdslError(f"{deepspeed}: no such file; kdsl/training/configs/zero3.json is one that works")
        os.environ["ACCELERATE_USE_DEEPSPEED"] = "true"
    cuda = torch.cuda.is_available() and device != "cpu"
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    return TrainingArguments(
        output_dir=str(folder.absolute()),
        num_train_epochs=training.epochs,
        per_device_train_batch_size=training.at_once,
        gradient_accumulation_steps=max(1, training.batch // (training.at_once * processes)),
        per_device_eval_batch_size=8,
        learning_rate=training.learning_rate or _RATES[training.method],
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
        activation_checkpointing=cuda,
        remove_unused_columns=False,
        label_names=["labels"],
        dataloader_num_workers=2 if cuda else 0,
        use_cpu=not cuda,
        deepspeed=None if deepspeed is None else str(deepspeed),
        disable_tqdm=True,
        report_to="none",
    )
