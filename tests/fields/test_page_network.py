"""The network that looks at pages: its activations by image, kept by content, and nothing where it is not there."""

import logging

import numpy as np
import pytest
from PIL import Image

from kdsl.fields import page_network as module
from kdsl.fields import pictures as pictures_module
from kdsl.fields.page_network import NETWORK_SIZE, page_network
from kdsl.fields.pictures import Pictures
from kdsl.fields.sidecar import Sidecars
from kdsl.fields.table import FieldTable
from kdsl.sample import Sample
from kdsl.vector_cache import VectorCache


class CountingNetwork:
    """Sees the size of an image, and counts how often it is asked."""

    identity = "counting"

    def __init__(self):
        self.asked = 0

    def vector(self, image):
        self.asked += 1
        return np.full(NETWORK_SIZE, image.width, dtype=np.float16)


@pytest.fixture
def network(monkeypatch):
    network = CountingNetwork()
    monkeypatch.setattr(pictures_module, "page_network", lambda: network)
    return network


def draw(path, width, colour="white"):
    Image.new("RGB", (width, 20), colour).save(path)


def table(pictures, *images):
    samples = [Sample(f"s{i}", "t", images=(image,) if image else ()) for i, image in enumerate(images)]
    return FieldTable(samples, Sidecars(pictures=pictures))


def test_activations_are_a_view_of_a_table(tmp_path, network):
    draw(tmp_path / "a.png", 10)
    draw(tmp_path / "b.png", 30)
    (tmp_path / "broken.png").write_text("no image")
    rows = table(Pictures(tmp_path), "a.png", None, "broken.png", "b.png", "a.png").pictures("network")
    assert rows.shape == (5, NETWORK_SIZE)
    assert rows.dtype == np.float32
    assert rows[[0, 3, 4], 0].tolist() == [10, 30, 10]
    assert np.isnan(rows[[1, 2]]).all()


def test_an_image_is_asked_about_once_also_by_a_later_process_and_again_when_it_changed(tmp_path, network):
    draw(tmp_path / "a.png", 10)
    for _ in range(2):
        pictures = Pictures(tmp_path, VectorCache(tmp_path / "vectors.sqlite"))
        for _ in range(2):
            [vector] = pictures.activations(["a.png"])
            assert vector[0] == 10
    assert network.asked == 1
    draw(tmp_path / "a.png", 1000)
    [vector] = pictures.activations(["a.png"])
    assert (vector[0], network.asked) == (1000, 2)


def test_a_copy_has_the_activations_of_its_original(tmp_path, network):
    draw(tmp_path / "a.png", 10)
    [vector] = Pictures(tmp_path).renamed({"a.png+1": "a.png"}).activations(["a.png+1"])
    assert vector[0] == 10


def test_without_a_network_there_is_nothing(tmp_path, monkeypatch):
    draw(tmp_path / "a.png", 10)
    monkeypatch.setattr(pictures_module, "page_network", lambda: None)
    assert np.isnan(table(Pictures(tmp_path), "a.png").pictures("network")).all()
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    page_network.cache_clear()
    assert page_network() is None
    page_network.cache_clear()


def test_another_network_is_told_and_not_used(tmp_path, monkeypatch, caplog):
    pytest.importorskip("onnxruntime")
    (tmp_path / "models").mkdir()
    (tmp_path / module._FILE).write_bytes(b"another network")
    monkeypatch.setattr(module, "find_spec", lambda name: type("Spec", (), {"origin": str(tmp_path / "__init__.py")}))
    page_network.cache_clear()
    with caplog.at_level(logging.WARNING):
        assert page_network() is None
    page_network.cache_clear()
    assert "is another network than the known one and is not used" in caplog.text


def test_the_network_of_rapidocr_tells_a_page_from_an_empty_one():
    pytest.importorskip("rapidocr")
    network = page_network()
    assert network is not None
    page = Image.new("RGB", (224, 480), "white")
    empty = network.vector(page)
    for y in range(20, 460, 20):
        page.paste("black", (20, y, 200, y + 8))
    lines = network.vector(page)
    assert empty.shape == (NETWORK_SIZE,)
    assert np.isfinite(empty).all()
    assert np.array_equal(network.vector(page), lines)
    assert np.linalg.norm(lines.astype(float) - empty) > 0.1 * np.linalg.norm(empty.astype(float))
    red, blue = (network.vector(Image.new("RGB", (50, 50), colour)) for colour in ("red", "blue"))
    assert not np.allclose(red, blue), "colours are not mixed up"
