"""The embedded classifier: what it learns from, what it survives, and that a saved one is the same one."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from concept_encoder import concept_vectors
from PIL import Image

import kdsl.models.linear as linear
from kdsl.audio.transcript import Transcript
from kdsl.errors import KdslError
from kdsl.fields.pictures import Pictures
from kdsl.fields.sidecar import OcrLine, OcrPage, Sidecars
from kdsl.fields.table import FieldTable, SampleFields
from kdsl.models.linear import LinearClassifier, LinearTrainer
from kdsl.sample import Label, Sample, Task, Turn

LAMPS = ["这个灯能调光吗", "亮度可以调吗", "灯光太亮了能调暗吗", "能不能调亮度", "调光怎么弄", "亮度能调节吗"]
FABRICS = ["这是什么材质", "面料是纯棉的吗", "材质是什么做的", "是棉的还是麻的", "什么面料呀", "面料材质怎么样"]
TEXTS = LAMPS + FABRICS
LABELS = np.array([0] * len(LAMPS) + [1] * len(FABRICS))


def texts_table(texts: Sequence[str]) -> FieldTable:
    return FieldTable([Sample(str(i), "t", (Turn("user", text),)) for i, text in enumerate(texts)], Sidecars())


def pages_table(pages: Sequence[Sequence[tuple[str, int]]]) -> FieldTable:
    """Screenshots 100 pixels high, each a list of (text, y of its middle)."""
    samples, ocr = [], {}
    for i, lines in enumerate(pages):
        image = f"{i}.jpg"
        samples.append(Sample(str(i), "t", (), (image,)))
        ocr[image] = OcrPage(image, (50, 100), tuple(OcrLine(text, 1.0, (0, y - 2, 50, y + 2)) for text, y in lines))
    return FieldTable(samples, Sidecars(ocr=ocr))


def fit(table: FieldTable, labels: Sequence[int] | np.ndarray, n_labels: int) -> LinearClassifier:
    return LinearTrainer(seed=0).fit(table, np.array(labels, dtype=np.int64), n_labels)


def assert_probabilities(probabilities: np.ndarray, shape: tuple[int, int]) -> None:
    assert probabilities.shape == shape
    assert (probabilities > 0).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)


def test_learns_what_a_question_is_about():
    unseen = texts_table(["台灯的亮度能调吗", "裤子是什么面料"])
    probabilities = fit(texts_table(TEXTS), LABELS, 2).predict(unseen).probabilities
    assert_probabilities(probabilities, (2, 2))
    assert probabilities.argmax(axis=1).tolist() == [0, 1]


def test_sees_where_on_a_page_a_text_stands():
    top, bottom = [("立即购买", 5), ("详情说明", 95)], [("详情说明", 5), ("立即购买", 95)]
    classifier = fit(pages_table([top, bottom] * 4), [0, 1] * 4, 2)
    assert classifier.predict(pages_table([bottom, top])).probabilities.argmax(axis=1).tolist() == [1, 0]


def test_sees_the_shape_of_an_image():
    ocr = {f"{i}.jpg": OcrPage(f"{i}.jpg", (100, 100 + 300 * (i % 2)), ()) for i in range(12)}
    table = FieldTable([Sample(str(i), "t", (), (f"{i}.jpg",)) for i in range(12)], Sidecars(ocr=ocr))
    probabilities = fit(table, [0, 1] * 6, 2).predict(table).probabilities
    assert probabilities.argmax(axis=1).tolist() == [0, 1] * 6


def test_neither_id_nor_file_name_is_looked_at():
    classifier = fit(texts_table(TEXTS), LABELS, 2)
    twins = [Sample(name, "t", (Turn("user", "亮度"),), (f"{name}.jpg",)) for name in ("a", "b")]
    first, second = classifier.predict(FieldTable(twins, Sidecars())).probabilities
    assert first.tolist() == second.tolist()


def test_the_same_samples_give_the_same_classifier():
    table = texts_table(TEXTS)
    first, second = fit(table, LABELS, 2), fit(table, LABELS, 2)
    assert (first.predict(table).probabilities == second.predict(table).probabilities).all()


@pytest.mark.parametrize("n_labels", [2, 3])
def test_solving_in_the_span_of_the_samples_is_the_direct_solution(n_labels: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(linear, "TOLERANCE", 1e-8)
    table, labels = texts_table(TEXTS), np.arange(len(TEXTS)) % n_labels
    in_span = fit(table, labels, n_labels).predict(table).probabilities
    monkeypatch.setattr(linear, "MANY_SAMPLES", 0)
    direct = fit(table, labels, n_labels).predict(table).probabilities
    np.testing.assert_allclose(in_span, direct, atol=1e-4)


def test_samples_that_are_all_the_same_have_the_probability_of_their_labels():
    probabilities = fit(texts_table(["在吗"] * 4), [0, 0, 0, 1], 2).predict(texts_table(["在吗"])).probabilities
    np.testing.assert_allclose(probabilities, [[0.75, 0.25]], atol=0.01)


@pytest.mark.parametrize("texts", [["", "", ""], ["\u200b", "  ", ""]])
def test_samples_without_text_or_difference_get_the_share_of_each_label(texts: list[str]):
    probabilities = fit(texts_table(texts), [0, 1, 1], 2).predict(texts_table(["亮度"])).probabilities
    np.testing.assert_allclose(probabilities, [[1 / 3, 2 / 3]], rtol=1e-6)


def test_one_label_alone_is_predicted_for_everything():
    probabilities = fit(texts_table(LAMPS), [2] * len(LAMPS), 4).predict(texts_table(["面料", ""])).probabilities
    assert_probabilities(probabilities, (2, 4))
    assert (probabilities[:, 2] > 0.9999).all()


def test_a_label_with_one_sample_is_learnt_and_one_without_stays_possible():
    labels = [*LABELS, 2]
    probabilities = (
        fit(texts_table([*TEXTS, "什么时候上市"]), labels, 4).predict(texts_table(["什么时候上市"])).probabilities
    )
    assert_probabilities(probabilities, (1, 4))
    assert probabilities.argmax() == 2
    assert probabilities[0, 3] < 1e-5


def test_samples_that_share_no_character_are_learnt_from():
    probabilities = fit(texts_table(["亮度", "面料"]), [0, 1], 2).predict(texts_table(["面料"])).probabilities
    assert probabilities.argmax() == 1


def test_lone_surrogates_and_very_long_texts_are_texts_too(tmp_path: Path):
    table = texts_table([*TEXTS, "\ud83d亮度\udc00", "材质" * 50_000])
    classifier = fit(table, [*LABELS, 0, 1], 2)
    assert_probabilities(classifier.predict(table).probabilities, (len(table), 2))
    classifier.save(tmp_path)
    assert (
        LinearClassifier.load(tmp_path).predict(table).probabilities == classifier.predict(table).probabilities
    ).all()


def test_no_samples_to_predict_give_no_rows():
    assert fit(texts_table(TEXTS), LABELS, 2).predict(texts_table([])).probabilities.shape == (0, 2)


def test_no_samples_to_learn_from_is_an_error():
    with pytest.raises(KdslError, match="no labelled samples to learn from"):
        fit(texts_table([]), [], 2)


def test_a_saved_classifier_is_the_same_one(tmp_path: Path):
    pages = [[("立即购买", 5), ("合计", 95)], [("退款", 5)], [("立即购买", 50)], [("退款成功", 90), ("合计", 50)]]
    table = pages_table(pages)
    classifier = fit(table, [0, 1, 0, 3], 4)
    classifier.save(tmp_path / "new" / "folder")
    loaded = LinearClassifier.load(tmp_path / "new" / "folder")
    assert (loaded.predict(table).probabilities == classifier.predict(table).probabilities).all()


def test_saving_twice_writes_the_same_weights_and_leaves_one_file(tmp_path: Path):
    classifier = fit(texts_table(TEXTS), LABELS, 2)
    classifier.save(tmp_path)
    LinearClassifier.load(tmp_path).save(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["linear.npz"]
    assert (LinearClassifier.load(tmp_path).weights == classifier.weights).all()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(KdslError, match=r"linear\.npz: cannot be written"):
        fit(texts_table(TEXTS), LABELS, 2).save(tmp_path / "file")


def test_a_missing_classifier_says_how_to_make_one(tmp_path: Path):
    with pytest.raises(KdslError, match=r"linear\.npz: no such file; call project\.train\(\) again"):
        LinearClassifier.load(tmp_path)


@pytest.mark.parametrize("kept", [0, 10, 0.5, 0.98])
def test_a_torn_file_is_named(tmp_path: Path, kept: float):
    fit(texts_table(TEXTS), LABELS, 2).save(tmp_path)
    content = (tmp_path / "linear.npz").read_bytes()
    (tmp_path / "linear.npz").write_bytes(content[: int(kept * len(content)) if kept < 1 else int(kept)])
    with pytest.raises(
        KdslError, match=r"linear\.npz: damaged or not the linear classifier .*call project\.train\(\) again"
    ):
        LinearClassifier.load(tmp_path)


def rewrite(folder: Path, change: dict[str, object], **arrays: np.ndarray) -> None:
    """Save a small classifier with some of its header and arrays replaced."""
    fit(texts_table(TEXTS), LABELS, 2).save(folder)
    with np.load(folder / "linear.npz") as content:
        parts = dict(content)
    header = json.loads(parts["header"].tobytes()) | change
    parts["header"] = np.frombuffer(json.dumps(header).encode(), dtype=np.uint8)
    np.savez(folder / "linear.npz", **(parts | arrays))


def test_another_version_is_named(tmp_path: Path):
    rewrite(tmp_path, {"version": 99})
    with pytest.raises(KdslError, match=r"version 99 of the linear classifier.*call project\.train\(\) again"):
        LinearClassifier.load(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"n_labels": 1},
        {"blocks": []},
        {"blocks": 3},
        {"blocks": [{"field": "sound", "weight": 1, "ngrams": ["a"]}]},
        {"thresholds": {"loudness": [1.0]}},
    ],
)
def test_a_file_whose_parts_do_not_fit_is_damaged(tmp_path: Path, change: dict[str, object]):
    rewrite(tmp_path, change)
    with pytest.raises(KdslError, match="damaged or not the linear classifier"):
        LinearClassifier.load(tmp_path)


def test_a_pickle_is_never_opened(tmp_path: Path):
    rewrite(tmp_path, {}, weights=np.array([{"a": 1}], dtype=object))
    with pytest.raises(KdslError, match="damaged or not the linear classifier"):
        LinearClassifier.load(tmp_path)


def test_copies_of_a_sample_are_no_further_samples_to_count_ngrams_in():
    """An n-gram counts once two samples share it, however often a sample's own copies repeat it."""
    table = texts_table(TEXTS)
    copies = [
        SampleFields(replace(row.sample, id=f"copy{i}", copy_of=row.sample.id), row.sidecars)
        for i, row in enumerate(table.rows)
    ]
    plain = fit(table, LABELS, 2)
    augmented = fit(FieldTable.of_rows([*table.rows, *copies]), np.concatenate([LABELS, LABELS]), 2)
    assert augmented.features.record()["blocks"] == plain.features.record()["blocks"]


DESCRIBED = Task(
    "t", (Label("调光", "咨询亮度能否调节"), Label("材质", "咨询面料"), Label("发货", "咨询何时发出快递"))
)


def test_label_texts_are_learned_as_samples_of_their_labels():
    table = texts_table(TEXTS)
    plain = LinearTrainer(0).fit(table, LABELS, 3)
    described = LinearTrainer(0, DESCRIBED).fit(table, LABELS, 3)
    unseen = texts_table(["何时发出"])
    assert plain.predict(unseen).probabilities.argmax() != 2
    assert described.predict(unseen).probabilities.argmax() == 2


def test_a_label_text_counts_half_a_sample():
    table, labels = texts_table(["亮"] * 6), np.array([0, 0, 0, 1, 1, 1])
    # Texts that share nothing with the samples leave only the counts: 3 + ½ against 3 + ½, and ½ for the third label.
    unlike = Task("t", (Label("q"), Label("w"), Label("z")))
    probabilities = LinearTrainer(0, unlike).fit(table, labels, 3).predict(texts_table(["亮"])).probabilities[0]
    assert probabilities[0] == pytest.approx(probabilities[1], abs=0.01)
    assert probabilities[2] < 0.1


def test_words_that_share_no_character_are_near_in_meaning():
    def table(*texts: str) -> FieldTable:
        samples = [Sample(str(i), "t", (Turn("user", text),)) for i, text in enumerate(texts)]
        return FieldTable(samples, Sidecars(vectors=concept_vectors()))

    learned = table("退钱", "要退钱", "parcel", "a parcel")
    classifier = LinearTrainer(0).fit(learned, np.array([0, 0, 1, 1]), 2)
    assert classifier.predict(table("refund", "物流")).probabilities.argmax(axis=1).tolist() == [0, 1]


def test_how_much_it_leans_on_each_kind_of_view_is_saved(tmp_path: Path):
    classifier = fit(texts_table(TEXTS), LABELS, 2)
    classifier.save(tmp_path)
    assert LinearClassifier.load(tmp_path).leaning == classifier.leaning == {"characters": 1.0}


def test_the_network_that_images_were_seen_through_is_missed(tmp_path: Path, monkeypatch, caplog):
    pytest.importorskip("rapidocr")
    for name in ("red", "blue", "white", "green"):
        Image.new("RGB", (60, 120), name).save(tmp_path / f"{name}.png")
    samples = [Sample(name, "t", (), (f"{name}.png",)) for name in ("red", "blue", "white", "green")]
    table = FieldTable(samples, Sidecars(pictures=Pictures(tmp_path)))
    classifier = LinearTrainer(0).fit(table, np.array([0, 1, 0, 1]), 2)
    classifier.save(tmp_path)
    assert (
        LinearClassifier.load(tmp_path).predict(table).probabilities == classifier.predict(table).probabilities
    ).all()
    assert caplog.messages == []
    monkeypatch.setattr("kdsl.fields.dense.page_network", lambda: None)
    LinearClassifier.load(tmp_path)
    [told] = caplog.messages
    assert "linear.npz: in training images were seen through the text detector of RapidOCR too" in told


def test_what_is_said_aloud_counts_as_what_is_typed():
    """On training samples and on those that are predicted."""
    spoken = [Sample(str(i), "t", audio=(f"{i}.wav",)) for i in range(len(TEXTS))]
    transcripts = {f"{i}.wav": Transcript(f"{i}.wav", 2.0, text) for i, text in enumerate(TEXTS)}
    aloud = FieldTable(spoken, Sidecars(transcripts=transcripts))
    typed = texts_table(TEXTS)
    expected = fit(typed, LABELS, 2).predict(typed).probabilities
    # How many turns there are is told from how many samples have: of the spoken ones none has any.
    np.testing.assert_allclose(fit(aloud, LABELS, 2).predict(aloud).probabilities, expected)
    np.testing.assert_allclose(fit(typed, LABELS, 2).predict(aloud).probabilities, expected)
