"""kdsl train, predict and evaluate with a large model that is truly fine-tuned."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra vlm")

from tiny_project import read, write

from kdsl.distribution import install_command
from kdsl.models.large.card import TrainingCard


def predict(kdsl, project: Path, *options: object, output: str = "p.jsonl"):
    return kdsl("predict", project, "--input", project / "test.jsonl", "--output", project / output, *options)


def right(project: Path, output: str = "p.jsonl") -> float:
    truth = {record["id"]: record["label"] for record in read(project / "test.jsonl")}
    return float(np.mean([record["label"] == truth[record["id"]] for record in read(project / output)]))


def test_what_was_learned_is_predicted_with_what_each_sample_cost(kdsl, project):
    """Without fine-tuning the model has every colour wrong."""
    result = predict(kdsl, project)
    assert result.code == 0, result.err
    assert right(project) >= 0.9
    record = read(project / "p.jsonl")[0]
    assert sum(record["probabilities"].values()) == pytest.approx(1, abs=1e-4)
    assert record["cost"] == {"calls": 1, "tokens": 3, "dropped": 0}
    assert "12 calls and 36 output tokens for 12 samples, at most 1 and 3 for one" in result.err


def test_predictions_go_on_where_they_were_interrupted(kdsl, project):
    predict(kdsl, project)
    whole = (project / "p.jsonl").read_bytes()
    (project / "p.jsonl").write_bytes(whole[: len(whole) // 2])
    result = predict(kdsl, project, "--batch", 4)
    assert "12 samples predicted" not in result.out
    again, before = read(project / "p.jsonl"), [json.loads(line) for line in whole.splitlines()]
    assert [record["label"] for record in again] == [record["label"] for record in before]


def test_card_and_curves_stand_beside_the_adapter(tuned):
    folder = tuned / "checkpoints/run/large/joint"
    assert {path.name for path in folder.iterdir()} == {
        "adapter_config.json", "adapter_model.safetensors", "card.json", "card.md", "curves.png",
    }  # fmt: skip
    assert (folder / "curves.png").read_bytes().startswith(b"\x89PNG")
    card = TrainingCard.load(folder)
    assert card is not None
    assert card.tasks == {"shop": {"train": 32, "held_out": 8}}
    assert card.best["weighted_f1"] >= 0.9
    losses = [entry["loss"] for entry in card.history if "loss" in entry]
    assert losses[-1] < losses[0] / 10
    assert {"torch", "transformers", "peft"} <= set(card.versions)
    assert "| shop | 32 | 8 |" in (folder / "card.md").read_text("utf-8")
    config = json.loads((folder / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"]) == (16, 32)


def test_prepared_pictures_are_kept_each_once_whatever_asked_for_it(tuned):
    """Training, judging its epochs and fitting the arbiter."""
    learned = read(tuned / "train.jsonl")
    contents = {(tuned / "images" / image).read_bytes() for sample in learned for image in sample["images"]}
    assert len(list((tuned / "checkpoints/run/pictures").glob("*.patches"))) == len(contents)


def test_only_the_language_model_is_adapted(tuned):
    from safetensors import safe_open

    with safe_open(tuned / "checkpoints/run/large/joint/adapter_model.safetensors", "pt") as file:
        names = list(file.keys())
    assert names
    assert all(".language_model.layers." in name for name in names)


def test_the_arbiter_is_fitted_on_the_held_out_samples(tuned):
    assert json.loads((tuned / "checkpoints/run/shop/arbiter.json").read_text())["samples"] == 8


def test_what_is_tuned_already_is_not_tuned_again(kdsl, project, monkeypatch):
    import kdsl.training.fine_tuning as fine_tuning

    monkeypatch.setattr(fine_tuning, "trainable_model", None)
    result = kdsl("train", project, "--format", "json")
    assert result.code == 0, result.err
    assert json.loads(result.out)[0]["model"]["weighted_f1"] >= 0.9


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("pixels.max=1568", "trained with another pixels ([784, 3136], now [784, 1568]); set it back, or run"),
        ("prompt.descriptions=true", "trained with another descriptions (false, now true)"),
        ("large=linear", "embedded.json: no such file"),
        ("large=./gone", "gone: no such model directory"),
        ("limits.tokens=2", "would exceed `limits: {calls: 3, tokens: 2}`; raise the limits"),
    ],
)  # fmt: skip
def test_a_project_that_asks_otherwise_than_in_training_is_told(kdsl, project, change, message):
    result = predict(kdsl, project, change)
    assert (result.code, message in result.err) == (2, True), result.err
    assert not (project / "p.jsonl").exists() or not read(project / "p.jsonl")


def test_another_model_s_adapter_is_told(kdsl, project, tmp_path):
    import tiny_qwen2vl

    other = tiny_qwen2vl.build(tmp_path / "other", seed=3)
    result = predict(kdsl, project, f"large={other}")
    assert result.code == 2
    assert "trained with another model" in result.err


def test_a_damaged_adapter_is_told(kdsl, project):
    weights = project / "checkpoints/run/large/joint/adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    result = predict(kdsl, project)
    assert result.code == 2
    assert "large/joint: not the weights that shop was trained with; run `kdsl train` again" in result.err


@pytest.mark.parametrize("arguments", [("train",), ("predict", "--input", "test.jsonl", "--output", "p.jsonl")])
def test_without_torch_the_extra_is_named(project, tmp_path, arguments):
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError('No module named torch')", "utf-8")
    command = [sys.executable, "-m", "kdsl", *arguments]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    result = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert install_command("vlm") in result.stderr


def test_the_model_as_it_stands_is_calibrated_on_all_samples(kdsl, project):
    """Asked without training, it has colours the wrong way round, and its answers are kept on disk."""
    result = kdsl("train", project, "training.method=none", "--format", "json")
    assert result.code == 0, result.err
    [entry] = json.loads(result.out)
    assert entry["samples"] == 40
    assert entry["model"]["weighted_f1"] < 0.1
    assert len(read(project / "checkpoints/run/shop/large.answers.jsonl")) == 40
    assert predict(kdsl, project, "training.method=none").code == 0


def test_an_adapter_can_be_named_as_the_large_model(kdsl, project, tuned):
    """It is used as it stands, and calibrated on the samples that its card says were held out."""
    adapter = f"large={tuned / 'checkpoints/run/large/joint'}"
    result = kdsl("train", project, adapter, "--format", "json")
    assert result.code == 0, result.err
    assert json.loads(result.out)[0]["samples"] == 8
    assert predict(kdsl, project, adapter).code == 0
    assert right(project) >= 0.9


def test_too_few_samples_to_hold_any_out(kdsl, project):
    write(project / "train.jsonl", read(project / "train.jsonl")[:4])
    kdsl("mine", project)
    result = kdsl("train", project)
    assert result.code == 2
    assert "shop: 4 samples are too few to fine-tune on some and hold out others" in result.err


def test_an_image_that_is_missing_is_named_before_training(kdsl, project):
    next((project / "images").glob("shop0-3.png")).unlink()
    result = kdsl("train", project)
    assert result.code == 2
    assert "shop0-3.png: no such file; training needs every image" in result.err


def test_qlora_needs_bitsandbytes(kdsl, project, monkeypatch):
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    result = kdsl("train", project, "training.method=qlora")
    assert result.code == 2
    assert "training.method: qlora needs bitsandbytes, which is not installed: pip install bitsandbytes" in result.err


def test_all_weights_but_the_vision_tower_can_be_trained(kdsl, project):
    """What lands is a whole model, which any tool loads."""
    from safetensors.torch import load_file

    options = ("training.method=full", "training.learning_rate=0.002")
    assert kdsl("train", project, *options).code == 0
    assert predict(kdsl, project, *options).code == 0
    assert right(project) >= 0.9
    folder = project / "checkpoints/run/large/joint"
    assert (folder / "config.json").exists()
    assert not (folder / "adapter_config.json").exists()
    base = Path(TrainingCard.load(folder).base)
    before, after = (load_file(path / "model.safetensors") for path in (base, folder))
    same = {name: bool((weights == after[name]).all()) for name, weights in before.items()}
    assert all(same[name] for name in same if "visual." in name)
    assert not any(same[name] for name in same if "layers.0.self_attn" in name and "visual." not in name)
    assert kdsl("train", project, f"large={folder}", "training.method=none").code == 0


def test_cross_validation_fine_tunes_without_each_fold(kdsl, project):
    command = ("evaluate", project, "--cross-validate", 2, "training.epochs=4", "training.held_out=0.3")
    result = kdsl(*command, "--format", "json")
    assert result.code == 0, result.err
    scores = json.loads(result.out)["pooled"]["model"]["scores"]
    assert scores["accuracy"] >= 0.8
    cards = [TrainingCard.load(folder) for folder in (project / "checkpoints/run/large").glob("cross-validation-*")]
    assert len(cards) == 2
    assert all(sum(card.tasks["shop"].values()) == 20 for card in cards if card is not None)
