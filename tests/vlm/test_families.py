"""Qwen2.5-VL and Qwen3-VL go through the same code: picture sizes, batches, exact scores, generation."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra vlm")

import tiny_qwen2vl  # noqa: E402
from transformers import (  # noqa: E402
    PreTrainedModel,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
)

from kdsl.vlm.conversation import Picture, ask  # noqa: E402
from kdsl.vlm.local import LocalModel  # noqa: E402
from kdsl.vlm.scoring import score_options  # noqa: E402

OPTIONS = ("红退", "红", "一个长的标签")


def qwen2_5(base: dict) -> PreTrainedModel:
    vision = {"depth": 2, "hidden_size": 32, "intermediate_size": 64, "num_heads": 4, "out_hidden_size": 64}
    vision |= {"fullatt_block_indexes": [1]}
    return Qwen2_5_VLForConditionalGeneration(Qwen2_5_VLConfig(**base, vision_config=vision))


def qwen3(base: dict) -> PreTrainedModel:
    vision = {"depth": 2, "hidden_size": 32, "intermediate_size": 64, "num_heads": 4, "out_hidden_size": 64}
    vision |= {"patch_size": 16, "num_position_embeddings": 64, "deepstack_visual_indexes": [0]}
    base["text_config"] |= {"head_dim": 16}
    return Qwen3VLForConditionalGeneration(Qwen3VLConfig(**base, vision_config=vision))


@pytest.mark.parametrize(("family", "patch"), [(qwen2_5, 14), (qwen3, 16)], ids=["qwen2.5", "qwen3"])
def test_family_is_scored_exactly_and_generates(family, patch: int, tmp_path: Path) -> None:
    folder = tiny_qwen2vl.build(tmp_path / "qwen2")
    config = json.loads((folder / "config.json").read_text())
    text = {k: v for k, v in config["text_config"].items() if k not in ("model_type", "layer_types", "dtype")}
    ids = {key: value for key, value in config.items() if key.endswith("_token_id")}
    torch.manual_seed(0)
    other = Path(shutil.copytree(folder, tmp_path / "other"))
    family({"text_config": text, **ids}).save_pretrained(other)
    preprocessing = json.loads((other / "preprocessor_config.json").read_text())
    (other / "preprocessor_config.json").write_text(json.dumps(preprocessing | {"patch_size": patch}))
    model = LocalModel.load(str(other))
    page = Picture(tiny_qwen2vl.draw_page(tmp_path / "page.png", "红", True))
    conversations = [ask(page, "标签？"), ask("没有图片的长一些的问题，标签？"), ask(page, "和", page, "标签？")]

    side = round(56 / (2 * patch))
    assert model.processor.encode(conversations[0]).mm_token_type_ids.sum() == side * side
    batch = model.processor.batch([model.processor.encode(conversation) for conversation in conversations])
    answers = [model.processor.answer_ids(option) for option in OPTIONS]
    expected = [[one_forward(model, conversation, answer) for answer in answers] for conversation in conversations]
    for method in ("repeat", "pack"):
        np.testing.assert_allclose(score_options(model.model, batch, answers, method), expected, atol=1e-4)
    assert all(answer.output_tokens <= 3 for answer in model.generate(conversations, max_new_tokens=3))


def one_forward(model: LocalModel, conversation, answer: list[int]) -> float:
    batch = model.processor.batch([model.processor.encode(conversation)])
    more = torch.tensor([answer])
    for name, part in (("input_ids", more), ("attention_mask", more * 0 + 1), ("mm_token_type_ids", more * 0)):
        batch[name] = torch.cat([batch[name], part], dim=1)
    with torch.inference_mode():
        log_p = model.model(**batch).logits[0, -len(answer) - 1 : -1].double().log_softmax(dim=-1)
    return log_p.gather(1, more[0][:, None]).sum().item()
