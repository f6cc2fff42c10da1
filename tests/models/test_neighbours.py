"""large: neighbours, and the second ensemble that advise large: linear."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from kdsl.config import ProjectConfig
from kdsl.errors import KdslError
from kdsl.fields import features
from kdsl.fields.features import FitOnce, fit_features
from kdsl.fields.sidecar import OcrLine, OcrPage, Sidecars
from kdsl.fields.table import FieldTable
from kdsl.models.classifier import Predicted
from kdsl.models.described import DescribedClassifier, DescribedTrainer
from kdsl.models.embedded import Embedded, EmbeddedClassifier, EmbeddedTrainer
from kdsl.models.ensemble import fit_ensemble
from kdsl.models.explanation import Explanation
from kdsl.models.linear import LinearTrainer
from kdsl.models.neighbours import NUMBERS, NeighboursClassifier, NeighboursTrainer, VoteOnEachOther
from kdsl.retrieval.sample_index import SampleIndex
from kdsl.sample import Label, Sample, Task, Turn

LAMPS = ["这个灯能调光吗", "亮度可以调吗", "灯光太亮了能调暗吗", "能不能调亮度", "调光怎么弄", "亮度能调节吗"]
FABRICS = ["这是什么材质", "面料是纯棉的吗", "材质是什么做的", "是棉的还是麻的", "什么面料呀", "面料材质怎么样"]
LABELS = np.array([0] * 6 + [1] * 6)
TASK = Task("t", (Label("能否调光", "咨询亮度是否可调"), Label("商品材质", "咨询面料材质"), Label("气泡", "")))


def table(*texts: str, ids: tuple[str, ...] = (), copies: dict[str, str] | None = None) -> FieldTable:
    """`copies`: id of a copy → id of the sample it is one of."""
    names = ids or tuple(str(i) for i in range(len(texts)))
    rows = [
        Sample(n, "t", (Turn("user", t),), copy_of=(copies or {}).get(n)) for n, t in zip(names, texts, strict=True)
    ]
    return FieldTable(rows, Sidecars())


TRAIN = table(*LAMPS, *FABRICS)
NEW = table("台灯的亮度能调吗", "裤子是什么面料", ids=("x", "y"))


@pytest.mark.parametrize("trainer", [NeighboursTrainer(), DescribedTrainer(TASK)])
def test_each_opinion_learns_what_a_question_is_about(trainer):
    probabilities = trainer.fit(TRAIN, LABELS, 3).predict(NEW).probabilities
    assert probabilities.argmax(axis=1).tolist() == [0, 1]
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert (probabilities > 0).all()


def test_neighbours_know_what_is_far_from_everything():
    probabilities = NeighboursTrainer().fit(TRAIN, LABELS, 3).predict(table("zzz")).probabilities
    np.testing.assert_allclose(probabilities, [[6.5 / 13.5, 6.5 / 13.5, 0.5 / 13.5]])


def test_a_label_is_known_by_its_name_and_description():
    trained = DescribedTrainer(TASK).fit(TRAIN, LABELS, 3)
    assert trained.texts == ("能否调光\n咨询亮度是否可调", "商品材质\n咨询面料材质", "气泡\n")
    rows = table(*LAMPS, *FABRICS, "有气泡", "气泡多")
    with_bubbles = DescribedTrainer(TASK).fit(rows, np.append(LABELS, [2, 2]), 3)
    assert with_bubbles.predict(table("贴膜有气泡怎么办")).probabilities.argmax() == 2


def test_a_copy_has_no_vote_on_its_source():
    """The one sample of label 2 would otherwise name itself."""
    texts = [*LAMPS, *FABRICS, "怎么贴膜", "怎么贴膜呢"]
    ids = (*map(str, range(12)), "s", "copy")
    trained = NeighboursTrainer().fit(table(*texts, ids=ids, copies={"copy": "s"}), np.append(LABELS, [2, 2]), 3)
    assert trained.predict(table("怎么贴膜", ids=("s",))).probabilities[0, 2] < 0.2


def test_what_the_others_say_of_a_sample_does_not_depend_on_its_own_label():
    table = FieldTable(
        [Sample(f"{i}", "t", (Turn("user", text),)) for i, text in enumerate(LAMPS + FABRICS)], Sidecars()
    )
    votes = VoteOnEachOther(SampleIndex.fit(table).nearest_to_each_other(max(NUMBERS)))
    vote, flipped = votes.likeliest(LABELS, 2), LABELS.copy()
    flipped[0] = 1
    before, after = votes.probabilities(vote, LABELS, 2), votes.probabilities(vote, flipped, 2)
    assert after[0] == pytest.approx(before[0])
    assert before[0, 0] > 0.5
    assert (after[1:, 0] < before[1:, 0]).all()


def test_a_new_sample_is_not_the_training_sample_that_is_numbered_alike():
    """Each question has the id of the one sample that answers it."""
    asked = table("这个台灯能不能调光", "裤子是什么面料呀", ids=("0", "10"))
    trained = NeighboursTrainer().fit(TRAIN, LABELS, 3)
    elsewhere = table("这个台灯能不能调光", "裤子是什么面料呀", ids=("x", "y"))
    assert (trained.predict(asked).probabilities == trained.predict(elsewhere).probabilities).all()
    assert [trained.near(row)[0].id for row in asked.rows] == ["0", "10"]


def test_ids_that_people_chose_mean_nothing():
    """Ids such as `a+1` and `a+2` made all samples of a label copies of one once, and the model learned nothing."""
    ids = tuple(f"{'灯' if i < 6 else '布'}+{i}" for i in range(12))
    for trainer in (NeighboursTrainer(), EmbeddedTrainer(TASK, Embedded(("linear", "neighbours")))):
        named, plain = (trainer.fit(table(*LAMPS, *FABRICS, ids=i), LABELS, 3) for i in (ids, ()))
        assert (named.predict(NEW).probabilities == plain.predict(NEW).probabilities).all()


def test_one_sample_is_enough():
    several = EmbeddedTrainer(TASK, Embedded(("linear", "described")))
    for trainer in (NeighboursTrainer(), DescribedTrainer(TASK), several):
        assert (
            trainer.fit(table("亮度"), np.array([0]), 3).predict(table("亮度", ids=("x",))).probabilities.argmax() == 0
        )


@pytest.mark.parametrize("trainer", [NeighboursTrainer(), DescribedTrainer(TASK), EmbeddedTrainer(TASK)])
def test_no_samples_to_learn_from_is_an_error(trainer):
    with pytest.raises(KdslError, match="no labelled samples"):
        trainer.fit(table(), np.array([], dtype=np.int64), 3)


CLASSES = {
    "neighbours": (NeighboursTrainer(), NeighboursClassifier, "nearest neighbours"),
    "described": (DescribedTrainer(TASK), DescribedClassifier, "labels' descriptions"),
}


@pytest.mark.parametrize("name", CLASSES)
def test_a_saved_opinion_is_the_same_one(name, tmp_path: Path):
    trainer, kind, _ = CLASSES[name]
    trained = trainer.fit(TRAIN, LABELS, 3)
    trained.save(tmp_path / "new")
    assert [path.name for path in (tmp_path / "new").iterdir()] == [f"{name}.npz"]
    assert (kind.load(tmp_path / "new").predict(NEW).probabilities == trained.predict(NEW).probabilities).all()


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("kept", [0, 10, 0.5, 0.98])
def test_a_torn_file_is_named(name, kept: float, tmp_path: Path):
    trainer, kind, _ = CLASSES[name]
    trainer.fit(TRAIN, LABELS, 3).save(tmp_path)
    content = (tmp_path / f"{name}.npz").read_bytes()
    (tmp_path / f"{name}.npz").write_bytes(content[: int(kept * len(content)) if kept < 1 else int(kept)])
    with pytest.raises(KdslError, match=rf"{name}\.npz: damaged or not .*call project\.train\(\) again"):
        kind.load(tmp_path)


def rewrite(path: Path, change: dict[str, object], **arrays: np.ndarray) -> None:
    with np.load(path) as content:
        parts = dict(content)
    header = json.loads(parts["header"].tobytes()) | change
    parts["header"] = np.frombuffer(json.dumps(header).encode(), dtype=np.uint8)
    np.savez(path, **(parts | arrays))


@pytest.mark.parametrize("name", CLASSES)
def test_another_version_and_a_missing_file_are_named(name, tmp_path: Path):
    trainer, kind, words = CLASSES[name]
    with pytest.raises(KdslError, match=rf"{name}\.npz: no such file; .*call project\.train\(\) again"):
        kind.load(tmp_path)
    trainer.fit(TRAIN, LABELS, 3).save(tmp_path)
    rewrite(tmp_path / f"{name}.npz", {"version": 9})
    with pytest.raises(KdslError, match=rf"version 9 of the {words}.*call project\.train\(\) again"):
        kind.load(tmp_path)


@pytest.mark.parametrize(
    ("name", "change", "arrays"),
    [
        ("neighbours", {"samples": [["1", "a", "b", [], []]]}, {}),
        ("neighbours", {"samples": [1]}, {}),
        ("neighbours", {"vote": [3]}, {}),
        ("neighbours", {"openings": ["a"]}, {}),
        ("neighbours", {}, {"labels": np.array([7] * 12)}),
        ("neighbours", {}, {"indices": np.array([10**6])}),
        ("described", {"texts": ["a"]}, {}),
        ("described", {}, {"weights": np.zeros(2)}),
    ],
)
def test_a_file_whose_parts_do_not_fit_is_damaged(name, change, arrays, tmp_path: Path):
    trainer, kind, _ = CLASSES[name]
    trainer.fit(TRAIN, LABELS, 3).save(tmp_path)
    rewrite(tmp_path / f"{name}.npz", change, **arrays)
    with pytest.raises(KdslError, match=rf"{name}\.npz: damaged or not"):
        kind.load(tmp_path)


class Sure:
    """Gives every sample the label that its id ends in."""

    def fit(self, table: FieldTable, labels: np.ndarray, n_labels: int) -> "Sure":
        return self

    def predict(self, table: FieldTable) -> Predicted:
        return Predicted(np.array([[0.9, 0.1] if row.sample.id[-1] == "0" else [0.1, 0.9] for row in table.rows]))

    def save(self, folder: Path) -> None:
        raise NotImplementedError


class Memory(Sure):
    """Knows only samples that it was trained on, and their copies by text."""

    def fit(self, table: FieldTable, labels: np.ndarray, n_labels: int) -> "Memory":
        made = Memory()
        made.known = {row.text("user").text: label for row, label in zip(table.rows, labels, strict=True)}
        return made

    def predict(self, table: FieldTable) -> Predicted:
        found = [self.known.get(row.text("user").text, 1) for row in table.rows]
        return Predicted(np.where(np.array(found)[:, None] == np.arange(2), 0.99, 0.01))


def test_an_opinion_that_is_right_on_unseen_samples_is_listened_to():
    ids = tuple(f"{i}{i % 2}" for i in range(12))
    rows = table(*(f"第{i}个" for i in range(12)), ids=ids)
    trained = fit_ensemble({"memory": Memory(), "sure": Sure()}, rows, np.arange(12) % 2, 2, seed=0)
    assert trained.weights[1] > 1 > trained.weights[0]


def test_what_only_knows_the_copies_of_a_sample_gains_no_trust():
    """Copies are in the fold of their source: otherwise `Memory` would look perfect."""
    ids = tuple(name for i in range(8) for name in (f"{i}", f"copy {i}"))
    copies = {f"copy {i}": f"{i}" for i in range(8)}
    texts = tuple(f"第{i}个" for i in range(8) for _ in range(2))
    labels = np.array([i % 2 for i in range(8) for _ in range(2)])
    rows = table(*texts, ids=ids, copies=copies)
    trained = fit_ensemble({"memory": Memory()} | {"sure": Sure()}, rows, labels, 2, seed=0)
    assert trained.weights[0] < 0.5


def test_the_parts_of_an_ensemble_share_the_features_of_the_samples_they_learn_from(monkeypatch):
    """Once for all samples and once for each of five folds, whatever there are parts; nothing else changes."""
    alone = fit_ensemble(
        {"linear": LinearTrainer(0, TASK), "neighbours": NeighboursTrainer(), "described": DescribedTrainer(TASK)},
        TRAIN, LABELS, 3, seed=0,
    )  # fmt: skip
    fitted = []
    monkeypatch.setattr(features, "fit_features", lambda table: fitted.append(len(table)) or fit_features(table))
    shared = EmbeddedTrainer(TASK, Embedded(("linear", "neighbours", "described"))).fit(TRAIN, LABELS, 3)
    assert len(fitted) == 6 and sorted(set(fitted)) == [9, 10, 12]
    assert shared.ensemble.weights == alone.weights
    assert (shared.predict(NEW).probabilities == alone.probabilities(NEW)).all()


def test_samples_as_many_as_those_before_have_features_of_their_own():
    once = FitOnce()
    lamps, _ = once(table(*LAMPS))
    fabrics, _ = once(table(*FABRICS))
    assert fabrics.record() == fit_features(table(*FABRICS))[0].record() != lamps.record()


def config(**values: object) -> ProjectConfig:
    return ProjectConfig.model_validate({"tasks": ["t"], **values})


def test_the_project_says_what_the_classifier_is_made_of():
    assert Embedded.of(config()) == Embedded(("linear",), cleaned=False)
    prompt = {"ocr": True, "neighbours": 3, "knowledge": 2}
    parts = ("linear", "neighbours", "described", "cold_start")
    assert Embedded.of(config(prompt=prompt)) == Embedded(parts, cleaned=True)
    assert Embedded.of(config(large="neighbours", prompt={"neighbours": 3})) == Embedded(("neighbours",))
    advised = Embedded(("neighbours", "described", "cold_start"))
    assert Embedded.of(config(large="neighbours", prompt={"knowledge": 1})) == advised


ALL = Embedded(("linear", "neighbours", "described"), cleaned=True)


def test_a_saved_classifier_is_the_same_one_and_says_what_it_is(tmp_path: Path):
    trained = EmbeddedTrainer(TASK, ALL).fit(TRAIN, LABELS, 3)
    trained.save(tmp_path)
    assert set(tmp_path.iterdir()) == set(ALL.files(tmp_path))
    assert (
        EmbeddedClassifier.load(tmp_path, ALL).predict(NEW).probabilities == trained.predict(NEW).probabilities
    ).all()
    with pytest.raises(
        KdslError,
        match=r"as linear \+ neighbours \+ described on cleaned OCR, but kdsl.yaml now asks for linear; set it back",
    ):
        EmbeddedClassifier.load(tmp_path, Embedded())


def test_a_damaged_record_is_named(tmp_path: Path):
    with pytest.raises(KdslError, match=r"embedded\.json: no such file; call project\.train\(\) first"):
        EmbeddedClassifier.load(tmp_path, Embedded())
    (tmp_path / "embedded.json").write_text('{"version": 2, "weights": {"linear": 1.0}, "cleaned": false}')
    with pytest.raises(KdslError, match=r"embedded\.json: version 2, this KDSL reads version 1"):
        EmbeddedClassifier.load(tmp_path, Embedded())
    (tmp_path / "embedded.json").write_text('{"weights": {"oracle": 1.0}, "cleaned": false}')
    with pytest.raises(KdslError, match=r"embedded\.json: weights\.oracle.*call project\.train\(\) again"):
        EmbeddedClassifier.load(tmp_path, Embedded())


def test_cleaned_pages_are_read_in_training_and_prediction_alike():
    def page(name: str, price: str, word: str) -> tuple[Sample, OcrPage]:
        lines = OcrLine(price, 1.0, (0, 40, 50, 50)), OcrLine(word, 1.0, (0, 60, 50, 70))
        return Sample(name, "t", (), (name,)), OcrPage(name, (100, 100), lines)

    made = [page(f"{i}", f"¥{i}7.0{i}", "支付方式" if i % 2 else "退款成功") for i in range(8)]
    asked = [page("a", "¥1.23", "支付方式"), page("b", "¥999.99", "支付方式")]
    sidecars = Sidecars(ocr={sample.id: page for sample, page in [*made, *asked]})
    train = FieldTable([sample for sample, _ in made], sidecars)
    trained = EmbeddedTrainer(TASK, Embedded(cleaned=True)).fit(train, np.arange(8) % 2, 3)
    first, second = trained.predict(FieldTable([sample for sample, _ in asked], sidecars)).probabilities
    assert first.argmax() == 1
    assert (first == second).all()


def test_the_nearest_samples_are_told_with_their_labels_and_first_words():
    trained = NeighboursTrainer().fit(TRAIN, LABELS, 3)
    near = trained.near(NEW.rows[0])
    assert 1 <= len(near) <= 5
    assert {sample.label for sample in near[:2]} == {0}
    assert near[0].words == TRAIN.rows[int(near[0].id)].sample.turns[0].text
    assert all(1 >= first.similarity >= second.similarity > 0 for first, second in pairwise(near))


def test_neither_a_sample_nor_a_copy_is_told_as_its_own_neighbour():
    texts = [*LAMPS, *FABRICS, "亮度可以调暗吗", "灯的亮度能调吗"]
    ids, copies = (*map(str, range(12)), "a", "b"), {"a": "0", "b": "1"}
    trained = NeighboursTrainer().fit(table(*texts, ids=ids, copies=copies), np.append(LABELS, [0, 0]), 3)
    asked = (LAMPS[0], "亮度能调吗", LAMPS[0] + "呢")
    rows = table(*asked, ids=("0", "copy", "new"), copies={"copy": "0"}).rows
    told = [[sample.id for sample in trained.near(row)] for row in rows]
    assert all("0" not in near for near in told)
    assert all(len(set(near)) == len(near) for near in told)
    assert "1" in told[1]


def test_a_sample_without_words_is_known_by_its_page():
    lines = tuple(OcrLine(f"第{n}行退款成功", 1.0, (0, 90 + 20 * n, 80, 105 + 20 * n)) for n in range(9))
    rows = [Sample(name, "t", (), (name,)) for name in ("a", "b")]
    pages = Sidecars(ocr={"a": OcrPage("a", (600, 1200), lines)})
    trained = NeighboursTrainer().fit(FieldTable(rows, pages), np.array([0, 1]), 2)
    assert trained.openings[0].startswith("第0行退款成功 第1行")
    assert len(trained.openings[0]) == 40
    assert trained.openings[1] == ""


def test_the_nearest_description_is_told_where_descriptions_count():
    trained = DescribedTrainer(TASK).fit(TRAIN, LABELS, 3)
    found = trained.nearest(NEW.rows[0])
    assert found is not None
    assert found.label == 0
    assert 0 < found.likeness <= 1
    assert trained.nearest(table("zzz").rows[0]) is None
    assert replace(trained, weights=np.zeros_like(trained.weights)).nearest(NEW.rows[0]) is None


def test_a_classifier_of_several_opinions_tells_what_each_looked_at():
    everything = EmbeddedTrainer(TASK, ALL).fit(TRAIN, LABELS, 3).explain(NEW.rows[1])
    assert everything.near is not None
    assert everything.near[0].label == everything.described.label == 1
    assert list(everything.weights) == ["linear", "neighbours", "described"]
    assert EmbeddedTrainer(TASK).fit(TRAIN, LABELS, 3).explain(NEW.rows[1]) == Explanation()
    alone = EmbeddedTrainer(TASK, Embedded(("neighbours",))).fit(TRAIN, LABELS, 3)
    assert alone.explain(table("zzz").rows[0]) == Explanation(near=())
