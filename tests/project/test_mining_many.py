"""More samples than `mining.max_samples`: some are searched and learned from, rules are counted on all."""

import json
import random

import numpy as np
import pytest

from kdsl.data.splits import stratified_sample
from kdsl.fields.sidecar import Sidecars
from kdsl.fields.table import FieldTable
from kdsl.label_matrix import label_array
from kdsl.mining.archive import load_archive
from kdsl.project.mining import RESUME_FILE, archive_path, mine_project
from kdsl.project.project import Project
from kdsl.project.rule_classifier import RuleClassifier
from kdsl.project.rule_reports import summarise_rules, training_hits
from kdsl.project.task import TaskProject
from kdsl.project.training import train_project
from kdsl.rules.condition import Condition
from kdsl.rules.engine import Engine
from kdsl.rules.lint import lint
from kdsl.rules.rule import Rule, When, rule_id
from kdsl.rules.rulebase import RuleBase
from kdsl.rules.statistics import TrainingCounts
from kdsl.sample import label_indices

WORDS = {"灯光": ("亮度", "变暗"), "材质": ("棉麻", "面料"), "其他": ("包邮", "谢谢")}
SIZES = {"灯光": 700, "材质": 540, "其他": 60}


def records() -> list[dict[str, str]]:
    """Three labels with two words each, which some samples of other labels have too; the last label is rare."""
    draw = random.Random(0)
    given = [label for label, size in SIZES.items() for _ in range(size)]
    draw.shuffle(given)
    found = []
    for i, label in enumerate(given):
        said = label if draw.random() < 0.9 else draw.choice(list(WORDS))
        filler = "".join(draw.choices("春夏秋冬东南西北金木水火", k=3))
        found.append({"id": f"s{i}", "text": f"{filler}，{draw.choice(WORDS[said])}", "label": label})
    return found


def write_project(folder, lines: list[dict[str, str]]) -> Project:
    folder.mkdir()
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    (folder / "train.jsonl").write_text(text, "utf-8")
    (folder / "task.yaml").write_text(f"name: shop\nlabels: [{', '.join(WORDS)}]\n", "utf-8")
    (folder / "kdsl.yaml").write_text(
        "tasks: [task.yaml]\ndata: {train: train.jsonl}\nencoder: none\nsmall: lexical\n"
        "mining: {iterations: 20, max_conditions: 1, max_samples: 1000}\n"
    )
    return Project.open(folder)


@pytest.fixture(scope="module")
def mined(tmp_path_factory):
    project = write_project(tmp_path_factory.mktemp("many") / "project", records())
    return project, mine_project(project, workers=1)[0]


def test_it_says_on_how_many_samples_rules_were_searched(mined):
    _, result = mined
    said = "shop: rules were searched on 1000 of 1300 samples (mining.max_samples), and counted on all"
    assert said in result.notes()
    record = result.record()
    assert (record["searched"], record["samples"]) == (1000, 1300)
    assert {each["label"]: each["samples"] for each in record["labels"]} == SIZES


def test_the_archive_holds_the_samples_searched_and_says_of_how_many(mined):
    project, _ = mined
    [task] = project.tasks
    archive = load_archive(archive_path(project, task))
    samples = project.task_samples(task)
    rows = stratified_sample([sample.id for sample in samples], label_array(samples, task), 1000, project.config.seed)
    assert archive.samples == tuple(samples[row].id for row in rows)
    assert archive.drawn_from == 1300
    assert sum(samples[row].label == "其他" for row in rows) == 60


def test_rules_have_the_counts_of_all_samples(mined):
    project, result = mined
    [task] = project.tasks
    samples = project.task_samples(task)
    truth = np.array(label_indices(samples, task))
    statistics = result.base.statistics()
    assert {rule.label for rule in result.base.rules} == {"灯光", "材质"}  # the rare one's words are said of others
    for rule in result.base.rules:
        hits = Engine([rule]).matrix(FieldTable(samples, Sidecars()))[:, 0]
        right = hits & (truth == task.label_names.index(rule.label))
        entry = statistics[rule.id, rule.when_hash]
        assert entry.training == TrainingCounts(
            hits=hits.sum(), correct=right.sum(), positives=SIZES[rule.label], samples=1300
        )
        assert entry.base_rate == pytest.approx(SIZES[rule.label] / 1300, abs=1e-4)
        assert entry.reliability == pytest.approx(right.sum() / hits.sum(), abs=0.12)


def test_what_is_trained_afterwards_learns_from_the_samples_searched(mined):
    project, _ = mined
    [trained] = train_project(project)
    assert trained.rules


def test_stopped_while_rules_are_counted_it_does_not_search_again(tmp_path, monkeypatch):
    def stop(*arguments, **more):
        raise KeyboardInterrupt

    project = write_project(tmp_path / "project", records())
    path = archive_path(project, project.tasks[0])
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt, match="the same command goes on"):
        patched.setattr("kdsl.project.mining.count_beyond", stop)
        mine_project(project, workers=1)
    assert [file.name for file in path.parent.iterdir()] == [RESUME_FILE]
    assert not project.rule_base(project.tasks[0]).rules
    monkeypatch.setattr("kdsl.mining.run.mine_label", None)  # any search would fail
    assert mine_project(project, workers=1)[0].base.rules
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_in_another_order_the_same_samples_are_searched(mined, tmp_path):
    project, _ = mined
    other = write_project(tmp_path / "other", records()[::-1])
    found = [
        load_archive(archive_path(each, each.tasks[0])).samples
        for each in (project, mine_project(other, workers=1)[0] and other)
    ]
    assert sorted(found[0]) == sorted(found[1]) and found[0] != found[1]


def test_reports_count_all_samples_in_pieces_as_at_once(mined, monkeypatch, tmp_path):
    project, _ = mined
    [task] = project.tasks
    base = RuleBase.load(tmp_path, "shop")
    for label, *terms in (("灯光", "亮度", "包邮"), ("其他", "包邮"), ("材质", "棉麻")):
        conditions = (Condition(field="user", terms=tuple(terms)),)
        base.save(Rule(id=rule_id("shop", label, conditions), label=label, when=When(all=conditions)))

    def reports():
        findings = lint(tmp_path, task, project.task_samples(task))
        return summarise_rules(project, base, base.rules), findings, training_hits(project, task, base.rules[0])

    at_once = reports()
    monkeypatch.setattr("kdsl.fields.table.PIECE", 100)
    rows, findings, hits = reports()
    assert (rows, findings) == at_once[:2]
    assert [sample.id for sample, _ in hits] == [sample.id for sample, _ in at_once[2]]
    samples, [first, second, third] = project.task_samples(task), rows
    assert (first.rule.label, second.rule.label, third.rule.label) == ("其他", "材质", "灯光")
    said = {word: sum(word in sample.turns[0].text for sample in samples) for word in ("包邮", "亮度", "棉麻")}
    assert [row.hits for row in rows] == [said["包邮"], said["棉麻"], said["包邮"] + said["亮度"]]
    assert first.coverage == first.overlaps == first.conflicts == third.conflicts == said["包邮"] / 1300
    assert second.overlaps == 0 and all(row.correct + row.incorrect == row.hits for row in rows)
    assert [finding.check for finding in findings] == ["overlap"]


def test_variants_of_a_rule_are_looked_for_on_the_samples_searched(mined):
    from kdsl.project.refining import refiner_of

    project, _ = mined
    [task] = project.tasks
    archive = load_archive(archive_path(project, task))
    assert {row.sample.id for row in refiner_of(project, task).table.rows} == set(archive.samples)


def test_a_rule_classifier_counts_on_all_too(tmp_path):
    lines = records()
    classifier = RuleClassifier(iterations=20, max_conditions=1, encoder="none", n_jobs=1, max_samples=1000)
    classifier.fit([line["text"] for line in lines], [line["label"] for line in lines])
    assert {entry.training.samples for entry in classifier.rules_.statistics.values()} == {1300}
    classifier.save(tmp_path / "saved")
    project = Project.open(tmp_path / "saved")  # it draws the samples that were searched
    [task] = project.tasks
    archive = load_archive(archive_path(project, task))
    assert TaskProject.of(project, task).sample_ids == list(archive.samples) and archive.drawn_from == 1300
    assert RuleClassifier.load(tmp_path / "saved").max_samples == 1000
