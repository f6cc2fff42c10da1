"""What the steps of kdsl run depend on: every key has those done again that read it, and none reads what it hides."""

import json
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from keys_read import KEYS, keys_read
from PIL import Image
from small_shop import WORDS, dialogues, read, write, write_project
from sounds import save_wav, tone

from kdsl.config import ProjectConfig
from kdsl.data.feedback import FeedbackLog
from kdsl.data.label_log import LabelLog
from kdsl.data.readers import read_samples
from kdsl.fields import page_network
from kdsl.project.dependencies import DEPENDENCIES, LEFT, applies, digest, left, value_of
from kdsl.project.project import Project
from kdsl.project.step_record import DoneStep, StepRecord
from kdsl.project.steps import RECORD_FILE, Pipeline
from kdsl.sample import Sample, Turn

STEPS = list(DEPENDENCIES)
RULES = ["mine", "train", "evaluate"]
FIT = ["train", "evaluate"]
SMALL = ["captions", "questions", *RULES]
NAMED, NAMED_SMALL = (["check", "ocr", "transcribe", *others] for others in (RULES, SMALL))

# Beside `small: lexical` and `large: linear`; nothing is asked of these models here.
MODELS = ("small=http://127.0.0.1:9/v1", "large=org/model", "training.target=reason_label")

RUNS_AGAIN: dict[str, tuple[str, list[str], list[str]]] = {
    "tasks": ("[other.yaml]", ["check", *RULES], ["check", *SMALL]),
    "data.train": ("other-train.jsonl", ["check", *RULES], ["check", "questions", *RULES]),
    # Distilled samples that are like a test sample are not learned from.
    "data.test": ("other-test.jsonl", ["check", *FIT], ["check", *FIT]),
    "data.images": ("other-images", ["check", "ocr", *RULES], ["check", "ocr", *SMALL]),
    "data.ocr": ("other-ocr.jsonl", ["ocr", *RULES], ["ocr", *RULES]),
    # What a model hears is read where there is one; everything else goes by what is said.
    "data.audio": ("other-audio", ["check", "transcribe", "evaluate"], ["check", "transcribe", *FIT]),
    "data.transcripts": (
        "other-transcripts.jsonl",
        ["check", "transcribe", *RULES],
        ["check", "transcribe", *RULES],
    ),
    "data.captions": ("other-captions.jsonl", RULES, ["captions", *RULES]),
    "data.questions": ("other-questions.jsonl", RULES, ["questions", *RULES]),
    "data.reasons": ("other-reasons.jsonl", [], FIT),
    "data.knowledge": ("other-knowledge", [], FIT),
    "data.unlabelled": ("other-train.jsonl", RULES, RULES),
    "data.relabelled": ("other-labels.jsonl", ["check", *RULES], ["check", "questions", *RULES]),
    "data.feedback": ("other-feedback.jsonl", ["check", *RULES], ["check", "questions", *RULES]),
    "data.distilled": ("other-distilled.jsonl", FIT, FIT),
    "data.columns.text": ("question", NAMED, NAMED_SMALL),
    "data.columns.turns": ("chat", NAMED, NAMED_SMALL),
    "data.columns.images": ("photo", NAMED, NAMED_SMALL),
    "data.columns.audio": ("voice", NAMED, NAMED_SMALL),
    "data.columns.label": ("intent", NAMED, NAMED_SMALL),
    "data.columns.id": ("sku", NAMED, NAMED_SMALL),
    "data.labels": ("{3: 调光}", NAMED, NAMED_SMALL),
    "encoder": ("use", ["check", *RULES], ["check", *RULES]),
    "fields.last_agent": ("false", ["check", *RULES], ["check", *RULES]),
    "fields.visual": ("false", ["check", *RULES], ["check", *RULES]),
    "small": ("org/other", SMALL, SMALL),
    "large": ("neighbours", FIT, FIT),
    "projection": ("{encoder: org/other}", [], []),
    "speech": ("http://127.0.0.1:9/v1", ["transcribe"], ["transcribe"]),
    "rules": ("other-rules", RULES, RULES),
    "checkpoint": ("other-checkpoint", NAMED, STEPS),
    "seed": ("1", RULES, RULES),
    "mining.max_conditions": ("4", RULES, RULES),
    "mining.iterations": ("7", RULES, RULES),
    "mining.focus": ("0.5", RULES, RULES),
    "mining.least_precision": ("0.7", RULES, RULES),
    "mining.max_samples": ("2000", RULES, RULES),
    "mining.questions": ("3", [], ["questions"]),
    "mining.calls": ("3", [], RULES),
    "adapters": ("per_task", [], FIT),
    "pixels.min": ("800", [], SMALL),
    "pixels.max": ("9999", [], SMALL),
    "prompt.descriptions": ("true", FIT, FIT),
    "prompt.ocr": ("true", FIT, FIT),
    "prompt.ocr_tokens": ("20", FIT, FIT),
    "prompt.neighbours": ("2", FIT, FIT),
    "prompt.embeddings": ("model", FIT, FIT),
    "prompt.knowledge": ("2", FIT, FIT),
    "prompt.max_tokens": ("99", FIT, FIT),
    "limits.calls": ("9", ["evaluate"], FIT),
    "limits.tokens": ("9", ["evaluate"], FIT),
    "limits.parameters": ("0.5", ["evaluate"], FIT),
    "abstain": ("{error: 0.1}", FIT, FIT),
    "training.method": ("none", [], FIT),
    "training.epochs": ("9", [], FIT),
    "training.learning_rate": ("0.5", [], FIT),
    "training.batch": ("9", [], FIT),
    "training.at_once": ("9", [], FIT),
    "training.held_out": ("0.5", [], FIT),
    "training.patience": ("9", [], FIT),
    "training.vision": ("true", [], FIT),
    "training.target": ("label_reason", [], FIT),
    "training.balance": ("0.5", [], FIT),
    "training.label_smoothing": ("0.1", [], FIT),
    "augment.copies": ("1", FIT, FIT),
    "augment.text": ("false", FIT, FIT),
    "augment.images": ("false", FIT, FIT),
    "augment.paraphrase": ("true", FIT, FIT),
    "distill.teacher": ("http://localhost:9/v1", [], []),
    "distill.confidence": ("0.5", [], []),
    "distill.rounds": ("2", [], []),
    "chat.train": ("other-train.jsonl", [], []),
    "chat.system": ("Be brief.", [], []),
    "chat.max_new_tokens": ("9", [], []),
    "chat.max_tokens": ("99", [], []),
    "serve.log": ("other-decisions", [], []),
    "serve.texts": ("true", [], []),
    "serve.days": ("9", [], []),
    "serve.body": ("9999", [], []),
    "serve.samples": ("9", [], []),
    "serve.seconds": ("9", [], []),
    "serve.waiting": ("9", [], []),
}
"""Key → another value, and the steps that are done again because of it: with embedded models, and with others."""

FILES = {
    "data.audio": "audio",
    "data.transcripts": "transcripts.jsonl",
    "data.captions": "captions.jsonl",
    "data.questions": "questions.jsonl",
    "data.reasons": "reasons.jsonl",
    "data.knowledge": "knowledge",
    "data.distilled": "distilled.jsonl",
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory) -> Path:
    """A project with a file for every key that names one, and another one beside each."""
    folder = write_project(tmp_path_factory.mktemp("dependencies") / "project")
    labels = [{"name": name, "description": "?"} for name in ("调光", "材质", "物流")]
    (folder / "other.yaml").write_text(json.dumps({"name": "shop", "labels": labels}), "utf-8")
    train, test = read(folder / "train.jsonl")[:30], read(folder / "test.jsonl")
    train[0]["images"] = train[1]["images"] = ["a.png"]
    test[0]["images"] = ["b.png"]
    train[2]["turns"][-1]["audio"] = ["a.wav"]
    test[1]["turns"][-1]["audio"] = ["b.wav"]
    write(folder / "train.jsonl", train)
    write(folder / "test.jsonl", test)
    write(folder / "other-train.jsonl", train[:-1])
    write(folder / "other-test.jsonl", test[:-1])
    for images, colour in (("images", "red"), ("other-images", "blue")):
        (folder / images).mkdir()
        for name in ("a.png", "b.png"):
            Image.new("RGB", (40 if colour == "red" else 60, 60), colour).save(folder / images / name)
    for audio, seconds in (("audio", 1.0), ("other-audio", 2.0)):
        for name in ("a.wav", "b.wav"):
            save_wav(folder / audio / name, tone(seconds))
    said = [{"file": name, "seconds": 1.0, "transcript": "退款"} for name in ("a.wav", "b.wav")]
    write(folder / "transcripts.jsonl", said)
    write(folder / "other-transcripts.jsonl", said[1:])
    ocr = [{"image": name, "size": [40, 60], "lines": [line("付款")]} for name in ("a.png", "b.png")]
    write(folder / "ocr.jsonl", ocr)
    write(folder / "other-ocr.jsonl", ocr[1:])
    caption = {"image": "a.png", "caption": "一个页面"}
    write(folder / "captions.jsonl", [caption, {**caption, "image": "b.png"}])
    write(folder / "other-captions.jsonl", [caption | {"caption": "别的"}])
    answer = {"image": "a.png", "model": "m", "answers": {"图中有人吗？": 0.9}}
    write(folder / "questions.jsonl", [answer])
    write(folder / "other-questions.jsonl", [answer | {"answers": {"图中有人吗？": 0.1}}])
    for name, reason in (("reasons.jsonl", "问亮度"), ("other-reasons.jsonl", "问光")):
        write(folder / name, [{"id": s["id"], "task": "shop", "label": s["label"], "reason": reason} for s in train])
    for name in ("knowledge", "other-knowledge"):
        (folder / name).mkdir()
        (folder / name / "lamps.md").write_text(f"# 灯\n{name}\n", "utf-8")
    LabelLog(folder / "other-labels.jsonl").give(read_samples(folder / "train.jsonl")[0], "物流", "小王")
    [task] = Project.open(folder).tasks
    FeedbackLog(folder / "other-feedback.jsonl").give(
        Sample("f", "shop", (Turn("user", "发货"),)), "物流", "小李", task
    )
    write(folder / "distilled.jsonl", dialogues(6, 7, "d"))
    write(folder / "other-distilled.jsonl", dialogues(6, 8, "d"))
    (folder / "rules/shop").mkdir(parents=True)
    (folder / "rules/shop/statistics.jsonl").touch()
    return folder


def line(text: str) -> dict:
    return {"text": text, "score": 0.9, "box": [0, 0, 9, 9]}


def opened(shop: Path, *changes: str) -> Project:
    files = [f"{key}={shop / name}" for key, name in FILES.items()] + ["training.method=full"]
    return Project.open(shop, [*files, *changes])


def to_do(project: Project) -> list[str]:
    record = StepRecord(project.config.checkpoint / RECORD_FILE)
    steps = [step for step in STEPS if applies(project.config, step)]
    return [step for step in steps if record.done(step, digest(project, step), left(project, step)) is None]


@pytest.mark.parametrize("models", [(), MODELS], ids=["embedded", "models"])
@pytest.mark.parametrize("key", sorted(KEYS))
def test_a_changed_key_has_the_steps_done_again_that_depend_on_it(shop, tmp_path, key, models):
    value, embedded, with_models = RUNS_AGAIN[key]
    place = f"checkpoint={tmp_path}"
    before = opened(shop, place, *models)
    record = StepRecord(tmp_path / RECORD_FILE)
    for step in STEPS:
        record.add(step, DoneStep(digest(before, step), left(before, step), []))
    assert to_do(opened(shop, place, *models)) == []
    if key.startswith("data.") or key in ("rules", "checkpoint", "tasks"):
        value = value.replace("other", str(shop / "other"))
    assert to_do(opened(shop, place, *models, f"{key}={value}")) == (with_models if models else embedded)


@pytest.mark.parametrize(
    ("changes", "again"),
    [((), FIT), (("fields.visual=false",), []), (MODELS, []), (("large=recorded:x.jsonl",), [])],
    ids=["embedded", "blind", "models", "recorded"],
)
def test_another_network_that_sees_images_has_the_embedded_classifier_trained_again(
    shop, tmp_path, monkeypatch, changes, again
):
    before = opened(shop, f"checkpoint={tmp_path}", *changes)
    record = StepRecord(tmp_path / RECORD_FILE)
    for step in STEPS:
        record.add(step, DoneStep(digest(before, step), left(before, step), []))
    monkeypatch.setattr(page_network, "page_network", lambda: SimpleNamespace(identity="another"))
    assert to_do(opened(shop, f"checkpoint={tmp_path}", *changes)) == again


def record_predictions(shop: Path) -> None:
    """What another model said about all samples, into recorded.jsonl."""
    samples = [*read(shop / "train.jsonl"), *read(shop / "test.jsonl")]
    write(shop / "recorded.jsonl", [{"id": each["id"], "label": each["label"]} for each in samples])


def test_every_step_says_what_it_reads_and_all_but_the_check_what_they_leave():
    assert {*LEFT} == {*STEPS} - {"check"}
    declared = {key for step in STEPS for reads in DEPENDENCIES[step] for key in reads.keys}
    config = ProjectConfig(tasks=["x"])
    for key in declared:
        value_of(config, key)  # a key that there is


def test_where_a_project_lies_and_where_it_is_run_from_do_not_matter(shop, tmp_path, monkeypatch):
    moved = Path(shutil.copytree(shop, tmp_path / "moved"))
    for image in ("a.png", "b.png"):
        os.utime(moved / "images" / image, ns=(0, (shop / "images" / image).stat().st_mtime_ns))
    monkeypatch.chdir(moved)
    for step in STEPS:
        assert digest(Project.open(shop), step) == digest(Project.open(), step)


TOLD = frozenset({"checkpoint", "data.knowledge", "data.reasons", "speech"})
"""Read for where to write, to warn of what is not used, and to transcribe, of which the transcripts count."""

WAYS = {
    "linear": (),
    "linear, everything on": ("augment.copies=1", "prompt.ocr=true", "prompt.neighbours=2", "prompt.knowledge=1",
                              "mining.focus=0.5"),
    "cross-validated": ("data.test=",),
    "neighbours": ("large=neighbours",),
    "recorded": ("large=recorded:recorded.jsonl",),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_no_step_reads_a_key_that_it_does_not_declare(shop, tmp_path, way, monkeypatch):
    changes = WAYS[way]
    copy = Path(shutil.copytree(shop, tmp_path / "project"))
    monkeypatch.chdir(copy)
    if way == "recorded":
        record_predictions(copy)
    pipeline = Pipeline(opened(copy, "mining.iterations=5", *changes), 1, lambda line: None)
    for step in STEPS:
        assert undeclared(pipeline, opened(copy, "mining.iterations=5", *changes), step) <= TOLD, step


def undeclared(pipeline: Pipeline, project: Project, step: str) -> set[str]:
    """The keys that a step reads without saying so; it is done."""
    with keys_read() as declared:
        applies(project.config, step)
        digest(project, step)
        left(project, step)
    with keys_read() as noted:
        getattr(pipeline, step)()
    return noted - declared


@pytest.mark.parametrize("limits", [(), ("limits.calls=null", "limits.tokens=null")], ids=["one call", "every label"])
def test_nor_does_one_that_asks_models(shop, tmp_path, monkeypatch, shared_server, limits):
    words = [(word, label) for label, known in WORDS.items() for word in known]
    shared_server.become(lacks=("prompt_logprobs",), constraint=None, answer="调光", replies=words)
    copy = Path(shutil.copytree(shop, tmp_path / "project"))
    monkeypatch.chdir(copy)
    (copy / "captions.jsonl").unlink()
    models = f"small={shared_server.url}", f"large={shared_server.url}", "prompt.knowledge=2", "prompt.neighbours=1"
    changes = *models, "mining.iterations=5", "prompt.ocr=true", "mining.focus=0.5", *limits
    told: list[str] = []
    pipeline = Pipeline(opened(copy, *changes), 1, told.append)
    for step in STEPS:
        assert undeclared(pipeline, opened(copy, *changes), step) <= TOLD, step
    assert [line for line in told if line.endswith(" …")] == [f"{step} …" for step in STEPS]
    assert "captions: 2 images described" in told
