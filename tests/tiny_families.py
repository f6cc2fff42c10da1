"""Tiny models of all families that see, with random weights: as tests/tiny_qwen2vl.py, and with its tokenizer."""

import json
from pathlib import Path

import torch
from tiny_qwen2vl import build
from transformers import (
    PreTrainedModel,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
)

_FORMATS = Path(__file__).parent / "qwen_formats"
_FIM = ("<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>")
_TOOLS = ("<tool_call>", "</tool_call>", *_FIM)
_THOUGHTS = ("<tool_response>", "</tool_response>", "<think>", "</think>")
ADDED = {"qwen2_vl": (), "qwen2_5_vl": _TOOLS, "qwen3_vl": (*_TOOLS, *_THOUGHTS)}
"""Tokens that each family has beside the special ones of Qwen2-VL, in the order of their ids; none is special."""

_VISION = {"depth": 2, "hidden_size": 32, "intermediate_size": 64, "num_heads": 4, "out_hidden_size": 64}


def write_family(folder: Path, family: str) -> Path:
    """The directory of a model of that `model_type`: qwen2_vl, qwen2_5_vl or qwen3_vl, with the chat template and the
    added tokens that the family was published with."""
    template = "qwen3_vl" if family == "qwen3_vl" else "qwen2_5_vl"
    build(folder, template=(_FORMATS / f"{template}.jinja").read_text("utf-8"), added=ADDED[family])
    if family == "qwen2_vl":
        return folder
    config = json.loads((folder / "config.json").read_text())
    text = {k: v for k, v in config["text_config"].items() if k not in ("model_type", "layer_types", "dtype")}
    ids = {key: value for key, value in config.items() if key.endswith("_token_id")}
    torch.manual_seed(0)
    patch, make = {"qwen2_5_vl": (14, _qwen2_5), "qwen3_vl": (16, _qwen3)}[family]
    make({"text_config": text, **ids}).save_pretrained(folder)
    preprocessing = json.loads((folder / "preprocessor_config.json").read_text())
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessing | {"patch_size": patch}))
    return folder


def _qwen2_5(base: dict) -> PreTrainedModel:
    vision = _VISION | {"fullatt_block_indexes": [1]}
    return Qwen2_5_VLForConditionalGeneration(Qwen2_5_VLConfig(**base, vision_config=vision))


def _qwen3(base: dict) -> PreTrainedModel:
    vision = _VISION | {"patch_size": 16, "num_position_embeddings": 64, "deepstack_visual_indexes": [0]}
    base["text_config"] |= {"head_dim": 16}
    return Qwen3VLForConditionalGeneration(Qwen3VLConfig(**base, vision_config=vision))
