"""Memory by calculation, beside what autograd really keeps of a tiny model."""

from collections.abc import Callable

import pytest

torch = pytest.importorskip("torch", reason="needs the extra vlm")

from peft import LoraConfig, get_peft_model  # noqa: E402
from transformers import PreTrainedModel, Qwen2VLConfig, Qwen2VLForConditionalGeneration  # noqa: E402

from kdsl.training.adapting import ALPHA, DROPOUT, RANK, TARGETS  # noqa: E402
from kdsl.training.memory import (  # noqa: E402
    cast_bytes,
    fixed_bytes,
    layer_bytes,
    moment_bytes,
    step_bytes,
    token_bytes,
)


def build(hidden: int, inside: int, keys: int, layers: int, method: str) -> PreTrainedModel:
    """With 8 heads, of which `keys` are of keys and values."""
    rope = {"rope_type": "default", "mrope_section": [hidden // 32, hidden // 64, hidden // 64], "rope_theta": 10000.0}
    text = {"vocab_size": 64, "hidden_size": hidden, "intermediate_size": inside, "num_hidden_layers": layers}
    text |= {"num_attention_heads": 8, "num_key_value_heads": keys, "rope_parameters": rope}
    text |= {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 0}
    vision = {"depth": 1, "embed_dim": 16, "hidden_size": hidden, "num_heads": 2}
    model = Qwen2VLForConditionalGeneration(Qwen2VLConfig(text_config=text, vision_config=vision))
    if method == "full":
        model.model.visual.requires_grad_(False)
        return model.train()
    model = model.to(torch.bfloat16).requires_grad_(False)
    config = LoraConfig(r=RANK, lora_alpha=ALPHA, lora_dropout=DROPOUT, target_modules=TARGETS, task_type="CAUSAL_LM")
    return get_peft_model(model, config).train()


def kept_bytes(model: PreTrainedModel, tokens: int) -> int:
    """Of all that autograd keeps for the backward pass but the weights themselves."""
    own = {weights.untyped_storage().data_ptr() for weights in model.parameters()}
    kept = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = (storage.nbytes(), tensor)
        return tensor

    positions = torch.arange(tokens).expand(4, 1, tokens)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), torch.autocast("cpu", torch.bfloat16):
        model(input_ids=positions[0] % 60 + 2, position_ids=positions, use_cache=False, logits_to_keep=1).logits.sum()
    return sum(size for size, _ in kept.values())


def slope(count: Callable[[int], int], start: int, end: int) -> float:
    return (count(end) - count(start)) / (end - start)


@pytest.mark.parametrize("method", ["lora", "full"])
@pytest.mark.parametrize(("hidden", "inside", "keys"), [(128, 256, 2), (64, 512, 2), (128, 64, 8)])
def test_a_layer_keeps_of_a_token_what_is_calculated(method, hidden, inside, keys):
    models = [build(hidden, inside, keys, layers, method) for layers in (1, 2)]
    of_layers = [slope(lambda tokens, model=model: kept_bytes(model, tokens), 32, 64) for model in models]
    assert of_layers[1] - of_layers[0] == layer_bytes(models[0].config, method)


@pytest.mark.parametrize("method", ["lora", "full"])
def test_with_checkpointing_a_layer_keeps_its_input(method):
    models = [build(128, 256, 2, layers, method) for layers in (1, 2)]
    for model in models:
        (model if method == "full" else model.get_base_model()).activation_checkpointing_enable()
        if method == "lora":
            model.enable_input_require_grads()
    kept = slope(lambda tokens: kept_bytes(models[1], tokens) - kept_bytes(models[0], tokens), 32, 64)
    expected = [token_bytes(model.config, method, True) for model in models]
    assert kept == expected[1] - expected[0]


def test_float32_weights_are_kept_once_more_in_bfloat16():
    models = [build(128, 256, 2, layers, "full") for layers in (1, 2)]
    whole = [
        kept_bytes(model, 64) - 64 * slope(lambda tokens, m=model: kept_bytes(m, tokens), 32, 64) for model in models
    ]
    expected = [cast_bytes(model, model.config, "full", False) for model in models]
    assert whole[1] - whole[0] == pytest.approx(expected[1] - expected[0], rel=0.02)
    assert cast_bytes(models[1], models[1].config, "full", True) == expected[0]


def test_weights_gradients_and_moments():
    model = torch.nn.Sequential(torch.nn.Linear(10, 5, bias=False), torch.nn.Linear(5, 2, bias=False).bfloat16())
    model[1].requires_grad_(False)
    assert fixed_bytes(model) == 50 * 4 * 4 + 10 * 2
    assert moment_bytes(model) == 50 * 4 * 2


def test_the_7b_by_plain_numbers():
    config = Qwen2VLConfig(
        text_config={"hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28,
                     "num_attention_heads": 28, "num_key_value_heads": 4, "vocab_size": 152064}
    )  # fmt: skip
    layer = 48 * 3584 + 12 * 18944 + 4 * 4 * 128 + 4 * 28 + 8 + 2 * 16 * 7
    assert token_bytes(config, "lora", False) == 28 * layer == 11_249_056
    assert token_bytes(config, "lora", True) == 28 * 2 * 3584 + layer == 602_456
    assert token_bytes(config, "full", True) == 28 * 4 * 3584 + 30 * 3584 + 8 * 18944 + 4 * 4 * 128 + 120
    nothing = torch.nn.Module()
    assert step_bytes(nothing, config, "lora", True, 1000, 10) == 602_456_000 + 10 * 152064 * 16
