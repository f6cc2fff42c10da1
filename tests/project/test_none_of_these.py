"""A task that names `other`, from fitting to prediction: no sample of what belongs to no label is needed."""

import random
import re
from dataclasses import replace

import numpy as np
import pytest

import kdsl
from kdsl.arbiter.trained import TrainedTask
from kdsl.config_parts import AbstainConfig
from kdsl.errors import KdslError
from kdsl.fields.sidecar import Sidecars
from kdsl.fields.table import FieldTable
from kdsl.mining.miner import MiningSettings
from kdsl.mining.search import SearchSettings
from kdsl.models.embedded import EmbeddedTrainer
from kdsl.project.fitting import fit
from kdsl.project.held_out_labels import held_out_labels
from kdsl.project.rule_classifier import RuleClassifier
from kdsl.project.task import TaskProject
from kdsl.sample import Label, Sample, Task, Turn

WORDS = {
    "退款": ("退款到账", "把钱退给我", "申请退款", "钱退了吗"),
    "尺码": ("尺码偏小", "穿多大码", "码数选哪个", "大一码吗"),
    "物流": ("快递到哪", "什么时候发货", "包裹发货", "快递单号"),
    "颜色": ("红色还有吗", "颜色深浅", "有没有蓝色", "什么颜色"),
    "保修": ("保修几年", "坏了维修", "维修点在哪", "保修卡"),
}
STRANGE = ("讲个笑话", "今晚吃火锅", "股票涨跌", "世界杯决赛", "弹首钢琴曲", "爬山路线")
FILLER = "请问呢啊哦嗯吧"
SETTINGS = MiningSettings(SearchSettings(max_conditions=1, iterations=10), folds=3)


def task(other: str | None = "都不是", labels=WORDS) -> Task:
    names = [*labels, *([] if other is None else [other])]
    return Task("shop", tuple(map(Label, names)), other=other)


def said(word: str, source: random.Random) -> str:
    return source.choice(FILLER) + word + source.choice(FILLER)


def samples(n: int, seed: int = 0, labels=WORDS) -> list[Sample]:
    source = random.Random(seed)
    return [
        Sample(f"{label}{seed}-{i}", "shop", (Turn("user", said(source.choice(words), source)),), label=label)
        for i in range(n)
        for label, words in WORDS.items()
        if label in labels
    ]


def strangers(n: int, seed: int = 0) -> list[Sample]:
    source = random.Random(seed)
    return [
        Sample(f"x{seed}-{i}", "shop", (Turn("user", said(STRANGE[i % len(STRANGE)], source)),), label="都不是")
        for i in range(n)
    ]


def project(own: Task, known: list[Sample], **options) -> TaskProject:
    labels = np.array([own.label_names.index(sample.label) for sample in known])
    trainer = EmbeddedTrainer(own)
    return TaskProject(own, FieldTable(known, Sidecars()), labels, SETTINGS, learn=lambda rules: trainer, **options)


def decided(trained: TrainedTask, asked: list[Sample]) -> list[kdsl.Decision]:
    return trained.decide(FieldTable(asked, Sidecars()))


@pytest.fixture(scope="module")
def unseen() -> TrainedTask:
    """Fitted without a sample of what belongs to no label."""
    return fit(project(task(), samples(24)), workers=1)


def test_what_belongs_to_no_label_is_told_without_a_sample_of_it(unseen):
    told = [decision.label == "都不是" for decision in decided(unseen, strangers(12, seed=5))]
    assert np.mean(told) >= 0.9
    inside = decided(unseen, samples(6, seed=5))
    assert np.mean([decision.label == decision.sample.label for decision in inside]) >= 0.95


def test_its_decision_says_why_and_what_it_would_be(unseen):
    decision = decided(unseen, strangers(1, seed=7))[0]
    assert decision.by == "other" and decision.label == "都不是"
    assert decision.reason.startswith("it belongs to none of the labels (0.")
    assert f"the likeliest of them, {decision.likeliest_belonging}, is not likely enough" in decision.reason
    record = decision.record()["decision"]
    assert record["label_if_belonging"] in WORDS and record["by"] == "other"
    assert "decided as one of 都不是" in repr(decision).replace(",", " decided")


def test_probabilities_agree_with_decisions(unseen):
    asked = [*samples(2, seed=6), *strangers(4, seed=6)]
    merged = unseen.predict(FieldTable(asked, Sidecars()))[2]
    assert np.allclose(merged.sum(axis=1), 1)
    for decision, row in zip(decided(unseen, asked), merged, strict=True):
        assert np.allclose(decision.merged, row)
        assert decision.label == unseen.task.label_names[int(row.argmax())]


def test_samples_of_other_make_it_surer(unseen):
    seen = fit(project(task(), [*samples(24), *strangers(10, seed=1)]), workers=1)

    def share(trained: TrainedTask) -> float:
        asked = FieldTable(strangers(12, seed=5), Sidecars())
        return float(trained.predict(asked)[2][:, trained.task.other_index].mean())

    assert share(seen) > share(unseen)


def test_a_project_is_read_back_as_it_was_trained(unseen, tmp_path):
    unseen.save(tmp_path / "shop", "linear")
    loaded = TrainedTask.load(unseen.task, tmp_path, unseen.rules)
    asked = [*samples(2, seed=8), *strangers(3, seed=8)]
    assert [d.record() for d in decided(loaded, asked)] == [d.record() for d in decided(unseen, asked)]


def test_another_other_is_another_training(unseen, tmp_path):
    unseen.save(tmp_path / "shop", "linear")
    with pytest.raises(KdslError, match=r"trained with other: 都不是, but shop now has no `other`"):
        TrainedTask.load(replace(unseen.task, other=None), tmp_path, unseen.rules)
    (tmp_path / "shop" / "scope.npz").unlink()
    with pytest.raises(KdslError, match=r"scope\.npz: no such file"):
        TrainedTask.load(unseen.task, tmp_path, unseen.rules)


def test_two_labels_are_too_few_to_hold_one_out(caplog):
    two = {name: WORDS[name] for name in ("退款", "尺码")}
    trained = fit(project(task(labels=two), samples(12, labels=two)), workers=1)
    assert trained.scope is None
    assert "nothing is told to be '都不是'" in caplog.text
    assert "give 5 samples of '都不是', or samples of at least 3 other labels" in caplog.text


def test_every_label_but_other_is_held_out_once():
    own = project(task(), [*samples(6), *strangers(4)])
    rounds = held_out_labels(own, own.require_learn()(()), np.full((34, 6), 1 / 6), own.folds)
    outside = np.concatenate([own.labels[each.rows[each.outside]] for each in rounds])
    assert sorted(outside.tolist()) == sorted(own.labels[own.labels != own.task.other_index].tolist())
    for each in rounds:
        assert each.seen[own.task.other_index]
        assert (each.model[:, ~each.seen] == 0).all()
        assert np.allclose(each.model.sum(axis=1), 1)
        inside = each.rows[~each.outside]
        assert len(set(own.folds[inside].tolist())) == 1  # new to the classifier


def test_a_classifier_that_costs_too_much_is_not_trained_again():
    own = project(task(), samples(6))
    said = np.random.default_rng(0).dirichlet(np.ones(6), 30)
    rounds = held_out_labels(own, object(), said, own.folds)  # type: ignore[arg-type]  # anything but an embedded one
    for each in rounds:
        assert np.array_equal(each.model, np.where(each.seen, said[each.rows], 0.0))


def test_decisions_are_handed_to_a_person():
    trained = fit(project(task(other=None), samples(24), abstain=AbstainConfig(share=0.3)), workers=1)
    asked = [*samples(4, seed=3), *strangers(20, seed=3)]
    over = [decision for decision in decided(trained, asked) if decision.label is None]
    assert over and all(decision.abstained and decision.by == "abstained" for decision in over)
    reason = over[0].reason
    assert reason.startswith(f"handed to a person, as {over[0].likeliest} is not sure enough (")
    sure, below = re.search(r"\(([\d.]+) is under ([\d.]+)\)", reason).groups()
    assert float(sure) < float(below)
    record = over[0].record()
    assert record["label"] is None and record["decision"]["label_if_decided"] == over[0].likeliest
    assert "handed to a person" in over[0]._repr_html_() and "no label" in over[0]._repr_html_()


def test_the_estimator_knows_other_and_gives_none_where_a_person_decides(tmp_path):
    texts = [(sample.turns[0].text, sample.label) for sample in samples(24)]
    options = {"iterations": 10, "max_conditions": 1, "encoder": "none"}
    classifier = RuleClassifier(other="都不是", abstain={"share": 0.1}, **options).fit(*zip(*texts, strict=True))
    assert "都不是" in classifier.classes_
    asked = [sample.turns[0].text for sample in [*strangers(12, seed=5), *samples(4, seed=5)]]
    found = classifier.predict(asked).tolist()
    assert np.mean([label in ("都不是", None) for label in found[:12]]) >= 0.9
    assert set(found) - {"都不是", None} <= set(WORDS)
    classifier.save(tmp_path / "saved")
    loaded = RuleClassifier.load(tmp_path / "saved")
    assert (loaded.other, loaded.abstain) == ("都不是", {"share": 0.1})
    assert loaded.predict(asked).tolist() == found


def test_what_the_estimator_is_asked_for_is_one_share():
    with pytest.raises(KdslError, match=r"abstain.*give either `error`"):
        RuleClassifier(abstain={}, encoder="none").fit(["a", "b", "c", "d"], ["x", "x", "y", "y"])
