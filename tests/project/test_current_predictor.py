"""What a project predicts with while its files change: what changed is read again, a mistake changes nothing."""

import json
import shutil
from pathlib import Path

import pytest

from kdsl.errors import KdslError
from kdsl.fields.sidecar import OcrLine, OcrPage
from kdsl.models.embedded import EmbeddedClassifier
from kdsl.project.current_predictor import CurrentPredictor
from kdsl.project.project import Project
from kdsl.rules.condition import Condition
from kdsl.rules.rule import Rule, When
from kdsl.sample import Label, Sample, Task, Turn

TASKS = [Task(name, (Label("退款"), Label("尺码"))) for name in ("returns", "desk")]
TEXTS = {"退款": ("我要退款", "退款到了吗", "还没退款"), "尺码": ("太小了", "尺码太小", "太小想换")}
OWN = Rule(id="r-mine0001", label="退款", status="accepted", when=When(all=(Condition(field="user", terms=("钱",)),)))
QUICK = {"mining.iterations": 5, "mining.max_conditions": 1, "encoder": "none", "small": "lexical"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("finished") / "shop"
    Project.create(folder, TASKS)
    records = [
        {"id": f"{label}{n}", "task": task.name, "text": text, "label": label}
        for task in TASKS
        for label, texts in TEXTS.items()
        for n, text in enumerate(texts)
    ]
    (folder / "data" / "train.json").write_text(json.dumps(records), "utf-8")
    project = Project.open(folder, QUICK)
    project.mine(workers=1)
    project.train()
    return folder


@pytest.fixture
def project(finished, tmp_path) -> Project:
    return Project.open(shutil.copytree(finished, tmp_path / "shop"), QUICK)


@pytest.fixture
def read(monkeypatch) -> list[str]:
    """The tasks whose classifiers are read from disk, in their order."""
    folders = []
    load = EmbeddedClassifier.load.__func__
    monkeypatch.setattr(
        EmbeddedClassifier,
        "load",
        classmethod(lambda cls, folder, *rest: (folders.append(folder.name), load(cls, folder, *rest))[1]),
    )
    return folders


def asked(text: str, task: str = "returns") -> Sample:
    return Sample("1", task, (Turn("user", text),))


def hit(predictor, text: str, task: str = "returns") -> set[str]:
    [decision] = predictor.decide([asked(text, task)])
    return {each.hit.rule.id for each in decision.rules}


def break_a_rule(project: Project) -> Path:
    path = project.rules("returns").files[0].path
    path.write_text("label: [", "utf-8")
    return path


def test_while_nothing_changes_it_is_the_same_object(project):
    current = CurrentPredictor(project)
    assert current.now() is current.now()


def test_rules_are_read_again_and_classifiers_are_not(project, read):
    current = CurrentPredictor(project)
    before = current.now(whole=True)
    assert read == ["returns", "desk"]
    assert OWN.id not in hit(before, "还我钱")
    Project.open(project.config.folder, QUICK).rules("returns").save(OWN)  # as another process does
    after = current.now(whole=True)
    assert OWN.id in hit(after, "还我钱")
    assert read == ["returns", "desk"]
    assert after.images.sidecars is before.images.sidecars


def test_what_was_given_out_goes_on_with_the_rules_that_it_had(project):
    current = CurrentPredictor(project)
    before = current.now()
    state = before.predictor.state()
    for task in ("returns", "desk"):
        project.rules(task).save(OWN)
    after = current.now()
    for task in ("returns", "desk"):  # the first samples of their tasks
        assert OWN.id not in hit(before, "还我钱", task)
        assert OWN.id in hit(after, "还我钱", task)
    assert before.predictor.state() == state
    assert after.predictor.state().rules["desk"].keys() - state.rules["desk"].keys() == {OWN.id}


def test_decisions_are_those_of_a_project_that_is_opened_afresh(project):
    current = CurrentPredictor(project)
    current.now()
    project.rules("returns").save(OWN)
    base = project.rules("desk")
    base.save(base.rules[0].model_copy(update={"status": "rejected"}))
    samples = [asked(text, task.name) for task in TASKS for texts in TEXTS.values() for text in (*texts, "还我钱")]
    decisions = current.now().decide(samples)
    afresh = CurrentPredictor(Project.open(project.config.folder, QUICK)).now().decide(samples)
    assert [each.record() for each in decisions] == [each.record() for each in afresh]


def test_a_broken_rule_file_is_refused_until_it_is_mended(project):
    current = CurrentPredictor(project)
    before = current.now(whole=True)
    path = project.rules("returns").files[0].path
    text, id = path.read_text("utf-8"), project.rules("returns").files[0].rule.id
    break_a_rule(project)
    for _ in range(2):
        with pytest.raises(KdslError, match=rf"{path.name}, line 1"):
            current.now(whole=True)
    assert id in before.predictor.state().rules["returns"]
    path.write_text(text.replace("status: proposed", "status: accepted"), "utf-8")
    assert current.now(whole=True).predictor.state().rules["returns"][id].status == "accepted"


def test_who_does_not_ask_for_the_whole_goes_without_a_broken_rule(project, caplog):
    current = CurrentPredictor(project)
    before = current.now()
    break_a_rule(project)
    after = current.now()
    assert len(after.predictor.state().rules["returns"]) == len(before.predictor.state().rules["returns"]) - 1
    with pytest.raises(KdslError):
        CurrentPredictor(Project.open(project.config.folder, QUICK)).now(whole=True)


def test_what_was_trained_again_is_read_again(project, read):
    current = CurrentPredictor(project)
    trained = current.now(whole=True).predictor.state().trained
    Project.open(project.config.folder, {**QUICK, "seed": 3}).train()
    after = current.now(whole=True)
    assert read == ["returns", "desk"] * 2
    assert after.predictor.state().trained.keys() == trained.keys()
    assert after.predictor.state().trained != trained


def test_the_process_that_reads_pictures_goes_on_when_a_checkpoint_is_read_again(project):
    current = CurrentPredictor(project, keeping=False)
    before = current.now()
    Project.open(project.config.folder, {**QUICK, "seed": 3}).train()
    after = current.now()
    assert after is not before
    assert after.images.pages.reader is before.images.pages.reader is not None


def test_a_checkpoint_that_cannot_be_loaded_is_told_before_its_first_sample(project):
    current = CurrentPredictor(project)
    before = current.now(whole=True)
    (project.config.checkpoint / "desk" / "linear.npz").write_bytes(b"damaged")
    for _ in range(2):
        with pytest.raises(KdslError, match=r"desk/linear\.npz"):
            current.now(whole=True)
    assert hit(before, "退款", "desk") is not None
    hit(current.now(), "退款", "returns")  # who does not ask for the whole can still predict the other task


def test_what_sidecars_say_by_now_is_taken_over(project):
    sidecar = project.config.folder / "data" / "ocr.jsonl"
    sidecar.write_text("", "utf-8")
    current = CurrentPredictor(project)
    predictor = current.now()
    predictor.images.sidecars.ocr["found.png"] = OcrPage("found.png", (9, 9), (OcrLine("钱", 0.9, (0, 0, 9, 9)),))
    page = {"image": "a.png", "size": [9, 9], "lines": [{"text": "钱", "score": 0.9, "box": [0, 0, 9, 9]}]}
    sidecar.write_text(json.dumps(page) + "\n", "utf-8")
    assert current.now() is predictor
    assert predictor.images.sidecars.ocr.keys() == {"a.png", "found.png"}


def test_new_visual_questions_of_rules_are_asked(project):
    current = CurrentPredictor(project)
    before = current.now()
    asking = OWN.model_copy(update={"when": When(all=(Condition(field="sees", question="图中有灯吗？"),))})
    project.rules("desk").save(asking)
    after = current.now()
    assert before.images.answers.tasks["desk"].questions == ()
    assert after.images.answers.tasks["desk"].questions == ("图中有灯吗？",)
    assert after.images.answers.tasks["returns"] == before.images.answers.tasks["returns"]
    assert after.images.answers.sidecars is before.images.sidecars
