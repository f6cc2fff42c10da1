"""kdsl train and kdsl predict, on a project that was mined once."""

import json
import shutil
from pathlib import Path

import pytest
from small_shop import WORDS, read, write, write_project

from kdsl.arbiter.arbiter import Arbiter, Quality
from kdsl.arbiter.weighing import Standing
from kdsl.cli.train import print_arbiters, print_shares
from kdsl.rules.rule import Review
from kdsl.rules.rulebase import RuleBase


@pytest.fixture(scope="session")
def mined(tmp_path_factory) -> Path:
    """A project after kdsl mine and kdsl train; tests take copies."""
    from kdsl.project.mining import mine
    from kdsl.project.project import Project
    from kdsl.project.task import TaskProject
    from kdsl.project.training import train_project

    folder = write_project(tmp_path_factory.mktemp("shop") / "project")
    project = Project.open(folder)
    mine(project, TaskProject.of(project, project.tasks[0]), workers=1)
    train_project(project)
    return folder


@pytest.fixture
def project(mined, tmp_path) -> Path:
    return Path(shutil.copytree(mined, tmp_path / "project"))


def predict(kdsl, project, *options, input="test.jsonl", output="p.jsonl"):
    return kdsl("predict", project, "--input", project / input, "--output", project / output, *options)


@pytest.mark.parametrize(
    ("people", "mined", "rules", "told"),
    [
        (1.0, 1.0, 1, ""),
        (1.0, 0.0, 1, "decide nothing (b_mined = 0); those count that people accept (kdsl review)."),
        (0.0, 1.0, 1, "accepted make the log loss clearly larger out of fold and decide nothing (b_people = 0)."),
        (0.0, 0.0, 1, "so the model decides alone (b_people = b_mined = 0)."),
        (1.0, 0.0, 0, "shop: there are no rules, so the model decides alone."),
    ],
)
def test_training_tells_which_rules_count(capsys, people, mined, rules, told):
    quality = Quality(log_loss=1.0, weighted_f1=0.5)
    standing = Standing(
        id="r-1", when="0" * 16, label="调光", reliability=0.5, hits=4, correct=2, weight=1, accepted_weight=1
    )
    arbiter = Arbiter(
        task="shop", labels=("调光", "材质"), a=1.0, b_people=people, b_mined=mined, mean_people=1.0,
        model_a=1.0, samples=9,
        model=quality, both=quality, base_rates=(0.5, 0.5), rules=(standing,) * rules, overlaps=(),
    )  # fmt: skip
    print_arbiters([arbiter])
    sentence = " ".join("\n".join(capsys.readouterr().out.splitlines()[5:]).split())
    assert told in sentence and bool(sentence) == bool(told)


@pytest.mark.parametrize(
    ("shares", "told"),
    [
        ({}, ""),
        ({"characters": 0.75, "last_agent": 0.04, "sight": 0.0, "meaning": 0.21},
         "shop: the model goes by characters 75%, meaning 21%, last_agent 4%."),
        ({"characters": 0.4, "last_agent": 0.6},
         "shop: the model goes by last_agent 60%, characters 40%; last_agent is what the agent answers: where "
         "predictions are made before, set fields.last_agent: false."),
    ],
)  # fmt: skip
def test_training_tells_what_the_model_leans_on(capsys, shares, told):
    print_shares("shop", shares)
    assert " ".join(capsys.readouterr().out.split()) == told


def test_training_prints_what_model_and_rules_are_worth_out_of_fold(kdsl, project):
    result = kdsl("train", project)
    assert result.code == 0
    for part in ("shop", "F1", "model", "both", "log loss"):
        assert part in result.out
    [entry] = json.loads(kdsl("train", project, "--format", "json").out)
    assert entry["samples"] == 60 and isinstance(entry["shares"], dict)
    assert (entry["listens_to"] == "none") == (entry["b_people"] == entry["b_mined"] == 0)
    assert {path.name for path in (project / "checkpoints/run/shop").iterdir()} == {
        "arbiter.json", "embedded.json", "linear.npz", "mining.json", "out_of_fold.npz",
    }  # fmt: skip


def test_training_twice_gives_the_same_arbiter_and_predictions(kdsl, project):
    arbiter = project / "checkpoints/run/shop/arbiter.json"
    first = arbiter.read_bytes()
    predict(kdsl, project)
    kdsl("train", project)
    assert arbiter.read_bytes() == first
    predict(kdsl, project, output="again.jsonl")
    assert (project / "again.jsonl").read_bytes() == (project / "p.jsonl").read_bytes()


def test_training_before_mining_says_what_to_do(kdsl, project):
    (project / "checkpoints/run/shop/mining.json").unlink()
    result = kdsl("train", project)
    assert result.code == 2
    assert "mining.json: no such file, and the arbiter needs mined rules; run `kdsl mine` first" in result.err


def test_training_on_other_samples_than_mining_says_what_to_do(kdsl, project):
    write(project / "train.jsonl", read(project / "train.jsonl")[:-3])
    result = kdsl("train", project)
    assert result.code == 2
    assert "the training samples are not those that rules were mined on" in result.err


def test_predictions_are_one_record_a_sample_with_rules_and_reason(kdsl, project):
    result = predict(kdsl, project)
    assert (result.code, result.out) == (0, f"{project / 'p.jsonl'}: 15 samples predicted, 0 were there\n")
    records = read(project / "p.jsonl")
    assert [record["id"] for record in records] == [sample["id"] for sample in read(project / "test.jsonl")]
    for record in records:
        assert set(record["probabilities"]) == set(WORDS)
        assert sum(record["probabilities"].values()) == pytest.approx(1, abs=1e-4)
        assert record["label"] == max(record["probabilities"], key=record["probabilities"].get)
        assert record["decision"]["label_without_rules"] == record["model"]["label"]
        assert record["decision"]["reason"]
    assert any(record["rules"] for record in records)
    scored = kdsl(
        "evaluate",
        project,
        "--predictions",
        project / "p.jsonl",
        "--truth",
        project / "test.jsonl",
        "--format",
        "json",
    )
    assert json.loads(scored.out)["pooled"]["both"]["scores"]["accuracy"] > 0.7


def test_a_torn_output_is_completed(kdsl, project):
    predict(kdsl, project)
    whole = (project / "p.jsonl").read_bytes()
    (project / "p.jsonl").write_bytes(whole[: len(whole) // 2])
    result = predict(kdsl, project, "--batch", 4)
    assert "were there" in result.out
    assert "15 samples predicted" not in result.out
    assert (project / "p.jsonl").read_bytes() == whole


def test_another_checkpoint_does_not_append_to_old_predictions(kdsl, project):
    predict(kdsl, project)
    kdsl("train", project, "seed=1")
    arbiter = project / "checkpoints/run/shop/arbiter.json"
    arbiter.write_text(arbiter.read_text("utf-8") + "\n", "utf-8")
    result = predict(kdsl, project)
    assert result.code == 2
    assert "p.jsonl: shop was trained again since these predictions were made; predict everything anew" in result.err


def test_rejecting_a_rule_takes_effect_without_training(kdsl, project):
    predict(kdsl, project)
    hit = next(record["rules"][0]["id"] for record in read(project / "p.jsonl") if record["rules"])
    path = next(path for path in (project / "rules").rglob(f"*{hit}.yaml"))
    path.write_text(path.read_text("utf-8").replace("status: proposed", "status: rejected"), "utf-8")
    result = predict(kdsl, project, output="q.jsonl")
    assert result.code == 0
    assert hit not in {rule["id"] for record in read(project / "q.jsonl") for rule in record["rules"]}


def test_a_rule_added_since_training_is_shown_but_counts_only_after_training(kdsl, project, caplog):
    (project / "rules/shop/材质").mkdir(exist_ok=True)
    rule = 'schema: 1\nid: r-hand2\nlabel: "材质"\nstatus: accepted\nwhen:\n  all:\n    - user: ["亚麻布"]\n'
    (project / "rules/shop/材质/x--r-hand2.yaml").write_text(rule, "utf-8")
    write(project / "new.jsonl", [{"id": "n", "text": "这是亚麻布吗"}])
    predict(kdsl, project, input="new.jsonl")
    assert "shop: 1 rules were added or edited since training and are shown but do not count" in caplog.text
    [record] = read(project / "p.jsonl")
    assert record["rules"][0]["reliability"] == pytest.approx(1 / 3, abs=1e-3)
    before = record["probabilities"]["材质"]
    kdsl("train", project)
    predict(kdsl, project, input="new.jsonl", output="q.jsonl")
    [record] = read(project / "q.jsonl")
    assert record["rules"][0]["reliability"] >= 0.5
    assert record["probabilities"]["材质"] > before


def test_a_decision_is_explained(kdsl, project):
    sample = read(project / "test.jsonl")[0]
    result = kdsl("predict", project, "--input", project / "test.jsonl", "--explain", sample["id"])
    assert result.code == 0
    assert sample["label"] in result.out
    assert "decided by the" in result.out
    assert not (project / "p.jsonl").exists()


def test_strange_samples_are_predicted_and_counted(kdsl, project, caplog):
    (project / "new.jsonl").write_text(
        '{"id": "long", "text": "' + "亮度" * 50_000 + '"}\n'
        '{"id": "half", "text": "变暗\\ud83d"}\n'
        '{"id": "userless", "turns": [{"role": "agent", "text": "您好"}]}\n'
        '{"id": "picture", "images": ["gone.png", "lost.png"]}\n',
        "utf-8",
    )
    result = predict(kdsl, project, input="new.jsonl")
    assert result.code == 0
    assert "2 images were taken as without text, the first being gone.png (no such file)" in caplog.text
    assert "1 texts with half a character, which was replaced, the first in line 2" in caplog.text
    assert [record["id"] for record in read(project / "p.jsonl")] == ["long", "half", "userless", "picture"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "new.jsonl: holds no samples"),
        ('{"id": "a", "task": "elsewhere", "text": "x"}', "holds no samples of the project's tasks (shop)"),
        ('{"id": "a", "text": 7}', "new.jsonl, line 1: text is 7; it must be text in quotes"),
    ],
)
def test_input_that_cannot_be_predicted_leaves_no_output(kdsl, project, content, message):
    (project / "new.jsonl").write_text(content, "utf-8")
    result = predict(kdsl, project, input="new.jsonl")
    assert result.code == 2
    assert message in result.err
    assert not (project / "p.jsonl").exists()


def test_what_is_missing_is_named(kdsl, project):
    test = project / "test.jsonl"
    cases = {
        ("--input", test, "--output", test): "is the input too; give the predictions a file of their own",
        ("--input", project / "no.jsonl", "--output", project / "p.jsonl"): "no.jsonl: no such file",
        ("--input", test, "--explain", "zz"): "test.jsonl: no sample has the id 'zz'",
        ("--input", test, "--output", project / "kdsl.yaml/p.jsonl"): "cannot be written (File exists)",
        ("checkpoint=elsewhere", "--input", test, "--output", project / "p.jsonl"): "none of the project's tasks",
    }
    for options, message in cases.items():
        result = kdsl("predict", project, *options)
        assert (result.code, message in result.err) == (2, True), result.err


def test_a_task_with_other_labels_needs_training(kdsl, project):
    with (project / "task.yaml").open("a", encoding="utf-8") as file:
        file.write("  - {name: 其他}\n")
    assert "trained for other labels than shop has now; run `kdsl train` again" in predict(kdsl, project).err


def test_a_recorded_model_is_merged_on_the_samples_it_covers(kdsl, project, caplog):
    samples = read(project / "train.jsonl")[:50] + read(project / "test.jsonl")[:-1]
    answers = [{"id": sample["id"], "label": sample["label"] if i % 3 else "物流"} for i, sample in enumerate(samples)]
    write(project / "answers.jsonl", answers)
    recorded = f"large=recorded:{project / 'answers.jsonl'}"
    result = kdsl("train", project, recorded, "--format", "json")
    assert "10 of 60 training samples of shop are not in it; only the others are used" in caplog.text
    assert json.loads(result.out)[0]["samples"] == 50
    assert predict(kdsl, project, recorded).code == 0
    assert "the model has no answer" in read(project / "p.jsonl")[-1]["decision"]["reason"]


def test_new_images_without_a_caption_are_counted(kdsl, project, caplog):
    write(project / "captions.jsonl", [{"image": "old.png", "caption": "一个包裹", "model": "any"}])
    samples = [
        sample | {"images": ["old.png", f"new{i}.png"]} for i, sample in enumerate(read(project / "test.jsonl"))
    ]
    write(project / "test.jsonl", samples)
    assert predict(kdsl, project, f"data.captions={project / 'captions.jsonl'}").code == 0
    assert (
        f"{len(samples)} images have no caption in {project / 'captions.jsonl'}, the first being new0.png"
        in caplog.text
    )


def test_where_only_accepted_rules_count_accepting_them_acts_on_the_next_prediction(kdsl, project):
    path = project / "checkpoints/run/shop/arbiter.json"
    fitted = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**fitted, "a": fitted["model_a"], "b_people": 1.0, "b_mined": 0.0}), "utf-8")
    before = predicted(kdsl, project, "before.jsonl")
    assert any("that nobody has accepted" in each["decision"]["reason"] for each in before)
    assert all(each["probabilities"] == each["model"]["probabilities"] for each in before)
    base = RuleBase.load(project / "rules", "shop")
    for rule in base.rules:
        base.save(rule.model_copy(update={"status": "accepted", "review": Review(by="小王", of=rule.when_hash)}))
    after = predicted(kdsl, project, "after.jsonl")
    for each in after:
        assert "nobody" not in each["decision"]["reason"]
        assert (each["probabilities"] != each["model"]["probabilities"]) == bool(each["rules"])


def predicted(kdsl, project, output) -> list[dict]:
    assert predict(kdsl, project, output=output).code == 0
    return read(project / output)


def numbered(path: Path) -> Path:
    """The same samples, called 0, 1, … in every file."""
    return write(path, [{**record, "id": str(index)} for index, record in enumerate(read(path))])


def test_a_test_file_that_is_numbered_like_the_training_file_is_predicted_the_same(kdsl, tmp_path):
    """What a sample is called tells the nearest neighbours nothing, whatever it looks like."""
    probabilities = []
    for name in ("named", "numbered", "plus"):
        project = write_project(tmp_path / name)
        if name == "numbered":
            numbered(project / "train.jsonl"), numbered(project / "test.jsonl")
        if name == "plus":
            records = read(project / "train.jsonl")
            write(project / "train.jsonl", [{**r, "id": f"{r['label']}+{i}"} for i, r in enumerate(records)])
        options = ("large=neighbours", "mining.iterations=20")
        assert kdsl("mine", project, *options, "--workers", 1).code == 0
        assert kdsl("train", project, *options).code == 0
        assert predict(kdsl, project, *options).code == 0
        probabilities.append([record["model"]["probabilities"] for record in read(project / "p.jsonl")])
    assert probabilities[0] == probabilities[1] == probabilities[2]


def test_recorded_answers_cannot_be_told_apart_where_two_files_number_alike(kdsl, project):
    numbered(project / "train.jsonl"), numbered(project / "test.jsonl")
    write(project / "answers.jsonl", [{"id": str(i), "label": "物流"} for i in range(15)])
    recorded = f"large=recorded:{project / 'answers.jsonl'}"
    for result in (kdsl("train", project, recorded), predict(kdsl, project, recorded)):
        assert result.code == 2
        assert "test.jsonl: sample '0' is another one than that of this id in" in result.err
        assert "so that nobody can know which one" in result.err


def test_an_id_that_two_tasks_have_is_explained_for_both(kdsl, tmp_path):
    project = write_project(tmp_path / "project")
    (project / "other.yaml").write_text((project / "task.yaml").read_text("utf-8").replace("shop", "other"), "utf-8")
    config = (project / "kdsl.yaml").read_text("utf-8")
    (project / "kdsl.yaml").write_text(config.replace("[task.yaml]", "[task.yaml, other.yaml]"), "utf-8")
    for name in ("train", "test"):
        records = read(numbered(project / f"{name}.jsonl"))
        write(project / f"{name}.jsonl", [{**r, "task": task} for task in ("shop", "other") for r in records])
    assert "duplicate-ids" not in kdsl("check", project).out
    assert kdsl("mine", project, "mining.iterations=20", "--workers", 1).code == 0
    assert kdsl("train", project).code == 0
    assert predict(kdsl, project).code == 0
    assert [record["task"] for record in read(project / "p.jsonl")] == ["shop"] * 15 + ["other"] * 15
    scored = kdsl("evaluate", project, "--predictions", project / "p.jsonl", "--truth", project / "test.jsonl")
    assert scored.code == 0, scored.err
    shown = kdsl("predict", project, "--input", project / "test.jsonl", "--explain", "3").out
    assert "3  shop" in shown and "3  other" in shown
