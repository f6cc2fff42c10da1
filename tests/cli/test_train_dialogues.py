"""kdsl train in a project of dialogues, and kdsl chat with what it learned."""

import json
import re
import shutil
import signal
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the extra vlm")
pytest.importorskip("av", reason="needs the extra voice")

import tiny_projection
import tiny_qwen2vl
from interrupted import run_interrupted
from tiny_projection import QUESTION, write_tones

CONFIG = """\
large:
  model: words
  projection: {encoder: ears}
chat: {train: dialogues.json, max_new_tokens: 4}
data: {audio: sounds}
training: {epochs: 30, learning_rate: 3e-3, at_once: 16, patience: 30}
"""


def dialogue(name: str, answer: str | None) -> list[list[dict[str, str]]]:
    """What the tone in this file is called, in FusionBrain's form."""
    asked = [{"type": "audio", "content": name}, {"type": "text", "content": QUESTION}]
    return [asked] if answer is None else [asked, [{"type": "text", "content": answer}]]


def write_dialogues(path: Path, tones: list[tuple[Path, str]]) -> None:
    path.write_text(json.dumps([dialogue(sound.name, name) for sound, name in tones]), "utf-8")


@pytest.fixture(scope="module")
def untrained(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("dialogues")
    tiny_projection.write_language_model(folder / "words")
    tiny_projection.write_encoder(folder / "ears")
    write_dialogues(folder / "dialogues.json", write_tones(folder / "sounds", 120))
    (folder / "kdsl.yaml").write_text(CONFIG)
    return folder


@pytest.fixture
def project(untrained, tmp_path) -> Path:
    return Path(shutil.copytree(untrained, tmp_path / "project"))


def test_tones_are_learned_and_then_named(kdsl, project):
    learned = kdsl("train", project)
    assert learned.code == 0, learned.err
    rows = [line.split() for line in learned.out.splitlines()]
    assert ["learned", "from", "96", "96"] in [row[:4] for row in rows]
    assert ["held", "out", "24", "24"] in [row[:4] for row in rows]
    assert f"{project / 'checkpoints/run/projection'}: the projection, as it was after epoch" in learned.out

    [again] = json.loads(kdsl("train", project, "--format", "json").out)
    assert Path(again["projection"]) == project / "checkpoints/run/projection"
    assert again["kind"] == "audio" and (again["tokens"], again["width"], again["size"]) == (4, 64, 32)
    assert again["history"][again["best"] - 1]["held_out"] < 0.2

    write_dialogues(project / "new.json", write_tones(project / "unheard", 30, seed=1000))
    files = ("--input", project / "new.json", "--output", project / "answers.jsonl")
    assert kdsl("chat", "run", project, *files, f"data.audio={project / 'unheard'}").code == 0
    answers = [json.loads(line) for line in (project / "answers.jsonl").read_text("utf-8").splitlines()]
    assert len(answers) == 30
    assert sum(answer["answer"] == answer["reference"] for answer in answers) >= 28
    assert sum(answer["perplexity"] < min(answer["others"]) for answer in answers) >= 28


def test_a_training_that_is_interrupted_goes_on_from_its_last_epoch(kdsl, project):
    steps = project / "checkpoints/run/projection.training"
    command = "train", project, "training.epochs=3"
    told = run_interrupted(signal.SIGINT, steps, "state.pt", 1, *command)
    assert told.returncode == 130
    assert "interrupted: epoch 2 is begun again by the same command" in told.stderr
    assert steps.exists() and not (project / "checkpoints/run/projection").exists()
    assert kdsl(*command).code == 0
    assert not steps.exists() and (project / "checkpoints/run/projection/projection.safetensors").exists()


def test_pictures_are_learned_with_an_encoder_of_pictures(kdsl, project, monkeypatch):
    monkeypatch.chdir(project)
    tiny_projection.write_eyes(project / "eyes")
    parts = [{"type": "audio", "content": "0.wav"}, {"type": "text", "content": QUESTION}]
    shown = []
    for row, colour in enumerate(("红", "蓝", "红")):
        tiny_qwen2vl.draw_page(project / f"{row}.png", colour, bar=False, seed=row)
        asked = [{"type": "image", "content": f"{row}.png"}, *parts]
        shown.append([asked, [{"type": "text", "content": "低"}], parts[1:], [{"type": "text", "content": "高"}]])
    (project / "dialogues.json").write_text(json.dumps(shown), "utf-8")
    learned = kdsl("train", "projection.encoder=./eyes", "training.epochs=1", "--format", "json")
    assert learned.code == 0, learned.err
    [card] = json.loads(learned.out)
    assert (card["kind"], card["dialogues"]) == ("image", {"train": 2, "held_out": 1})
    assert card["answers"] == {"train": 4, "held_out": 2}


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["chat.train=null", "chat.system=x"], "chat.train is not set; name the dialogues to learn from"),
        (
            ["projection=null"],
            "large: .*words has no projection, which is what learns from dialogues; write `large: {mo",
        ),
        (["large=linear"], "large: linear is no language model in this process, and only such a one can have a proj"),
        (["large=http://localhost:9/v1"], "large: http://localhost:9/v1 is no language model in this process"),
        (["projection.encoder=./gone"], "gone: no such model directory"),
        (["data.audio=gone"], "0.wav: no such file"),
    ],
)
def test_what_is_missing_is_one_sentence(kdsl, project, monkeypatch, overrides, message):
    monkeypatch.chdir(project)
    told = kdsl("train", *overrides)
    assert told.code == 2 and told.out == ""
    assert re.search(message, told.err), told.err
    assert len(told.err.splitlines()) == 1
    assert not (project / "checkpoints/run/projection").exists()


def test_dialogues_without_a_sound_before_an_answer_teach_nothing(kdsl, project):
    question = [{"type": "text", "content": QUESTION}]
    without = [dialogue("0.wav", None), [question, [{"type": "text", "content": "低"}]]]
    (project / "dialogues.json").write_text(json.dumps(without), "utf-8")
    told = kdsl("train", project)
    assert told.code == 2
    assert "dialogues.json: no dialogue has an answer behind a sound; give some that have, to learn from" in told.err


def test_nothing_answers_before_it_has_learned(kdsl, project):
    write_dialogues(project / "new.json", [(project / "sounds/0.wav", "低")])
    told = kdsl("chat", "run", project, "--input", project / "new.json", "--output", project / "answers.jsonl")
    assert told.code == 2
    assert "projection: holds no projection (projection.json is missing); run `kdsl train` first" in told.err


@pytest.mark.parametrize(
    "command", ["mine", "check", "rules list", "predict --text x", "evaluate --cross-validate 3", "run", "serve"]
)
def test_what_classifies_says_that_there_are_no_tasks(kdsl, project, monkeypatch, command):
    monkeypatch.chdir(project)
    told = kdsl(*command.split())
    assert (told.code, "Traceback" in told.err) == (2, False), told.err
    assert "kdsl.yaml: names no tasks, so there is nothing to classify; add `tasks:`, or answer" in told.err
