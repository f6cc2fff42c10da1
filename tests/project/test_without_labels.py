"""A project without a labelled sample: it trains, predicts by the names of its labels and by people's rules, and says
so; what needs labels says that too."""

import json
from pathlib import Path

import pytest

from kdsl.data.checks import NO_LABELS
from kdsl.errors import KdslError
from kdsl.project.prediction import ProjectPredictor
from kdsl.project.project import Project
from kdsl.rules.rule import Review, Rule
from kdsl.sample import Label, Task

RETURNS = Task("returns", (Label("退款", "用户要求退钱"), Label("尺码", "衣服大小"), Label("物流", "快递到哪里")))
COLOURS = Task("colours", (Label("红色"), Label("蓝色")))
TEXTS = ["我要退款", "尺码太小", "快递到哪了", "退钱", "衣服大小不合适", "物流太慢"]


def make(folder: Path, *lines: str, tasks: tuple[Task, ...] = (RETURNS,)) -> Project:
    """A project without an encoder whose kdsl.yaml ends with `lines`."""
    Project.create(folder, list(tasks))
    names = ", ".join(f"tasks/{task.name}.yaml" for task in tasks)
    (folder / "kdsl.yaml").write_text("\n".join([f"tasks: [{names}]", *lines, "mining: {iterations: 5}"]), "utf-8")
    return Project.open(folder)


def write(path: Path, records: list[dict]) -> None:
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), "utf-8")


def unlabelled(folder: Path, task: str = "returns") -> list[dict]:
    return [{"id": f"{task}{n}", "task": task, "text": text} for n, text in enumerate(TEXTS)]


def add_rule(project: Project, label: str, term: str, accepted: bool) -> None:
    rule = Rule(id=f"r-{'a' if accepted else 'p'}aaaaaaa", label=label, when={"all": [{"user": [term]}]})
    if accepted:
        review = Review(by="Li", at="2026-11-30T09:00", of=rule.when_hash)
        rule = rule.model_copy(update={"status": "accepted", "review": review})
    project.rules("returns").save(rule)


def test_a_project_without_samples_predicts_and_says_what_by(tmp_path, caplog):
    project = make(tmp_path)
    decisions = project.predict(["我要退款", "尺码太小", "快递到哪了"])
    assert [decision.label for decision in decisions] == ["退款", "尺码", "物流"]
    assert all(
        "by the labels' names and descriptions alone, as no labelled sample was there to learn from; no rule holds"
        in decision.reason
        for decision in decisions
    )
    assert caplog.messages == [f"returns: {NO_LABELS}"]
    assert project.predict("我要退款")[0].label == "退款"
    assert len(caplog.messages) == 1  # once trained, it is read


def test_training_tells_that_there_is_no_quality_to_tell(tmp_path, caplog):
    [arbiter] = make(tmp_path).train()
    assert caplog.messages == [f"returns: {NO_LABELS}"]
    assert "label at least 5 samples of each" in NO_LABELS
    assert (arbiter.samples, arbiter.model, arbiter.both, arbiter.cold) == (0, None, None, True)
    assert arbiter.record()["model"] is None


@pytest.mark.parametrize("key", ["train", "unlabelled"])
def test_samples_without_labels_are_looked_at(tmp_path, key):
    project = make(tmp_path, f"data: {{{key}: data.jsonl}}")
    write(tmp_path / "data.jsonl", unlabelled(tmp_path) * 2)
    project.train()
    without = make(tmp_path / "other").predict("退")[0].probabilities
    assert project.predict("退")[0].probabilities != without


def test_what_people_accepted_counts_as_much_as_that_promises(tmp_path):
    project = make(tmp_path)
    add_rule(project, "物流", "丢件", accepted=True)
    unknown, asked = project.predict(["丢件", "丢件了，我要退款"])
    assert unknown.rules[0].reliability == pytest.approx(0.9)
    assert unknown.model == pytest.approx([1 / 3] * 3)
    assert unknown.merged[2] == pytest.approx(0.8)
    assert (unknown.label, unknown.by) == ("物流", "rules")
    assert "for the model's 退款, which no labelled sample has taught" in unknown.reason
    assert (asked.label, asked.by) == ("退款", "model")


def test_what_nobody_accepted_does_not_count(tmp_path):
    project = make(tmp_path)
    add_rule(project, "物流", "尺码", accepted=False)
    [decision] = project.predict("尺码?")
    assert (decision.label, decision.by) == ("尺码", "model")
    assert "1 rule holds that nobody has accepted: nothing has shown yet that such rules help" in decision.reason


def test_rules_of_one_label_that_hit_the_same_unlabelled_samples_count_once(tmp_path):
    alike = make(tmp_path / "alike", "data: {train: data.jsonl}")
    write(tmp_path / "alike/data.jsonl", [{"id": "a", "text": "尺码 XL"}, {"id": "b", "text": "快递"}])
    apart = make(tmp_path / "apart", "data: {train: data.jsonl}")
    write(tmp_path / "apart/data.jsonl", [{"id": "a", "text": "尺码"}, {"id": "b", "text": "XL"}])
    merged = []
    for project in (alike, apart):
        for letter, term in (("b", "尺码"), ("c", "XL")):
            rule = Rule(id=f"r-{letter}aaaaaaa", label="物流", when={"all": [{"user": [term]}]})
            review = Review(by="Li", at="2026-11-30T09:00", of=rule.when_hash)
            project.rules("returns").save(rule.model_copy(update={"status": "accepted", "review": review}))
        [decision] = project.predict("尺码 XL")
        merged.append(decision.merged[2] / decision.merged[0] / (decision.model[2] / decision.model[0]))
    assert merged == pytest.approx([8, 64])


def test_one_task_learns_and_the_other_goes_without(tmp_path, caplog):
    project = make(tmp_path, "data: {train: data.jsonl}", tasks=(RETURNS, COLOURS))
    coloured = [
        {"id": f"c{n}", "task": "colours", "text": f"{name}{n}", "label": name}
        for n in range(5)
        for name in ("红色", "蓝色")
    ]
    write(tmp_path / "data.jsonl", [*unlabelled(tmp_path), *coloured])
    assert [mined.task.name for mined in project.mine(workers=1)] == ["colours"]
    assert [arbiter.cold for arbiter in project.train()] == [True, False]
    assert [task.task for task in project.evaluate(folds=2, workers=1).tasks] == ["colours"]
    assert "returns: no training sample has a label, so mining leaves the task out" in caplog.messages
    assert "returns: no training sample has a label, so cross-validation leaves the task out" in caplog.messages
    assert [d.label for d in project.predict(["我要退款"], "returns")] == ["退款"]
    assert [d.label for d in project.predict(["红色3"], "colours")] == ["红色"]
    shares = ProjectPredictor.open(project).predictor.label_shares()
    assert shares == {"colours": {"红色": 0.5, "蓝色": 0.5}}


def test_once_samples_are_labelled_they_are_learned_from(tmp_path):
    project = make(tmp_path, "data: {train: data.jsonl}")
    write(tmp_path / "data.jsonl", unlabelled(tmp_path))
    project.train()
    records = [{**record, "label": RETURNS.label_names[n % 3]} for n, record in enumerate(unlabelled(tmp_path))]
    write(tmp_path / "data.jsonl", records)
    project = Project.open(tmp_path)
    project.mine(workers=1)
    [arbiter] = project.train()
    assert arbiter.samples == len(records)
    assert not (tmp_path / "checkpoints/run/returns/cold_start.npz").exists()
    assert "no labelled sample" not in project.predict("我要退款")[0].reason


def test_a_sample_with_a_label_among_others_without_is_told_of_as_ever(tmp_path):
    project = make(tmp_path, "data: {train: data.jsonl}")
    write(tmp_path / "data.jsonl", [{**unlabelled(tmp_path)[0], "label": "退款"}, *unlabelled(tmp_path)[1:]])
    with pytest.raises(KdslError, match="has the label None, which is none of the task's"):
        project.train()


@pytest.mark.parametrize(("step", "what"), [("mine", "mining"), ("evaluate", "cross-validation")])
def test_what_needs_labels_says_so(tmp_path, step, what):
    project = make(tmp_path)
    told = (
        rf"kdsl\.yaml: data\.train is not set, and {what} needs labelled samples; training and predicting go without"
    )
    with pytest.raises(KdslError, match=told):
        getattr(project, step)()


def test_a_model_that_is_asked_elsewhere_is_weighed_by_labels(tmp_path):
    write(tmp_path / "said.jsonl", [{"id": "returns0", "label": "退款"}])
    project = make(tmp_path / "p", "large: recorded:../said.jsonl", "data: {train: data.jsonl}")
    write(tmp_path / "p/data.jsonl", unlabelled(tmp_path))
    with pytest.raises(
        KdslError, match=r"no training sample has a label, and `large: recorded:.*label samples, or set"
    ):
        project.train()
    with pytest.raises(KdslError, match="no such file"):
        project.predict("我要退款")


def test_a_file_of_samples_that_is_not_there_is_no_project_without_samples(tmp_path):
    project = make(tmp_path, "data: {train: typo.jsonl}")
    with pytest.raises(KdslError, match="typo"):
        project.train()
    with pytest.raises(KdslError, match="no such file"):
        project.predict("我要退款")
    assert not (tmp_path / "checkpoints/run/returns").exists()


def test_accepted_rules_predict_before_there_are_samples(tmp_path, caplog):
    project = make(tmp_path, "data: {train: later.jsonl}")
    add_rule(project, "物流", "单号", accepted=True)
    add_rule(project, "退款", "还钱", accepted=False)
    decisions = project.predict(["单号呢", "还钱"])
    assert decisions[0].label == "物流"
    assert [rule.rule.label for rule in decisions[0].rules] == ["物流"]
    assert caplog.messages == [
        f"returns: {tmp_path / 'later.jsonl'} is not there yet, so nothing was trained: predicts by the rules "
        "that people accepted (1) and by the names and descriptions of the labels"
    ]
    with pytest.raises(KdslError, match="later"):
        project.train()


def test_a_fresh_project_of_a_shipped_task_answers_by_its_rules(tmp_path):
    project = Project.create(tmp_path, ["mire_intent"])
    (tmp_path / "kdsl.yaml").write_text("tasks: [mire_intent]\ndata: {train: data/train.json}\n", "utf-8")
    [decision] = Project.open(project.config.folder).predict("这个会不会生锈呀")
    assert decision.label == "是否会生锈"
    assert decision.rules and {hit.rule.label for hit in decision.rules} == {"是否会生锈"}


def test_checking_finds_it_and_nothing_that_follows_from_it(tmp_path):
    project = make(tmp_path, "data: {train: data.jsonl}")
    write(tmp_path / "data.jsonl", unlabelled(tmp_path))
    assert [(each.kind, each.count, each.message) for each in project.check().findings] == [
        ("no-labels", 6, NO_LABELS)
    ]
    [finding] = make(tmp_path / "bare").check().findings
    assert (finding.kind, finding.task, finding.count) == ("no-labels", "returns", 0)


def test_a_run_does_what_can_be_done(tmp_path):
    project = make(tmp_path, "data: {train: data.jsonl, unlabelled: more.jsonl}")
    write(tmp_path / "data.jsonl", unlabelled(tmp_path))
    write(tmp_path / "more.jsonl", [{"id": "m", "text": "尺码"}])
    assert project.run(workers=1) is None
    first = (tmp_path / "checkpoints/run/returns/cold_start.npz").read_bytes()
    write(tmp_path / "more.jsonl", [{"id": f"m{n}", "text": "退款"} for n in range(20)])
    assert Project.open(tmp_path).run(workers=1) is None
    assert (tmp_path / "checkpoints/run/returns/cold_start.npz").read_bytes() != first


def test_labelled_test_samples_measure_it(tmp_path):
    project = make(tmp_path, "data: {test: test.jsonl}")
    write(
        tmp_path / "test.jsonl",
        [{**each, "label": RETURNS.label_names[n % 3]} for n, each in enumerate(unlabelled(tmp_path))],
    )
    summary = project.run(workers=1)
    assert summary is not None
    assert summary.tasks[0].model.scores.accuracy == 1.0


def test_fields_that_are_left_out_are_so_in_prediction_too(tmp_path):
    project = make(tmp_path, "fields: {last_agent: false}")
    [arbiter] = project.train()
    assert arbiter.left_out == ("last_agent",)
    assert project.predict("我要退款")[0].label == "退款"
