"""What KDSL's recipe of fine-tuning is called in the settings of other trainers, and which files of theirs say so."""

import math
from dataclasses import dataclass
from typing import Any

import yaml

from kdsl.config_parts import TrainingConfig
from kdsl.vlm.pixels import FACTOR, PixelBudget

PREDICTED = "predicted"
"""Where a trainer leaves its answers, in the folder of the export."""
TRAIN_FILE, PREDICT_FILE = "train.yaml", "predict.yaml"
_ENDING = 8
"""Tokens that a trainer may put behind an answer."""


@dataclass(frozen=True)
class ExportedRecipe:
    """Everything that decides what a trainer makes of the exported samples."""

    base: str
    """A hub id, or the absolute path of a directory."""
    family: str
    """The model's `model_type`."""
    system: str | None
    """The system message that the model's own chat template begins with, "" without one; None where it is written in
    another form than Qwen's."""
    training: TrainingConfig
    learning_rate: float
    lora: dict[str, Any]
    """`rank`, `alpha`, `dropout` and `targets`, the regular expression of the modules."""
    budget: PixelBudget
    max_tokens: int
    """Of a prompt."""
    answer_tokens: int
    """Of the longest answer, its end included."""
    seed: int
    samples: int
    """That are trained on."""

    @property
    def longest(self) -> int:
        """Tokens of a prompt with its answer: nothing that KDSL would train on is longer."""
        return self.max_tokens + self.answer_tokens + _ENDING

    @property
    def least_pixels(self) -> int:
        """Of a picture: one that was shrunk may have a quarter of the most, as its sides are rounded down, and is not
        to be enlarged again."""
        return max(FACTOR * FACTOR, min(self.budget.min_pixels, self.budget.max_pixels // 4))

    @property
    def generated(self) -> int:
        """Tokens that an answer may take."""
        return self.answer_tokens + _ENDING

    @property
    def at_once(self) -> int:
        """Samples; KDSL would measure how many fit, others are told."""
        return self.training.at_once or 1

    @property
    def accumulated(self) -> int:
        """Portions of a step."""
        return max(1, self.training.batch // self.at_once)

    @property
    def warmup_steps(self) -> int:
        """A tenth of the steps, as a number: as a share it is given in different ways to different versions."""
        portions = math.ceil(self.samples / self.at_once)
        return math.ceil(0.1 * math.ceil(portions / self.accumulated) * self.training.epochs)

    @property
    def trainer_arguments(self) -> dict[str, Any]:
        """What both trainers hand on to transformers' `TrainingArguments` under the same names."""
        return {
            "learning_rate": self.learning_rate,
            "num_train_epochs": self.training.epochs,
            "per_device_train_batch_size": self.at_once,
            "gradient_accumulation_steps": self.accumulated,
            "per_device_eval_batch_size": self.at_once,
            "lr_scheduler_type": "cosine",
            "warmup_steps": self.warmup_steps,
            "weight_decay": 0.0,
            "label_smoothing_factor": self.training.label_smoothing or None,
            "logging_steps": 1,
            "eval_strategy": "epoch",
            "save_strategy": "epoch",
            "save_total_limit": 1,
            "load_best_model_at_end": True,
            "greater_is_better": False,
        }


def yaml_file(comment: str, settings: dict[str, Any]) -> str:
    """The text of a file of settings in YAML, without those that are None."""
    given = {name: value for name, value in settings.items() if value is not None}
    return f"# {comment}\n" + yaml.safe_dump(given, allow_unicode=True, sort_keys=False, width=1000)
