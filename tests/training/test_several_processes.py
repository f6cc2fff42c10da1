"""Fine-tuning by two processes that each hold a part of the weights."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the extra vlm")

from tiny_project import SMALL, read, write, write_two_tasks

import kdsl.training
from kdsl.models.large.card import TrainingCard
from kdsl.yaml_file import read_yaml

CONFIGS = Path(kdsl.training.__file__).parent / "configs"
TRAINING = "training: {epochs: 1, learning_rate: 0.005, batch: 8, at_once: 2}\n"


def test_fsdp2_trains_an_adapter_that_kdsl_train_takes_over(kdsl, tiny_model, tmp_path, monkeypatch):
    """One task has no pictures, so that some batches have none while the other process has some."""
    project = write_two_tasks(tmp_path / "project", tiny_model, SMALL + TRAINING)
    records = read(project / "train.jsonl")
    for record in records:
        if record["task"] == "wish":
            record["images"] = record["turns"][0]["images"] = []
    write(project / "train.jsonl", records)
    settings = read_yaml(CONFIGS / "fsdp2.yaml").value | {"mixed_precision": "no", "use_cpu": True}
    (tmp_path / "fsdp2.json").write_text(json.dumps(settings))
    script = Path(__file__).with_name("fsdp_on_cpu.py")
    command = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", tmp_path / "fsdp2.json"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run(
        [*command, "--main_process_port", "0", script, "train", project, "--fine-tune-only"],
        env=environment, capture_output=True, text=True, timeout=1800, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr[-3000:]
    card = TrainingCard.load(project / "checkpoints/run/large/joint")
    assert card is not None
    losses = [entry["loss"] for entry in card.history if "loss" in entry]
    assert losses[-1] < losses[0] / 2
    assert set(card.best) == {"loss"}

    import kdsl.training.fine_tuning as fine_tuning

    monkeypatch.setattr(fine_tuning, "trainable_model", None)
    assert kdsl("mine", project).code == 0
    result = kdsl("train", project)
    assert result.code == 0, result.err


def test_deepspeed_that_is_missing_is_told(kdsl, project, monkeypatch):
    monkeypatch.setitem(sys.modules, "deepspeed", None)
    json.loads((CONFIGS / "zero3.json").read_text())
    result = kdsl("train", project, "seed=1", "--deepspeed", CONFIGS / "zero3.json")
    assert result.code == 2
    assert "--deepspeed needs DeepSpeed, which is not installed: pip install deepspeed" in result.err


def test_only_a_model_that_is_fine_tuned_can_be_fine_tuned(kdsl, project):
    for change in ("large=linear", "training.method=none"):
        result = kdsl("train", project, change, "--fine-tune-only")
        assert result.code == 2
        assert "nothing is fine-tuned; name a model's directory or hub id" in result.err
