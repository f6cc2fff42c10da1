"""Weights in memory: loaded once, and again only where they were trained again."""

import json
from threading import Event

import pytest
import tiny_qwen2vl

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


@pytest.mark.parametrize(
    ("config", "sees", "hears"),
    [
        ({"model_type": "qwen2_vl"}, True, False),
        ({"model_type": "qwen2_audio"}, False, True),
        ({"model_type": "qwen2_5_omni"}, True, True),
        ({"model_type": "qwen2_5_omni_thinker"}, True, True),
    ],
)
def test_what_a_model_takes_is_known_by_its_configuration_and_of_an_adapter_by_its_base(
    config, sees, hears, tmp_path, loads
):
    (tmp_path / "model").mkdir()
    (tmp_path / "model/config.json").write_text(json.dumps(config))
    (tmp_path / "adapter").mkdir()
    adapter = {"base_model_name_or_path": str(tmp_path / "model")}
    (tmp_path / "adapter/adapter_config.json").write_text(json.dumps(adapter))
    for name in ("model", "adapter"):
        weights = LargeWeights(str(tmp_path / name), tmp_path, PixelBudget(784, 3136), 512)
        assert (weights.sees(), weights.hears()) == (sees, hears)
    assert loads == []


def test_a_server_is_asked_once_whether_it_hears(tmp_path, monkeypatch):
    asked = []

    class Server:
        def hears(self):
            asked.append(True)
            return True

    monkeypatch.setattr(module, "load_model", lambda *rest, **named: Server())
    weights = LargeWeights("http://localhost:1/v1", tmp_path, PixelBudget(784, 3136), 512)
    assert weights.sees() and asked == []
    assert weights.hears() and weights.hears()
    weights.release()
    assert weights.hears() and len(asked) == 1


@pytest.mark.parametrize("keeping", [True, False])
def test_pictures_are_prepared_for_what_is_loaded_until_they_are_waited_for(tmp_path, keeping):
    pages = [tiny_qwen2vl.draw_page(tmp_path / f"{i}.png", "红", False, i) for i in range(3)]
    folder, run = tiny_qwen2vl.build(tmp_path / "model"), tmp_path / "run"
    weights = LargeWeights(str(folder), run, PixelBudget(784, 3136), 512, keeping=keeping)
    weights.keep_pictures(pages, Event())
    assert not run.exists()  # nothing is loaded that would tell how
    weights.open(None)
    come = Event()

    def asked():
        yield from pages[:2]
        come.set()
        yield pages[2]

    weights.keep_pictures(asked(), come)
    assert len(list(run.glob("pictures/*.patches"))) == 2 * keeping
