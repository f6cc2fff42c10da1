"""Several labels a sample by command line, on a planted world: mine, train, predict, evaluate."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from several_labels_world import LABELS, TASK, record, world, write_project, write_samples

from kdsl.arbiter.arbiter import Arbiter
from kdsl.project.mining import mine_project
from kdsl.project.project import Project
from kdsl.project.training import train_project
from kdsl.rules.rulebase import RuleBase


def learned(folder: Path) -> Path:
    project = Project.open(folder)
    mine_project(project, workers=1)
    train_project(project)
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """Mined and trained on noisy samples; tests take copies."""
    return learned(write_project(tmp_path_factory.mktemp("topics") / "project", noise=0.15))


@pytest.fixture
def project(trained, tmp_path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "project"))


def lines(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def micro_f1(predictions: list[dict], samples) -> float:
    said = {
        each["id"]: set(each["label"] if isinstance(each["label"], list) else [each["label"]]) for each in predictions
    }
    hits = sum(len(said[sample.id] & set(sample.labels)) for sample in samples)
    return 2 * hits / sum(len(said[sample.id]) + len(sample.labels) for sample in samples)


def test_several_labels_are_predicted_better_than_by_one_label_a_sample(kdsl, project, tmp_path):
    """Who knows one label a sample can learn from the first of several, and never says two."""
    samples = world(120, 2, noise=0.15)
    found = lines(kdsl("predict", project, "--input", project / "test.jsonl").out)
    assert [each["id"] for each in found] == [sample.id for sample in samples]

    alone = write_project(tmp_path / "alone", noise=0.15)
    task = alone / "task.yaml"
    task.write_text(task.read_text(encoding="utf-8").replace("multi: true\n", ""), encoding="utf-8")
    firsts = [{**record(each), "label": each.labels[0]} for each in world(80, 1, 0.15) if each.labels]
    text = "\n".join(json.dumps(each, ensure_ascii=False) for each in firsts)
    (alone / "train.jsonl").write_text(text, encoding="utf-8")
    one = lines(kdsl("predict", learned(alone), "--input", project / "test.jsonl").out)

    assert micro_f1(found, samples) > micro_f1(one, samples) + 0.1
    assert micro_f1(found, samples) > 0.85


def test_each_label_of_a_record_has_a_decision_of_its_own(kdsl, project):
    arbiter = Arbiter.load(project / "checkpoint" / TASK)
    assert arbiter.multi and len(arbiter.thresholds) == len(arbiter.model_thresholds) == len(LABELS)
    assert all(0.05 < threshold <= 0.5 for threshold in arbiter.thresholds)
    for found in lines(kdsl("predict", project, "--input", project / "test.jsonl").out):
        assert list(found["decisions"]) == list(LABELS)
        held = [label for label, each in found["decisions"].items() if each["holds"]]
        assert found["label"] == held
        for label, threshold in zip(LABELS, arbiter.thresholds, strict=True):
            of = found["decisions"][label]
            assert of["threshold"] == threshold
            assert of["holds"] == (found["probabilities"][label] >= threshold)
            ids = [rule["id"] for rule in found["rules"] if rule["label"] == label]
            assert all(id in of["reason"] or "more speak" in of["reason"] for id in ids)
            assert not ids or of["by"] in ("rules", "model")


def test_training_tells_how_good_model_and_rules_are(kdsl, project):
    [told] = json.loads(kdsl("train", project, "--format", "json").out)
    assert 0.5 < told["model"]["weighted_f1"] <= told["both"]["weighted_f1"] + 0.05
    assert told["listens_to"] in ("all", "proposed")


def test_evaluation_counts_every_label(kdsl, project):
    predictions = project / "p.jsonl"
    assert kdsl("predict", project, "--input", project / "test.jsonl", "--output", predictions).code == 0
    told = kdsl("evaluate", project, "--predictions", predictions, "--truth", project / "test.jsonl").out
    assert "micro F1" in told and "Scores, several labels a sample" in told and "all right" in told
    [task] = json.loads(
        kdsl(
            "evaluate", project, "--predictions", predictions, "--truth", project / "test.jsonl", "--format", "json"
        ).out
    )["tasks"]
    expected = micro_f1(lines(predictions.read_text(encoding="utf-8")), world(120, 2, noise=0.15))
    assert task["both"]["scores"]["micro_f1"] == pytest.approx(expected)
    assert [label["label"] for label in task["labels"]] == list(LABELS)


def test_cross_validation_learns_without_what_it_predicts(kdsl, tmp_path):
    folder = write_project(tmp_path / "project")
    told = kdsl("evaluate", folder, "--cross-validate", "2", "mining.iterations=50", "--format", "json")
    [task] = json.loads(told.out)["tasks"]
    assert task["samples"] == 80
    assert task["both"]["scores"]["micro_f1"] > 0.7


def test_one_decision_is_explained_label_by_label(kdsl, project):
    samples = world(120, 2, noise=0.15)
    several = next(
        each["id"]
        for each in lines(kdsl("predict", project, "--input", project / "test.jsonl").out)
        if len(each["label"]) > 1
    )
    told = kdsl("predict", project, "--input", project / "test.jsonl", "--explain", several).out
    assert "holds from" in told and told.count("decided by the ") >= 2
    own = next(sample for sample in samples if sample.id == several)
    assert f"The sample's own labels: {own.answer_words}" in told
    none = kdsl("predict", project, "--text", "在吗").out
    assert "no label holds, " in none and "being the nearest" in none


def test_a_table_joins_the_labels(kdsl, project):
    told = kdsl("predict", project, "--input", project / "test.jsonl", "--format", "table").out
    assert " + " in told and "no label" in told


def test_rules_for_labels_that_may_come_together_are_in_no_conflict(kdsl, project):
    base = RuleBase.load(project / "rules", TASK)
    first = next(rule for rule in base.rules if rule.label == LABELS[0])
    base.save(first.model_copy(update={"id": "r-aaaa", "label": LABELS[1]}))
    kinds = [each["check"] for each in json.loads(kdsl("rules", "lint", project, "--format", "json").out)]
    assert "conflict" not in kinds and "overlap" not in kinds
    stats = json.loads(kdsl("rules", "stats", project, "--format", "json").out)
    assert all(each["conflicts"] == 0 for each in stats)
    assert np.mean([each["precision"] for each in stats if each["id"] != "r-aaaa"]) > 0.9


def test_a_sample_that_has_the_label_beside_others_is_no_wrong_hit(kdsl, project):
    for rule in RuleBase.load(project / "rules", TASK).rules:
        told = kdsl("rules", "show", project, rule.id, "--samples", "100").out
        for line in told.splitlines():
            if line.startswith("✗"):
                assert rule.label not in line.split(" ", 2)[2].split(" + ")
            if line.startswith("✓"):
                assert rule.label in line.split(" ", 2)[2].split(" + ")


def test_check_counts_labels_by_membership(kdsl, project):
    told = kdsl("check", project).out
    assert "(none holds)" in told
    assert told.split("all")[1].split()[:2] == ["80", "120"]


@pytest.mark.parametrize(
    ("command", "override", "told"),
    [
        (("check",), "large=neighbours", "large: neighbours: the samples of topics may have several labels"),
        (("mine",), "prompt.knowledge=3", "prompt.knowledge: the samples of topics may have several labels"),
        (("train",), "prompt.neighbours=3", "prompt.neighbours: the samples"),
        (("train",), "augment.copies=2", "augment.copies: the samples"),
        (("mine",), "small=Qwen/Qwen2-VL-2B-Instruct", "which this knows nothing of yet; set `small: meaning`"),
        (("augment",), "seed=0", "`kdsl augment` is for tasks with one label a sample"),
        (("distill",), "seed=0", "`kdsl distill` is for tasks with one label a sample"),
        (("reasons",), "seed=0", "`kdsl reasons` is for tasks with one label a sample"),
        (("propose",), "seed=0", "`kdsl propose` is for tasks with one label a sample"),
        (("check", "--labels"), "seed=0", "looking for wrong labels is for tasks with one label a sample"),
        (("check",), "abstain={error: 0.1}", "abstain: the samples of topics may have several labels"),
    ],
)
def test_what_knows_one_label_only_says_so_at_the_start(kdsl, project, command, override, told):
    found = kdsl(*command, project, override)
    assert found.code == 2 and told in found.err


def test_a_checkpoint_for_one_label_a_sample_is_not_used_for_several(kdsl, project):
    task = project / "task.yaml"
    task.write_text(task.read_text(encoding="utf-8").replace("multi: true\n", ""), encoding="utf-8")
    found = kdsl("predict", project, "--text", "我要退款")
    assert found.code == 2
    assert "trained for several labels a sample, but the task file now says `multi: false`" in found.err


def test_without_any_labels_nothing_is_trained(kdsl, tmp_path):
    folder = write_project(tmp_path / "project", train=10)
    text = (folder / "train.jsonl").read_text(encoding="utf-8")
    bare = [json.dumps({**json.loads(line), "label": None}, ensure_ascii=False) for line in text.splitlines()]
    (folder / "train.jsonl").write_text("\n".join(bare), encoding="utf-8")
    found = kdsl("train", folder)
    assert found.code == 2 and "no training sample has labels" in found.err


def test_the_same_command_goes_on_where_it_was(kdsl, project):
    write_samples(project / "new.jsonl", world(6, 5))
    first = kdsl("predict", project, "--input", project / "new.jsonl", "--output", project / "n.jsonl")
    again = kdsl("predict", project, "--input", project / "new.jsonl", "--output", project / "n.jsonl")
    assert "6 samples predicted, 0 were there" in first.out
    assert "0 samples predicted, 6 were there" in again.out


def test_mining_counts_the_samples_that_have_each_label(kdsl, tmp_path):
    folder = write_project(tmp_path / "project", train=30)
    [told] = json.loads(kdsl("mine", folder, "mining.iterations=20", "--format", "json").out)
    counts = {each["label"]: each["samples"] for each in told["labels"]}
    assert counts == {label: sum(label in sample.labels for sample in world(30, 1)) for label in LABELS}


def test_a_table_of_predictions_has_the_labels_as_a_list_in_one_cell(kdsl, project):
    assert kdsl("predict", project, "--input", project / "test.jsonl", "--output", project / "p.csv").code == 0
    with (project / "p.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    predicted = lines((project / "p.jsonl").read_text(encoding="utf-8"))
    assert [json.loads(row["predicted"]) for row in rows] == [each["label"] for each in predicted]
    assert [json.loads(row["label"]) for row in rows] == [list(each.labels) for each in world(120, 2, noise=0.15)]
    assert "confidence" not in rows[0]


def test_runs_are_kept_and_compared_sample_by_sample(kdsl, project):
    for _ in range(2):
        assert kdsl("evaluate", project, "--test", project / "test.jsonl").code == 0
    rule = next(rule for rule in RuleBase.load(project / "rules", TASK).rules if rule.label == LABELS[0])
    for path in (project / "rules").rglob(f"*{rule.id}.yaml"):
        path.unlink()
    told = kdsl("evaluate", project, "--test", project / "test.jsonl", "--against", "last", "--format", "json")
    [task] = json.loads(told.out)["tasks"]
    assert task["micro_f1"]["old"] == pytest.approx(task["micro_f1"]["new"] - task["micro_f1"]["difference"])
    for change in task["changes"]:
        assert isinstance(change["truth"], list) and set(change["old"]["label"]) != set(change["new"]["label"])
    assert task["lost"] + task["gained"] <= len(task["changes"])
    assert sum(move["samples"] for move in task["moves"]) == len(task["changes"]) > 0
