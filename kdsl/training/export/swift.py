"""The files of an export that ms-swift reads."""

from collections.abc import Mapping, Sequence
from typing import Any

from kdsl.json_file import jsonl_bytes
from kdsl.models.large.export_record import ADAPTER_FOLDER
from kdsl.training.export.messages import media_columns
from kdsl.training.export.recipe import PREDICT_FILE, PREDICTED, TRAIN_FILE, ExportedRecipe, yaml_file

TEMPLATES = {
    "qwen2_vl": ("qwen2_vl", "qwen2_vl"),
    "qwen2_5_vl": ("qwen2_5_vl", "qwen2_5_vl"),
    "qwen3_vl": ("qwen3_vl", "qwen3_vl"),
    "qwen2_audio": ("qwen2_audio", "qwen2_audio"),
    "qwen2_5_omni_thinker": ("qwen2_5_omni", "qwen2_5_omni"),
    "qwen2": ("qwen2", "qwen2_5"),
    "qwen3": ("qwen3", "qwen3_nothinking"),
}
"""ms-swift's names for the model and the chat format of each family; without them it guesses by the configuration."""
_NAMES = {"train": "train", "held_out": "val", "test": "test"}


def data_files(parts: Mapping[str, Sequence[dict[str, Any]]]) -> dict[str, str | bytes]:
    """Name → content of the samples' files; `parts` are `train`, `held_out` and `test`."""
    columns = media_columns(parts)
    return {
        f"{_NAMES[name]}.jsonl": jsonl_bytes({key: each[key] for key in ("messages", *columns)} for each in records)
        for name, records in parts.items()
    }


def settings_files(recipe: ExportedRecipe, tested: bool) -> dict[str, str | bytes]:
    """Name → content of what `swift sft` and `swift infer` are given."""
    training = recipe.training
    model_type, template = TEMPLATES.get(recipe.family, (None, None))
    common: dict[str, Any] = {
        # qwen-vl-utils, which ms-swift calls, takes them from the environment.
        "ENV": {"MAX_PIXELS": str(recipe.budget.max_pixels), "MIN_PIXELS": str(recipe.least_pixels)},
        "model": recipe.base,
        "model_type": model_type,
        "template": template,
        "system": recipe.system,
        "use_hf": True,
        "max_length": recipe.longest,
        "seed": recipe.seed,
    }
    if training.method == "qlora":
        common |= {"quant_method": "bnb", "quant_bits": 4, "bnb_4bit_quant_type": "nf4"}
        common |= {"bnb_4bit_use_double_quant": True}
    adapting: dict[str, Any] = {
        "tuner_type": "lora",
        "target_regex": recipe.lora["targets"],
        "lora_rank": recipe.lora["rank"],
        "lora_alpha": recipe.lora["alpha"],
        "lora_dropout": recipe.lora["dropout"],
    }
    if training.method == "full":
        adapting = {"tuner_type": "full", "freeze_vit": not training.vision, "freeze_aligner": not training.vision}
    train = {
        **common,
        **adapting,
        "add_non_thinking_prefix": False,
        "dataset": ["train.jsonl"],
        "val_dataset": ["val.jsonl"],
        "data_seed": recipe.seed,
        "output_dir": ADAPTER_FOLDER,
        "add_version": False,
        "create_checkpoint_symlink": True,
        **recipe.trainer_arguments,
        "adam_beta2": 0.999,
        "metric_for_best_model": "loss",
        "early_stop_interval": training.patience,
        "report_to": "none",
    }
    best = f"{ADAPTER_FOLDER}/best"
    predict = {
        **common,
        **({"model": best} if training.method == "full" else {"adapters": [best]}),
        "enable_thinking": False if recipe.family == "qwen3" else None,
        "val_dataset": ["val.jsonl", "test.jsonl"] if tested else ["val.jsonl"],
        "result_path": f"{PREDICTED}.jsonl",
        "max_new_tokens": recipe.generated,
        "temperature": 0,
        "stream": False,
    }
    told = "Written by `kdsl convert`. In this folder: swift"
    return {
        PREDICT_FILE: yaml_file(f"{told} infer {PREDICT_FILE}", predict),
        TRAIN_FILE: yaml_file(f"{told} sft {TRAIN_FILE}", train),
    }
