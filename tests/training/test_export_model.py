"""kdsl export-model: what was fine-tuned as one directory without LoRA, which says the same."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra vlm")

import tiny_qwen2vl
import torch
import yaml
from model_server import model_server
from plain_transformers import label_scores
from safetensors.torch import load_file, save_file
from tiny_project import read, write_two_tasks

import kdsl as kdsl_package
from kdsl.models.large import model_export
from kdsl.models.large.card import TrainingCard
from kdsl.pretrained import fingerprint
from kdsl.project.project import Project
from kdsl.vlm.load import load_model

ADAPTER = "checkpoints/run/large/joint"


@pytest.fixture(scope="module")
def exported(tuned: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is exported of the fine-tuned project; not to be written to."""
    return kdsl_package.open(tuned).export_model(tmp_path_factory.mktemp("exported") / "shop-model")


def scores(model: Path | str, tuned: Path) -> np.ndarray:
    conversations = [tiny_qwen2vl.classify(tuned / f"images/shop1-{n}.png", "退") for n in range(8)]
    return load_model(str(model), tiny_qwen2vl.BUDGET).score(conversations, tiny_qwen2vl.LABELS).log_probabilities


def changed_copy(adapter: Path, folder: Path, **config: object) -> Path:
    """Of an adapter, without its card, as one from elsewhere."""
    shutil.copytree(adapter, folder, ignore=shutil.ignore_patterns("card.*", "curves.png"))
    told = json.loads((folder / "adapter_config.json").read_text("utf-8")) | config
    (folder / "adapter_config.json").write_text(json.dumps(told), "utf-8")
    return folder


def test_the_merged_model_scores_as_base_and_adapter_do(tuned, exported, tiny_model):
    both = scores(tuned / ADAPTER, tuned)
    np.testing.assert_allclose(scores(exported, tuned), both, atol=1e-4)
    assert np.abs(scores(tiny_model, tuned) - both).max() > 1
    assert not list(exported.glob("adapter_*"))


def test_transformers_alone_scores_the_same(tuned, exported):
    page = tuned / "images/shop1-0.png"
    alone = label_scores(exported, page, ("我要退货。", "标签？"), tiny_qwen2vl.LABELS)
    np.testing.assert_allclose(alone, scores(exported, tuned)[0], atol=1e-4)


def test_what_is_served_decides_as_the_project_does(kdsl, tuned, exported, tmp_path):
    """With what README.md says for kdsl.yaml."""
    folder = Path(shutil.copytree(tuned, tmp_path / "project"))
    told = (exported / "README.md").read_text("utf-8")
    assert f"vllm serve {exported} --served-model-name shop-model --max-model-len 4096" in told
    served = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", told, re.DOTALL)[0])
    assert served["large"] == "http://localhost:8000/v1#shop-model"
    before = [decision.label for decision in Project.open(folder).predict(read(folder / "test.jsonl"))]
    with model_server(exported, models=("shop-model",)) as server:
        served["large"] = served["large"].replace("http://localhost:8000/v1", server.url)
        config = yaml.safe_load((folder / "kdsl.yaml").read_text("utf-8")) | served
        (folder / "kdsl.yaml").write_text(yaml.safe_dump(config, allow_unicode=True), "utf-8")
        result = kdsl("train", folder, "--format", "json")
        assert result.code == 0, result.err
        # Those that were held out in training, as the card in the server's folder says.
        assert json.loads(result.out)[0]["samples"] == 8
        after = [decision.label for decision in Project.open(folder).predict(read(folder / "test.jsonl"))]
    assert after == before


def test_in_this_process_it_is_calibrated_on_the_samples_that_were_held_out(kdsl, tuned, exported, tmp_path):
    folder = Path(shutil.copytree(tuned, tmp_path / "project"))
    told = (exported / "README.md").read_text("utf-8")
    config = yaml.safe_load((folder / "kdsl.yaml").read_text("utf-8"))
    config |= yaml.safe_load(re.findall(r"```yaml\n(.*?)```", told, re.DOTALL)[1])
    (folder / "kdsl.yaml").write_text(yaml.safe_dump(config, allow_unicode=True), "utf-8")
    result = kdsl("train", folder, "--format", "json")
    assert result.code == 0, result.err
    assert json.loads(result.out)[0]["samples"] == 8


def test_card_and_pixel_budget_of_training_go_along(tuned, exported):
    assert TrainingCard.load(exported) == TrainingCard.load(tuned / ADAPTER)
    assert (exported / "curves.png").is_file()
    size = json.loads((exported / "preprocessor_config.json").read_text("utf-8"))["size"]
    assert size == {"shortest_edge": 784, "longest_edge": 3136}


def test_an_earlier_export_is_replaced_and_nothing_else(kdsl, tuned, exported, tmp_path):
    output = Path(shutil.copytree(exported, tmp_path / "out"))
    (output / "model.safetensors").write_bytes(b"")
    result = kdsl("export-model", tuned, "--output", output)
    assert (result.code, result.out) == (0, f"{output}\n"), result.err
    assert "large/joint: is merged into " in result.err and " GB of memory and as much of the disk." in result.err
    assert (output / "model.safetensors").read_bytes() == (exported / "model.safetensors").read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    (output / "export.json").unlink()
    result = kdsl("export-model", tuned, "--output", output)
    assert result.code == 2
    assert "out: is not empty, and no export of KDSL's (export.json is missing)" in result.err


@pytest.mark.parametrize("there", [False, True], ids=["new", "an earlier export"])
def test_what_is_interrupted_leaves_all_as_it_was(tuned, exported, tmp_path, monkeypatch, there):
    from kdsl.vlm import saving

    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    output = tmp_path / "out"
    if there:
        shutil.copytree(exported, output)
    monkeypatch.setattr(saving, "copy_companions", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Project.open(tuned).export_model(output)
    assert [path.name for path in tmp_path.iterdir()] == (["out"] if there else [])
    if there:
        assert {path.name for path in output.iterdir()} == {path.name for path in exported.iterdir()}


def test_a_disk_without_room_is_told_before_anything_is_loaded(kdsl, tuned, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(model_export.shutil, "disk_usage", lambda path: usage._replace(free=50_000_000))
    monkeypatch.setattr("kdsl.vlm.merging.load_base", None)
    result = kdsl("export-model", tuned, "--output", tmp_path / "out")
    assert result.code == 2
    assert "out: needs 0.1 GB, but 0.1 GB are free there; free some space, or name a folder on another" in result.err
    assert not (tmp_path / "out").exists()


def test_adapters_of_other_tools_are_merged_into_the_base_that_they_name(kdsl, tuned, exported, tmp_path):
    """They have no card; the pixel budget is the project's. QLoRA trains on weights that are quantised as they are
    loaded: what is merged into is the model that the adapter names."""
    adapter = changed_copy(tuned / ADAPTER, tmp_path / "adapter")
    result = kdsl("export-model", tuned, "--output", tmp_path / "out", "--adapter", adapter, "pixels.max=1568")
    assert result.code == 0, result.err
    before, after = (load_file(folder / "model.safetensors") for folder in (exported, tmp_path / "out"))
    assert all(torch.equal(weights, after[name]) for name, weights in before.items())
    size = json.loads((tmp_path / "out/preprocessor_config.json").read_text("utf-8"))["size"]
    assert size == {"shortest_edge": 784, "longest_edge": 1568}
    assert not (tmp_path / "out/card.json").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("another base", "an adapter for another base: the model has no"),
        ("no numbers", "adapter: its weights hold no numbers (NaN or infinite); train it again"),
        ("no base", "base_model_name_or_path is missing; name the base model there"),
        ("quantised base", "has quantised weights, which nothing can be merged into; name the model that they were"),
        ("nothing", "adapter: no such folder; name the directory that training wrote"),
    ],
)  # fmt: skip
def test_adapters_that_cannot_be_merged(kdsl, tuned, tiny_model, tmp_path, change, message):
    adapter = tmp_path / "adapter"
    if change != "nothing":
        changed_copy(tuned / ADAPTER, adapter, **({"base_model_name_or_path": ""} if change == "no base" else {}))
        weights = load_file(adapter / "adapter_model.safetensors")
        if change == "another base":
            weights = {name.replace("layers.1", "layers.7"): each for name, each in weights.items()}
        if change == "no numbers":
            weights = {name: each * float("nan") for name, each in weights.items()}
        save_file(weights, adapter / "adapter_model.safetensors", {"format": "pt"})
    if change == "quantised base":
        base = Path(shutil.copytree(tiny_model, tmp_path / "base"))
        config = json.loads((base / "config.json").read_text("utf-8"))
        config["quantization_config"] = {"quant_method": "bitsandbytes", "load_in_4bit": True}
        (base / "config.json").write_text(json.dumps(config), "utf-8")
        shutil.rmtree(adapter)
        changed_copy(tuned / ADAPTER, adapter, base_model_name_or_path=str(base))
    result = kdsl("export-model", tuned, "--output", tmp_path / "out", "--adapter", adapter)
    assert (result.code, message in result.err) == (2, True), result.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--task", "nothing"), "no task is called 'nothing'; the project has shop"),
        (("large=linear",), "large: linear has no weights to export; name the model that was fine-tuned"),
        (("large=http://localhost:1/v1",), "is served already, and its weights are not here; export where it was"),
        (("checkpoint=new",), "nothing was fine-tuned for shop yet; run `kdsl train`"),
        (("--task", "shop", "--adapter", "."), "--adapter names what is exported, so leave --task out"),
    ],
)  # fmt: skip
def test_projects_without_a_model_to_export(kdsl, tuned, tmp_path, arguments, message):
    result = kdsl("export-model", tuned, "--output", tmp_path / "out", *arguments)
    assert (result.code, message in result.err) == (2, True), result.err
    assert not (tmp_path / "out").exists()


def test_a_base_whose_weights_have_changed_is_told(kdsl, tuned, tiny_model, tmp_path):
    other = Path(shutil.copytree(tiny_model, tmp_path / "other"))
    weights = load_file(other / "model.safetensors")
    save_file({name: each * 2 for name, each in weights.items()}, other / "model.safetensors", {"format": "pt"})
    result = kdsl("export-model", tuned, "--output", tmp_path / "out", f"large={other}")
    assert result.code == 2
    assert f"was trained on another model than {other}; run `kdsl train` again" in result.err


def test_of_adapters_of_several_tasks_one_is_named(kdsl, tuned, tiny_model, tmp_path):
    """What `kdsl train` leaves of each task is where its record says."""
    folder = write_two_tasks(tmp_path / "two", tiny_model)
    large = folder / "checkpoints/run/large"
    for number, task in enumerate(("shop", "wish")):
        shutil.copytree(tuned / ADAPTER, large / task)
        weights = load_file(large / task / "adapter_model.safetensors")
        weights = {name: each * (number + 1) for name, each in weights.items()}
        save_file(weights, large / task / "adapter_model.safetensors", {"format": "pt"})
        record = json.loads((tuned / "checkpoints/run/shop/large.json").read_text("utf-8"))
        record |= {"tuned": task, "tuned_weights": fingerprint(str(large / task))}
        (folder / "checkpoints/run" / task).mkdir()
        (folder / "checkpoints/run" / task / "large.json").write_text(json.dumps(record), "utf-8")
    result = kdsl("export-model", folder, "--output", tmp_path / "out")
    assert result.code == 2
    assert "each task has an adapter of its own; name one with --task: shop, wish" in result.err
    for task in ("shop", "wish"):
        assert kdsl("export-model", folder, "--output", tmp_path / task, "--task", task).code == 0
    first, second = (load_file(tmp_path / task / "model.safetensors") for task in ("shop", "wish"))
    assert not torch.equal(first["model.layers.0.mlp.up_proj.weight"], second["model.layers.0.mlp.up_proj.weight"])
