"""Weights in memory: loaded once, and again only where they were trained again."""

import pytest

from kdsl.models.large import weights as module
from kdsl.models.large.weights import LargeWeights
from kdsl.vlm.pixels import PixelBudget

pytest.importorskip("transformers", reason="needs kdsl[vlm]")


@pytest.fixture
def loads(monkeypatch) -> list[str]:
    """What is loaded, in its order; every model is an object of its own."""
    names = []
    monkeypatch.setattr(module, "load_model", lambda name, *rest, **named: (names.append(name), object())[1])
    return names


def test_a_model_that_was_fine_tuned_again_is_loaded_again_and_its_base_is_not(tmp_path, loads):
    weights = LargeWeights("base", tmp_path, PixelBudget(784, 3136), 512)
    file = tmp_path / "large/joint/model.safetensors"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"first")
    base, first = weights.open(None), weights.open("joint")
    assert weights.open("joint") is first and weights.open(None) is base
    file.write_bytes(b"again")
    again = weights.open("joint")
    assert again is not first and weights.open("joint") is again
    assert weights.open(None) is base
    assert loads == ["base", str(file.parent), str(file.parent)]
    assert first not in weights._loaded.values(), "its memory is free once nobody predicts with it"


def test_what_was_fine_tuned_beside_it_stays_though_its_name_begins_alike(tmp_path, loads):
    weights = LargeWeights("base", tmp_path, PixelBudget(784, 3136), 512)
    for name in ("shop", "shop2"):
        (tmp_path / "large" / name).mkdir(parents=True)
        (tmp_path / "large" / name / "model.safetensors").write_bytes(name.encode())
    longer = weights.open("shop2")
    weights.open("shop")
    assert weights.open("shop2") is longer
    assert len(loads) == 2
