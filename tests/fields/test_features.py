"""Samples as vectors: scores of a few samples are those that their matrix gives."""

import numpy as np
import pytest
from concept_encoder import concept_vectors
from hypothesis import given
from hypothesis import strategies as st

from kdsl.fields.features import Features, fit_features
from kdsl.fields.sidecar import OcrLine, OcrPage, Sidecars
from kdsl.fields.table import FieldTable
from kdsl.sample import Sample, Turn

SIDECARS = Sidecars(
    ocr={"a.png": OcrPage("a.png", (10, 30), (OcrLine("退款成功", 0.9, (0, 0, 9, 9)),))}, vectors=concept_vectors()
)


def table(*dialogues: tuple[str, ...], images: int = 1) -> FieldTable:
    samples = [
        Sample(
            f"s{number}",
            "shop",
            tuple(Turn("agent" if k % 2 else "user", text) for k, text in enumerate(texts)),
            ("a.png",) * (number % (images + 1)),
        )
        for number, texts in enumerate(dialogues)
    ]
    return FieldTable(samples, SIDECARS)


LEARNED = table(("我要退款", "好的", "谢谢"), ("快递呢",), ("退款吗", "可以"), ("灯不亮", "请稍等", "快递慢"))


@pytest.fixture(scope="module")
def features() -> Features:
    return fit_features(LEARNED)[0]


dialogues = st.lists(st.lists(st.text("退款快递灯谢 \n𝄞a", max_size=8), max_size=4).map(tuple), max_size=6)


@given(dialogues)
def test_scores_are_the_matrix_times_the_weights(features, said):
    weights = np.random.default_rng(0).normal(size=(features.size, 3))
    asked = table(*said)
    np.testing.assert_allclose(features.scores(asked, weights), features.matrix(asked) @ weights, atol=1e-12)


def test_every_kind_of_feature_is_in_the_scores(features):
    """Else the comparison above would say little."""
    assert features.blocks and features.dense
    assert {"image.count", "turns"} <= features.thresholds.keys()


def test_the_texts_that_are_encoded_are_those_of_the_meanings(features):
    encoder = SIDECARS.vectors.encoder
    asked = table(("新的问题甲", "新的回答乙", "新的问题丙"))
    texts = features.encoded(asked)
    SIDECARS.vectors.of(texts)
    before = list(encoder.encoded)
    features.scores(asked, np.zeros((features.size, 2)))
    assert encoder.encoded == before
    assert {"新的问题丙", "新的问题甲\n新的问题丙"} <= {*texts}
