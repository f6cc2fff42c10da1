"""Qwen2-VL models of real and small sizes with random weights, and how fast a device multiplies matrices."""

import time

import torch
from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration

SIZES = {
    "small": {"hidden_size": 256, "intermediate_size": 1024, "num_hidden_layers": 8, "num_attention_heads": 8,
              "num_key_value_heads": 2, "vocab_size": 8192, "sections": [4, 6, 6], "tied": True,
              "vision": {"depth": 4, "embed_dim": 128, "num_heads": 4}},
    "2b": {"hidden_size": 1536, "intermediate_size": 8960, "num_hidden_layers": 28, "num_attention_heads": 12,
           "num_key_value_heads": 2, "vocab_size": 151936, "sections": [16, 24, 24], "tied": True,
           "vision": {"depth": 32, "embed_dim": 1280, "num_heads": 16}},
    "7b": {"hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28, "num_attention_heads": 28,
           "num_key_value_heads": 4, "vocab_size": 152064, "sections": [16, 24, 24], "tied": False,
           "vision": {"depth": 32, "embed_dim": 1280, "num_heads": 16}},
}  # fmt: skip
"""The shapes of Qwen2-VL-2B and -7B as published, and one for a CPU."""


def random_model(size: str, device: str, seed: int = 0) -> Qwen2VLForConditionalGeneration:
    """In bfloat16 on a GPU and on `meta`, in float32 on the CPU. The vocabulary's last tokens stand for pictures."""
    shape = dict(SIZES[size])
    vision, tied, sections = shape.pop("vision"), shape.pop("tied"), shape.pop("sections")
    last = shape["vocab_size"]
    config = Qwen2VLConfig(
        text_config={
            **shape,
            "max_position_embeddings": 32768,
            "rope_parameters": {"rope_type": "default", "mrope_section": sections, "rope_theta": 1e6},
            "bos_token_id": 0,
            "eos_token_id": 1,
            "pad_token_id": 0,
        },
        vision_config={**vision, "hidden_size": shape["hidden_size"]},
        tie_word_embeddings=tied,
        image_token_id=last - 1,
        video_token_id=last - 2,
        vision_start_token_id=last - 3,
        vision_end_token_id=last - 4,
    )
    config._attn_implementation = "sdpa"
    torch.manual_seed(seed)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32 if device == "cpu" else torch.bfloat16)
    try:
        with torch.device(device):
            return Qwen2VLForConditionalGeneration(config).eval()
    finally:
        torch.set_default_dtype(before)


def random_batch(
    model: Qwen2VLForConditionalGeneration, rows: int, tokens: int, side: int, seed: int = 0
) -> dict[str, torch.Tensor]:
    """Prompts of `tokens` tokens each, of which a picture of `side` x `side` tokens; the arguments of a forward."""
    source = torch.Generator().manual_seed(seed)
    config = model.config
    ids = torch.randint(2, config.text_config.vocab_size - 8, (rows, tokens), generator=source)
    kinds = torch.zeros_like(ids)
    picture = slice(20, 20 + side * side)
    ids[:, 19], ids[:, picture.stop] = config.vision_start_token_id, config.vision_end_token_id
    ids[:, picture], kinds[:, picture] = config.image_token_id, 1
    patches = rows * (2 * side) ** 2
    batch = {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "mm_token_type_ids": kinds,
        "pixel_values": torch.randn((patches, 3 * 2 * 14 * 14), generator=source),
        "image_grid_thw": torch.tensor([[1, 2 * side, 2 * side]] * rows),
    }
    return {name: tensor.to(model.device) for name, tensor in batch.items()}


def matrix_peak(device: str, size: int = 8192) -> float:
    """Floating point operations a second of a large bfloat16 matrix product on this GPU: what is there to be used."""
    a, b = (torch.randn((size, size), device=device, dtype=torch.bfloat16) for _ in range(2))
    best = float("inf")
    for _ in range(10):
        torch.cuda.synchronize()
        begun = time.perf_counter()
        for _ in range(4):
            a @ b
        torch.cuda.synchronize()
        best = min(best, (time.perf_counter() - begun) / 4)
    return 2 * size**3 / best
