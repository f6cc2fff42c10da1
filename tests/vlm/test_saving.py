"""A saved model is a directory as those that are published: for transformers, vLLM and trainers of other people."""

import json
import os
import shutil
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs the extra vlm")

import tiny_qwen2vl  # noqa: E402
from PIL import Image  # noqa: E402
from safetensors.torch import load_file  # noqa: E402
from transformers import AutoModelForMultimodalLM, Qwen2VLConfig, Qwen2VLForConditionalGeneration  # noqa: E402
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil  # noqa: E402

from kdsl.vlm import saving  # noqa: E402
from kdsl.vlm.checkpoint import load_base  # noqa: E402
from kdsl.vlm.pixels import PixelBudget  # noqa: E402
from kdsl.vlm.saving import copy_companions, save_model, stored_type  # noqa: E402

BUDGET = PixelBudget(28 * 28, 12 * 28 * 28)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """In bfloat16, as published models are."""
    folder = tiny_qwen2vl.build(tmp_path_factory.mktemp("saving") / "base")
    load_base(str(folder), "cpu", torch.bfloat16).save_pretrained(folder)
    (folder / "README.md").write_text("A model of other people.")
    (folder / "LICENSE").write_text("Apache 2.0")
    return folder


def test_weights_have_names_and_type_of_the_base(base, tmp_path):
    model = load_base(str(base), "cpu", torch.float32)
    with torch.no_grad():
        model.lm_head.weight += 1
    save_model(model, str(base), tmp_path, BUDGET)
    before, after = load_file(base / "model.safetensors"), load_file(tmp_path / "model.safetensors")
    assert before.keys() == after.keys()
    assert {weights.dtype for weights in after.values()} == {torch.bfloat16} == {stored_type(str(base))}
    assert [name for name in before if not torch.equal(before[name], after[name])] == ["lm_head.weight"]
    assert torch.equal(after["lm_head.weight"], model.lm_head.weight.bfloat16())


def test_what_stands_beside_the_weights_is_the_base_s_but_for_the_pixel_budget(base, tmp_path):
    model = load_base(str(base), "cpu")
    model.config.use_cache = False  # as the Trainer leaves it
    save_model(model, str(base), tmp_path, BUDGET)
    same = {"config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"}
    assert {path.name for path in tmp_path.iterdir()} == same | {
        "model.safetensors", "preprocessor_config.json", "LICENSE",
    }  # fmt: skip
    assert all((base / name).read_bytes() == (tmp_path / name).read_bytes() for name in same)
    before, after = (json.loads((folder / "preprocessor_config.json").read_text()) for folder in (base, tmp_path))
    assert after == before | {
        "size": {"shortest_edge": 784, "longest_edge": 9408}, "min_pixels": 784, "max_pixels": 9408,
    }  # fmt: skip


@pytest.mark.parametrize("layout", ["first", "of today"])
def test_transformers_scales_pictures_as_training_did(base, tmp_path, layout):
    """With the layout of Qwen2-VL's directory, and with that in which processors are saved today."""
    source = Path(shutil.copytree(base, tmp_path / "source"))
    told = json.loads((source / "preprocessor_config.json").read_text())
    if layout == "first":
        size = told.pop("size")
        told |= {"min_pixels": size["shortest_edge"], "max_pixels": size["longest_edge"]}
        (source / "preprocessor_config.json").write_text(json.dumps(told))
    else:
        (source / "preprocessor_config.json").unlink()
        (source / "processor_config.json").write_text(json.dumps({"image_processor": told}))
    (tmp_path / "new").mkdir()
    copy_companions(str(source), tmp_path / "new", BUDGET)
    images = Qwen2VLImageProcessorPil.from_pretrained(tmp_path / "new")
    grid = images([Image.new("RGB", (280, 280))], return_tensors="pt")["image_grid_thw"]
    assert grid.tolist() == [[1, 6, 6]]  # of 100 tokens it has 9


def test_weights_that_are_one_tensor_stay_one(tmp_path):
    """Output layer and embeddings of small Qwen models, also where the type changes."""
    folder = tiny_qwen2vl.build(tmp_path / "base")
    config = Qwen2VLConfig.from_pretrained(folder, tie_word_embeddings=True)
    config.text_config.tie_word_embeddings = True
    Qwen2VLForConditionalGeneration(config).to(torch.bfloat16).save_pretrained(folder)
    model = load_base(str(folder), "cpu", torch.float32)
    with torch.no_grad():
        model.lm_head.weight += 1
    save_model(model, str(folder), tmp_path / "new", BUDGET)
    assert "lm_head.weight" not in load_file(tmp_path / "new/model.safetensors")
    again = AutoModelForMultimodalLM.from_pretrained(tmp_path / "new", dtype=torch.float32)
    assert torch.equal(again.lm_head.weight, model.lm_head.weight.bfloat16().float())
    assert torch.equal(again.lm_head.weight, again.get_input_embeddings().weight)


def test_large_models_are_written_as_several_files(base, tmp_path, monkeypatch):
    monkeypatch.setattr(saving, "SHARD", 200_000)
    model = load_base(str(base), "cpu")
    save_model(model, str(base), tmp_path, BUDGET)
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 1
    again = load_base(str(tmp_path), "cpu")
    assert all(torch.equal(weights, again.state_dict()[name]) for name, weights in model.state_dict().items())


@pytest.mark.skipif(os.name == "nt", reason="Windows has no modes of files")
def test_a_server_of_another_user_may_read_the_weights(base, tmp_path):
    before = os.umask(0o022)
    try:
        save_model(load_base(str(base), "cpu"), str(base), tmp_path, BUDGET)
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o644}
