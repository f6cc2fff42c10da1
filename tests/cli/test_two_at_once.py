"""Two commands at once: the second one is told who writes there, and nothing is mixed."""

import json
import os
import shutil
import signal
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from fork_server import Forked
from small_shop import dialogues, read, write, write_project

from kdsl.data.readers import read_samples
from kdsl.errors import KdslError
from kdsl.locks import held
from kdsl.project.prediction import ProjectPredictor
from kdsl.project.project import Project
from kdsl.project.steps import Pipeline
from kdsl.review import decisions
from kdsl.review.store import RuleStore
from kdsl.rules.rule import Rule, rule_id
from kdsl.rules.rulebase import RuleBase

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no flock")

PAUSED = """
import signal, sys
from importlib import import_module
from kdsl.cli import main

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # who started the tests may ignore it
    module, _, names = sys.argv.pop(1).partition(":")
    *parents, name = names.split(".")
    owner = import_module(module)
    for parent in parents:
        owner = getattr(owner, parent)
    original = getattr(owner, name)

    def paused(*arguments, **options):
        setattr(owner, name, original)
        print("working", flush=True)
        sys.stdin.read()
        return original(*arguments, **options)

    setattr(owner, name, paused)
    main()
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A project after kdsl run, with reasons to import and a file of samples without labels."""
    folder = write_project(tmp_path_factory.mktemp("shop") / "project")
    (folder / "images").mkdir()
    write(folder / "ocr.jsonl", [])
    write(folder / "pool.jsonl", [{key: each[key] for key in ("id", "turns")} for each in dialogues(6, 7, "u")])
    first = read(folder / "train.jsonl")[0]
    write(folder / "brought.jsonl", [{"id": first["id"], "reason": "用户在问这件事情"}])
    pipeline = Pipeline(Project.open(folder), 1, lambda line: None)
    for step in (pipeline.check, pipeline.mine, pipeline.train, pipeline.evaluate):
        step()
    return folder


@pytest.fixture
def project(finished, tmp_path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "project"))


@pytest.fixture
def start(tmp_path):
    """start("module:function", "mine", …): the command in a process that waits there until its stdin ends."""
    script = tmp_path / "paused.py"
    script.write_text(PAUSED)
    with ExitStack() as stack:

        def start(place: str, *arguments: object) -> Forked:
            process = stack.enter_context(Forked(script, place, *arguments))
            while (line := process.stdout.readline()) != b"working\n":
                assert line, process.errors()
            return process

        yield start


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".lock"
    }


def finish(process: Forked) -> None:
    _, errors = process.end()
    assert process.returncode == 0, errors


TEACHER = ("distill.teacher=http://127.0.0.1:9/v1", "data.unlabelled={}/pool.jsonl", "data.distilled={}/d.jsonl")
REASONS = ("data.reasons={}/reasons.jsonl",)
PREDICT = ("predict", "{}", "--input", "{}/test.jsonl", "--output", "{}/p.jsonl")
CONVERT = ("convert", "{}", "--input", "{}/test.jsonl", "--output", "{}/s.json", "--format", "sharegpt")
SCORED = ("--predictions", "{}/checkpoints/run/predictions.jsonl", "--truth", "{}/test.jsonl")
WRITING = {
    "mine": ("kdsl.project.mining:mine_task", ("mine", "{}", "--workers", "1")),
    "mine --trace": ("kdsl.project.label_search:start_search", ("mine", "{}", "--trace", "调光")),
    "train": ("kdsl.project.fitting:fit_arbiter", ("train", "{}")),
    "run": ("kdsl.project.steps:Pipeline.mine", ("run", "{}", "--workers", "1")),
    "predict": ("kdsl.arbiter.predictor:Predictor.decide", PREDICT),
    "convert": ("kdsl.data.conversion.convert:convert_samples", CONVERT),
    "augment": ("kdsl.augmentation.written:write_samples", ("augment", "{}", "augment.copies=1")),
    "evaluate": ("kdsl.evaluate.folder:write_evaluation", ("evaluate", "{}", *SCORED)),
    "rules export": ("kdsl.files:write_atomically", ("rules", "export", "{}", "--output", "{}/rules.csv")),
    "reasons --import": (
        "kdsl.reasons.importing:import_reasons",
        ("reasons", "{}", *REASONS, "--import", "{}/brought.jsonl"),
    ),
}
"""Command → where it is made to wait, and its words."""
KILLED = {
    "ocr": ("kdsl.fields.ocr:fill_ocr", ("ocr", "{}")),
    "caption": ("kdsl.small.captions:fill_captions", ("caption", "{}", "small=none", "data.captions={}/c.jsonl")),
    "cross-validate": (
        "kdsl.project.cross_validation:cross_validate_project",
        ("evaluate", "{}", "--cross-validate", "2", "--output", "{}/cv", "--workers", "1"),
    ),
    "ablate": ("kdsl.project.ablation:ablate_project", ("evaluate", "{}", "--ablate", "rules")),
    "seesaw": ("kdsl.project.seesaw:compare_adapters", ("evaluate", "{}", "--seesaw")),
    "reasons": (
        "kdsl.project.asked:open_model",
        ("reasons", "{}", *REASONS, "--model", "http://127.0.0.1:9/v1"),
    ),
    "distill": ("kdsl.project.distillation:distil_project", ("distill", "{}", *TEACHER)),
    "fine-tune": ("kdsl.project.large:tuners_of", ("train", "{}", "--fine-tune-only")),
}


@pytest.mark.parametrize("name", WRITING | KILLED)
def test_a_second_command_is_told_about_the_first_and_writes_nothing(kdsl, start, project, name):
    place, words = (WRITING | KILLED)[name]
    command = [word.format(project) for word in words]
    first = start(place, *command)
    before = files(project)
    second = kdsl(*command)
    assert (second.code, second.out) == (2, "")
    assert f": `kdsl {' '.join(command)}` (process {first.pid}, since " in second.err
    assert second.err.endswith(") is writing there; wait until that has ended, or end it, and run again\n")
    assert second.err.count("\n") == 1
    assert files(project) == before
    if name in WRITING:  # the others need a model, or minutes
        finish(first)
        assert not list(project.rglob("*.lock"))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_after_a_command_was_ended_the_same_one_goes_on(kdsl, start, project, number):
    command = [word.format(project) for word in PREDICT]
    first = start("kdsl.arbiter.predictor:Predictor.decide", *command)
    first.send_signal(number)
    first.wait()
    assert kdsl(*command).code == 0
    assert not list(project.rglob("*.lock"))


@pytest.mark.parametrize(
    ("name", "override"),
    [("mine", "checkpoint={}/checkpoints/other"), ("mine", "rules={}/other"), ("train", "rules={}/other")],
)
def test_projects_that_share_a_folder_are_one(kdsl, start, project, name, override):
    place, words = WRITING[name]
    start(place, *(word.format(project) for word in words))
    (project / "other.yaml").write_bytes((project / "kdsl.yaml").read_bytes())
    second = kdsl("mine", project / "other.yaml", override.format(project))
    assert second.code == 2 and "is writing there" in second.err


@pytest.mark.parametrize("make", [os.symlink, os.link])
def test_two_names_of_one_output_are_one_output(kdsl, start, project, make):
    options = ("predict", project, "--input", project / "test.jsonl", "--output")
    output, link = project / "p.jsonl", project / "linked" / "q.jsonl"
    assert kdsl(*options, output).code == 0
    whole = output.read_bytes()
    output.write_bytes(b"".join(whole.splitlines(keepends=True)[:5]))
    link.parent.mkdir()
    make(output, link)
    shutil.copy(f"{output}.meta.json", f"{link}.meta.json")
    first = start("kdsl.arbiter.predictor:Predictor.decide", *options, output)
    second = kdsl(*options, link)
    assert second.code == 2 and "wait until" in second.err and second.err.count("\n") == 1
    finish(first)
    assert output.read_bytes() == whole


def test_two_outputs_are_predicted_at_once(kdsl, start, project):
    options = ("predict", project, "--input", project / "test.jsonl", "--output")
    first = start("kdsl.arbiter.predictor:Predictor.decide", *options, project / "p.jsonl")
    assert kdsl(*options, project / "q.jsonl").code == 0
    finish(first)
    assert (project / "p.jsonl").read_bytes() == (project / "q.jsonl").read_bytes()


def test_what_only_reads_does_not_wait_for_mining(kdsl, start, project):
    place, words = WRITING["mine"]
    start(place, *(word.format(project) for word in words))
    for command in (["check"], ["rules", "list"], ["rules", "fmt", "--check"], ["mine", "--label", "调光"]):
        assert kdsl(*command, project).code in (0, 1)


SAVES = "kdsl.arbiter.trained:save_out_of_fold"
"""Between the classifier and the arbiter."""


def test_who_predicts_while_a_training_is_saved_reads_what_belongs_together(start, project):
    training = start(SAVES, "train", project, "seed=3")
    training.stdin.close()
    predictor = ProjectPredictor.open(Project.open(project)).predictor
    during = predictor.state()
    assert training.wait() == 0
    assert during == ProjectPredictor.open(Project.open(project)).predictor.state()
    assert len(predictor.decide(read_samples(project / "test.jsonl", Project.open(project).tasks))) == 15


def test_after_a_training_was_killed_while_it_saved_there_is_nothing_to_predict_with(kdsl, start, project):
    training = start(SAVES, "train", project, "seed=3")
    training.send_signal(signal.SIGKILL)
    training.wait()
    command = [word.format(project) for word in PREDICT]
    refused = kdsl(*command)
    assert refused.code == 2 and "run `kdsl train` first" in refused.err
    assert kdsl("train", project).code == 0
    assert kdsl(*command).code == 0


def test_a_task_that_was_trained_again_before_its_first_sample_is_not_predicted(project):
    opened = Project.open(project)
    predictor = ProjectPredictor.open(opened).predictor
    predictor.state()
    arbiter = project / "checkpoints/run/shop/arbiter.json"
    arbiter.write_text(json.dumps(json.loads(arbiter.read_text("utf-8")) | {"a": 2.5}), "utf-8")
    with pytest.raises(KdslError, match=r"run/shop: was trained again since predicting began; predict again"):
        predictor.decide(read_samples(project / "test.jsonl", opened.tasks))


@pytest.fixture
def forgotten(project) -> Rule:
    """A rule of an earlier mining that this one does not find."""
    rule = Rule(id="r-0000", label="调光", when={"all": [{"user": ["从前有人说"]}]}, provenance={"source": "mcts"})
    rule = rule.model_copy(update={"id": rule_id("shop", rule.label, rule.conditions)})
    RuleBase(project / "rules", "shop").save(rule)
    return rule


def test_a_decision_that_is_made_during_mining_is_not_lost(start, project, forgotten):
    mining = start("kdsl.project.mining:update_rule_base", "mine", project, "--workers", "1")
    store = RuleStore(project / "rules", ["shop"])
    decisions.decide(store, "小王", "shop", forgotten.id, store.get("shop", forgotten.id).version, "accepted")
    finish(mining)
    assert RuleBase.load(project / "rules", "shop").get(forgotten.id).status == "accepted"


def test_while_mining_writes_its_rules_nobody_decides(start, project, forgotten):
    mining = start("kdsl.rules.rulebase:RuleBase.remove", "mine", project, "--workers", "1")
    with pytest.raises(KdslError, match="another command is writing it"), held(project / "rules", wait=False):
        pass
    mining.stdin.close()
    store = RuleStore(project / "rules", ["shop"])  # waits until mining has written all
    assert forgotten.id not in [stored.rule.id for stored in store.rules("shop")]
    assert mining.wait() == 0
