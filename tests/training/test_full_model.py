"""A model whose weights were all trained is a directory that everything loads: KDSL, transformers and servers."""

import base64
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra vlm")

import tiny_qwen2vl
import torch
from model_server import model_server
from PIL import Image
from plain_transformers import label_scores
from safetensors.torch import load_file
from test_resuming import KILLED
from tiny_project import read

from kdsl.project.project import Project
from kdsl.vlm.load import load_model

FULL = ("training.method=full", "training.learning_rate=0.002", "training.vision=true")
TUNED = "checkpoints/run/large/joint"


@pytest.fixture(scope="module")
def full(tuned: Path, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project after full fine-tuning of a base in bfloat16; not to be written to."""
    from kdsl.vlm.checkpoint import load_base

    folder = Path(shutil.copytree(tuned, tmp_path_factory.mktemp("full") / "project"))
    shutil.rmtree(folder / "checkpoints/run/large")
    base = Path(shutil.copytree(tiny_model, folder / "base"))
    load_base(str(base), "cpu", torch.bfloat16).save_pretrained(base)
    config = (folder / "kdsl.yaml").read_text("utf-8").replace(str(tiny_model), str(base))
    (folder / "kdsl.yaml").write_text(config, "utf-8")
    Project.open(folder, FULL).train()
    return folder


@pytest.fixture
def project(full: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(full, tmp_path / "project"))


def said(full: Path) -> list[dict]:
    """What the project's own model says of the test samples."""
    project = Project.open(full, FULL)
    return [decision.record() for decision in project.predict(read(full / "test.jsonl"))]


def test_predictions_are_those_of_what_was_trained(full):
    """The encoder of pictures was trained too, and weights have the type of the base."""
    truth = [record["label"] for record in read(full / "test.jsonl")]
    assert np.mean([record["model"]["label"] == label for record, label in zip(said(full), truth, strict=True)]) >= 0.9
    before, after = (load_file(folder / "model.safetensors") for folder in (full / "base", full / TUNED))
    assert {weights.dtype for weights in after.values()} == {torch.bfloat16}
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert any("visual." in name for name in changed) and "model.layers.0.mlp.up_proj.weight" in changed
    card = json.loads((full / TUNED / "card.json").read_text("utf-8"))
    assert card["trained"]["trainable"] == card["trained"]["all"]


def test_training_that_was_killed_ends_with_the_same_weights(kdsl, full, project):
    shutil.rmtree(project / "checkpoints/run/large")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", KILLED, "train", project, *FULL]
    killed = subprocess.run(command, env=environment, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert kdsl("train", project, *FULL).code == 0
    before, after = (load_file(folder / TUNED / "model.safetensors") for folder in (full, project))
    assert all(torch.equal(weights, after[name]) for name, weights in before.items())


def test_the_best_epoch_is_kept_not_the_last(kdsl, project, monkeypatch):
    from kdsl.training.held_out import HeldOut

    seen = []

    def judge(self, scorer, *positional) -> dict[str, float]:
        weights = scorer.model.state_dict()
        seen.append({name: weights[name].clone() for name in ("lm_head.weight", "model.visual.merger.mlp.0.weight")})
        return {"selection": -float(len(seen))}

    shutil.rmtree(project / "checkpoints/run/large")
    monkeypatch.setattr(HeldOut, "judge", judge)
    assert kdsl("train", project, *FULL, "training.epochs=2").code == 0
    kept = load_file(project / TUNED / "model.safetensors")
    assert len(seen) == 2
    for name, weights in seen[0].items():
        assert torch.equal(kept[name.removeprefix("model.")], weights.bfloat16())
        assert not torch.equal(weights, seen[1][name])


def test_transformers_alone_gives_the_same_scores(full):
    """With what stands in the directory, pictures scaled as in training, and nothing of KDSL's."""
    page = full / "images/large.png"
    Image.open(full / "images/shop1-0.png").resize((224, 196)).save(page)
    conversation = tiny_qwen2vl.classify(page, "换")
    with_kdsl = load_model(str(full / TUNED), tiny_qwen2vl.BUDGET).score([conversation], tiny_qwen2vl.LABELS)
    alone = label_scores(full / TUNED, page, ("我要换货。", "标签？"), tiny_qwen2vl.LABELS)
    np.testing.assert_allclose(alone, with_kdsl.log_probabilities[0], atol=1e-4)


def test_a_server_gives_the_same_scores(full):
    conversations = [tiny_qwen2vl.classify(full / f"images/shop1-{index}.png", "退") for index in range(4)]
    with model_server(full / TUNED) as server:
        served = load_model(server.url, tiny_qwen2vl.BUDGET).score(conversations, tiny_qwen2vl.LABELS)
    own = load_model(str(full / TUNED), tiny_qwen2vl.BUDGET).score(conversations, tiny_qwen2vl.LABELS)
    np.testing.assert_allclose(served.log_probabilities, own.log_probabilities, atol=1e-4)
    assert not served.estimated


def test_the_prediction_service_answers_with_it(full, project):
    pytest.importorskip("fastapi", reason="needs the extra serve")
    from fastapi.testclient import TestClient

    from kdsl.serve.app import create_app
    from kdsl.serve.live import LiveProject
    from kdsl.serve.media import Uploads
    from kdsl.serve.service import Service

    sample = read(project / "test.jsonl")[0]
    data = base64.b64encode((project / "images" / sample["images"][0]).read_bytes()).decode()
    picture = {"data": data}
    asked = {"id": "a", "task": "shop", "turns": [{"role": "user", "text": "我要退货。", "images": [picture]}]}
    (project / "uploads").mkdir()
    service = Service(LiveProject(Project.open(project, FULL)), Uploads(project / "uploads"))
    with TestClient(create_app(service, None), base_url="http://127.0.0.1") as client:
        answer = client.post("/v1/predict", json={"samples": [asked]})
    assert answer.status_code == 200, answer.text
    assert answer.json()["predictions"][0]["model"]["label"] == sample["label"]


def test_it_is_exported_as_it_is(full, tmp_path):
    """With the pixel budget, and all that others need; the weights are those of the checkpoint."""
    output = Project.open(full, FULL).export_model(tmp_path / "out")
    for name in ("model.safetensors", "config.json", "tokenizer.json", "card.json"):
        assert (output / name).read_bytes() == (full / TUNED / name).read_bytes()
    assert "all weights trained" in (output / "README.md").read_text("utf-8")
