"""Sentence vectors and views of pictures as features of samples."""

from pathlib import Path

import numpy as np
import pytest
from concept_encoder import concept_vectors
from PIL import Image

from kdsl.errors import KdslError
from kdsl.fields.dense import MEANING_WEIGHTS, SIGHT_WEIGHT, fit_dense
from kdsl.fields.features import features_of_record, fit_features
from kdsl.fields.pictures import Pictures
from kdsl.fields.sidecar import Sidecars
from kdsl.fields.table import FieldTable
from kdsl.sample import Sample, Turn


def asked(*texts: str, vectors: str | None = "concepts") -> FieldTable:
    samples = [Sample(str(i), "t", (Turn("user", text),)) for i, text in enumerate(texts)]
    return FieldTable(samples, Sidecars(vectors=None if vectors is None else concept_vectors(vectors)))


def pictured(folder: Path, *colours: str) -> FieldTable:
    """One sample a colour, of a picture in that colour; without one where it is empty."""
    samples = []
    for i, colour in enumerate(colours):
        if colour:
            Image.new("RGB", (60, 120), colour).save(folder / f"{i}.png")
        samples.append(Sample(str(i), "t", (), (f"{i}.png",) if colour else ()))
    return FieldTable(samples, Sidecars(pictures=Pictures(folder)))


def test_each_text_field_has_vectors_of_the_length_of_its_weight():
    turns = (Turn("user", "快递呢"), Turn("agent", "在路上"), Turn("user", "我要退钱"), Turn("agent", "谢谢"))
    table = FieldTable([Sample("a", "t", turns)], Sidecars(vectors=concept_vectors()))
    lengths = {block.view: float(np.linalg.norm(matrix)) for block, matrix in fit_dense(table)}
    expected = {f"meaning.{field}": MEANING_WEIGHTS[field] for field in ("last_user", "user", "last_agent")}
    assert lengths == pytest.approx(expected, rel=1e-3)


def test_on_bare_texts_a_meaning_counts_once():
    assert [block.view for block, _ in fit_dense(asked("退款", "灯"))] == ["meaning.last_user"]


def test_without_an_encoder_there_are_no_meanings():
    assert fit_dense(asked("退款", "灯", vectors=None)) == []


def test_an_empty_text_is_a_row_of_zeros():
    [(_, matrix)] = fit_dense(asked("退款", ""))
    assert matrix[0].any() and not matrix[1].any()


def test_views_of_pictures_are_centred_and_of_one_mean_length(tmp_path: Path):
    for block, matrix in fit_dense(pictured(tmp_path, "red", "blue", "white", "black")):
        assert matrix.mean(axis=0) == pytest.approx(0, abs=1e-6)
        assert (matrix**2).sum(axis=1).mean() == pytest.approx(SIGHT_WEIGHT**2, rel=1e-3), block.view


def test_a_sample_without_a_picture_counts_as_the_mean_of_the_others(tmp_path: Path):
    for _, matrix in fit_dense(pictured(tmp_path, "red", "", "blue")):
        assert not matrix[1].any() and matrix[0].any()


def test_pictures_that_all_look_alike_tell_nothing(tmp_path: Path):
    assert fit_dense(pictured(tmp_path, "red", "red")) == []


def test_other_samples_get_the_mean_and_scale_of_training(tmp_path: Path):
    learned = pictured(tmp_path, "red", "blue", "white")
    for block, matrix in fit_dense(learned):
        np.testing.assert_array_equal(block.matrix(learned.select([2])), matrix[2:])


def test_features_are_the_same_once_saved(tmp_path: Path):
    table = asked("退款", "退钱", "灯亮")
    features, _ = fit_features(table)
    again = features_of_record(features.record(), features.arrays())
    assert (again.matrix(table) != features.matrix(table)).nnz == 0
    assert again.weighted({"meaning.last_user": 2.0}).dense[0].weight == 2 * features.dense[0].weight


def test_texts_stand_in_every_field_but_not_in_pictures(tmp_path: Path):
    red = Image.new("RGB", (60, 120), "red")
    red.save(tmp_path / "a.png")
    Image.new("RGB", (60, 120), "blue").save(tmp_path / "b.png")
    samples = [Sample(name, "t", (Turn("user", "退款"),), (f"{name}.png",)) for name in ("a", "b")]
    table = FieldTable(samples, Sidecars(vectors=concept_vectors(), pictures=Pictures(tmp_path)))
    features, parts = fit_features(table)
    texts = dict(features.parts_of_texts(table, ["退款"]))
    np.testing.assert_allclose(texts["meaning.last_user"][0], dict(parts)["meaning.last_user"][0])
    assert not any(matrix.any() for view, matrix in texts.items() if view.startswith("sight."))


@pytest.mark.parametrize(("given", "words"), [(None, "none"), ("others", "others")])
def test_another_encoder_than_in_training_is_told(given: str | None, words: str):
    features, _ = fit_features(asked("退款", "灯"))
    with pytest.raises(KdslError, match=f"^encoder: was concepts in training and is {words} now; set it back, or"):
        features.matrix(asked("退款", vectors=given))


@pytest.mark.parametrize(
    "change",
    [
        {"view": "meaning.agent"},
        {"view": "sight.smell"},
        {"weight": 0.0},
        {"weight": float("nan")},
        {"scale": 0.0},
        {"maker": None},
        {"view": "sight.grey", "maker": None},
        {"view": "sight.grey"},
    ],
)
def test_records_that_cannot_be_are_refused(change: dict):
    features, _ = fit_features(asked("退款", "灯"))
    record = features.record()
    record["dense"] = [{**record["dense"][0], **change}]
    with pytest.raises((ValueError, KeyError)):
        features_of_record(record, features.arrays())


def test_a_network_sees_pictures_where_it_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("rapidocr")
    table = pictured(tmp_path, "red", "blue", "white")
    [(block, matrix)] = [each for each in fit_dense(table) if each[0].view == "sight.network"]
    assert matrix.any() and not block.lacks
    monkeypatch.setattr("kdsl.fields.dense.page_network", lambda: None)
    assert block.lacks and not block.matrix(table).any()
