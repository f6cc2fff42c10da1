"""The files of an export that LLaMA-Factory reads."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from kdsl.data.conversion.containers import json_list
from kdsl.data.conversion.dataset_info import FILE, entry_of
from kdsl.models.large.export_record import ADAPTER_FOLDER
from kdsl.training.export.messages import media_columns
from kdsl.training.export.recipe import PREDICT_FILE, PREDICTED, TRAIN_FILE, ExportedRecipe, yaml_file

TEMPLATES = {
    "qwen2_vl": "qwen2_vl",
    "qwen2_5_vl": "qwen2_vl",
    "qwen3_vl": "qwen3_vl_nothink",
    "qwen2_audio": "qwen2_audio",
    "qwen2_5_omni_thinker": "qwen2_omni",
    "qwen2": "qwen",
    "qwen3": "qwen3_nothink",
}
"""LLaMA-Factory's name for the chat format of each family; without one it reads the model's own chat template, as it
can for models that read alone."""
_TARGETS = "q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj"
"""In the language model, as its vision tower is frozen: the modules of `kdsl.training.adapting.TARGETS`."""


def data_files(parts: Mapping[str, Sequence[dict[str, Any]]]) -> dict[str, str | bytes]:
    """Name → content of the samples' files, and of the list of them; `parts` are `train`, `held_out` and `test`."""
    columns = media_columns(parts)
    files: dict[str, str | bytes] = {}
    info = {}
    for name, records in parts.items():
        files[f"{name}.json"] = json_list([{key: each[key] for key in ("messages", *columns)} for each in records])
        info[name] = entry_of("sharegpt", f"{name}.json", columns)
    return {**files, FILE: json.dumps(info, indent=2) + "\n"}


def settings_files(recipe: ExportedRecipe, tested: bool) -> dict[str, str | bytes]:
    """Name → content of what `llamafactory-cli train` is given, to train and to predict."""
    training = recipe.training
    common = {
        "model_name_or_path": recipe.base,
        "stage": "sft",
        "finetuning_type": "full" if training.method == "full" else "lora",
        "template": TEMPLATES.get(recipe.family),
        "default_system": recipe.system,
        "dataset_dir": ".",
        "cutoff_len": recipe.longest,
        "image_max_pixels": recipe.budget.max_pixels,
        "image_min_pixels": recipe.least_pixels,
        "overwrite_cache": True,
        "bf16": True,
        "seed": recipe.seed,
        "report_to": "none",
    }
    if training.method == "qlora":
        common |= {"quantization_bit": 4, "quantization_type": "nf4", "double_quantization": True}
    adapting: dict[str, Any] = {
        "lora_rank": recipe.lora["rank"],
        "lora_alpha": recipe.lora["alpha"],
        "lora_dropout": recipe.lora["dropout"],
        "lora_target": _TARGETS,
    }
    if training.method == "full":
        adapting = {"freeze_vision_tower": not training.vision, "freeze_multi_modal_projector": not training.vision}
    train = {
        **common,
        **adapting,
        "do_train": True,
        "dataset": "train",
        "eval_dataset": "held_out",
        "output_dir": ADAPTER_FOLDER,
        **recipe.trainer_arguments,
        "metric_for_best_model": "eval_loss",
        "early_stopping_steps": training.patience,
    }
    trained = (
        {"model_name_or_path": ADAPTER_FOLDER}
        if training.method == "full"
        else {"adapter_name_or_path": ADAPTER_FOLDER}
    )
    predict = {
        **common,
        **trained,
        "do_predict": True,
        "predict_with_generate": True,
        "eval_dataset": "held_out,test" if tested else "held_out",
        "output_dir": PREDICTED,
        "per_device_eval_batch_size": recipe.at_once,
        "max_new_tokens": recipe.generated,
        "do_sample": False,
    }
    told = "Written by `kdsl convert`. In this folder: llamafactory-cli train"
    return {
        PREDICT_FILE: yaml_file(f"{told} {PREDICT_FILE}", predict),
        TRAIN_FILE: yaml_file(f"{told} {TRAIN_FILE}", train),
    }
