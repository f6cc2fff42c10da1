"""An adapter merged into its base: each weight is computed in float32 and rounded once."""

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs the extra vlm")

import peft  # noqa: E402
import tiny_qwen2vl  # noqa: E402
from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration  # noqa: E402

from kdsl.errors import KdslError  # noqa: E402
from kdsl.vlm.checkpoint import load_base  # noqa: E402
from kdsl.vlm.merging import merged  # noqa: E402

LAYER = "model.language_model.layers.0.self_attn.q_proj"


def base_in_bfloat16(folder: Path, tied: bool = False) -> Path:
    tiny_qwen2vl.build(folder)
    config = Qwen2VLConfig.from_pretrained(folder, tie_word_embeddings=tied)
    config.text_config.tie_word_embeddings = tied
    Qwen2VLForConditionalGeneration(config).to(torch.bfloat16).save_pretrained(folder)
    return folder


def adapter_of(base: Path, folder: Path, targets: list[str], **options: object) -> Path:
    """With random weights."""
    torch.manual_seed(1)
    config = peft.LoraConfig(r=4, lora_alpha=8, target_modules=targets, **options)
    model = peft.get_peft_model(load_base(str(base), "cpu", torch.float32), config)
    for name, weights in model.named_parameters():
        if "lora_" in name or "modules_to_save" in name:
            torch.nn.init.normal_(weights, std=0.1)
    model.save_pretrained(folder)
    return folder


@pytest.mark.parametrize(("options", "factor"), [({}, 2.0), ({"use_rslora": True}, 4.0)], ids=["plain", "rslora"])
def test_updates_are_added_in_float32(tmp_path, options, factor):
    base = base_in_bfloat16(tmp_path / "base")
    adapter = adapter_of(base, tmp_path / "adapter", ["q_proj"], **options)
    before = load_base(str(base), "cpu", torch.float32).get_submodule(LAYER).weight
    low = peft.load_peft_weights(str(adapter), "cpu")
    name = f"base_model.model.{LAYER}"
    update = factor * low[f"{name}.lora_B.weight"] @ low[f"{name}.lora_A.weight"]
    model = merged(str(base), adapter)
    assert {weights.dtype for weights in model.parameters()} == {torch.bfloat16}
    assert torch.equal(model.get_submodule(LAYER).weight, (before + update).bfloat16())


def test_layers_that_were_trained_as_a_whole_take_the_place_of_the_base_s(tmp_path):
    base = base_in_bfloat16(tmp_path / "base")
    adapter = adapter_of(base, tmp_path / "adapter", ["q_proj"], modules_to_save=["lm_head"])
    kept = peft.load_peft_weights(str(adapter), "cpu")["base_model.model.lm_head.weight"]
    model = merged(str(base), adapter)
    assert torch.equal(model.lm_head.weight, kept.bfloat16())
    assert not any("lora" in name or "modules_to_save" in name for name, _ in model.named_parameters())


@pytest.mark.parametrize(
    ("targets", "whole"), [(["q_proj", "lm_head"], None), (["q_proj"], ["lm_head"])], ids=["adapted", "as a whole"]
)
def test_an_output_layer_that_is_the_embeddings_too_cannot_be_changed_alone(tmp_path, targets, whole):
    base = base_in_bfloat16(tmp_path / "base", tied=True)
    adapter = adapter_of(base, tmp_path / "adapter", targets, modules_to_save=whole)
    with pytest.raises(KdslError, match=r"changes lm_head, but in .* lm_head and embed_tokens are one tensor"):
        merged(str(base), adapter)
