"""A project whose large model hears: from kdsl train to predictions with what each sample cost, and kdsl prompt."""

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra vlm")
pytest.importorskip("av", reason="needs the extra voice")

import tiny_hearing
import tiny_qwen2vl
from model_server import model_server
from tiny_project import SMALL, read, write

from kdsl.audio.transcript import Transcript, transcript_record
from kdsl.vlm.conversation import ask

OTHER = dict(zip(tiny_hearing.LABELS, reversed(tiny_hearing.LABELS), strict=True))
"""What the model has to learn anew: here a low tone is called 高."""
TRAINING = "training: {epochs: 4, learning_rate: 0.005, batch: 4, at_once: 4}\nlimits: {calls: 3, tokens: 100}\n"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Qwen2-Audio that names tones by the other's name, asked as the project asks."""
    folder = tiny_hearing.build_qwen2_audio(tmp_path_factory.mktemp("base") / "model")
    known = tiny_hearing.world(folder.parent / "known", 48)
    examples = [(ask("用户: 听\n嗯", *conversation[0].pieces), label) for conversation, label in known]
    tiny_qwen2vl.train(folder, examples, steps=60, batch=8)
    return folder


def write_project(folder: Path, large: Path | str, n: int = 40) -> Path:
    """Customers who send a tone as voice message; that they hum, 嗯, is all that is written down of any."""
    folder.mkdir(parents=True)
    labels = "".join(f"  - {{name: {label}, description: {label}音}}\n" for label in tiny_hearing.LABELS)
    (folder / "tones.yaml").write_text(f"name: tones\nlabels:\n{labels}prompt: '{{dialogue}}标签？'\n", "utf-8")
    data = "data: {train: train.jsonl, test: test.jsonl, audio: audio, transcripts: transcripts.jsonl}"
    (folder / "kdsl.yaml").write_text(
        f"tasks: [tones.yaml]\n{data}\nlarge: {large}\nencoder: none\nmining: {{iterations: 20}}\n{SMALL}{TRAINING}",
        "utf-8",
    )
    transcripts = []
    for name, count, seed in (("train", n, 1), ("test", 12, 2)):
        records = []
        for index, (conversation, label) in enumerate(tiny_hearing.world(folder / "audio", count, seed)):
            sound = conversation[0].pieces[0].path.name
            turns = [{"role": "user", "text": "听", "audio": [sound]}]
            records.append({"id": f"{name}{index}", "task": "tones", "turns": turns, "label": OTHER[label]})
            transcripts.append(transcript_record(Transcript(sound, 0.5, "嗯")))
        write(folder / f"{name}.jsonl", records)
    write(folder / "transcripts.jsonl", transcripts)
    return folder


@pytest.fixture(scope="module")
def tuned(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from kdsl.project.mining import mine
    from kdsl.project.project import Project
    from kdsl.project.task import TaskProject
    from kdsl.project.training import train_project

    folder = write_project(tmp_path_factory.mktemp("tuned") / "project", base)
    project = Project.open(folder)
    mine(project, TaskProject.of(project, project.tasks[0]), workers=1)
    train_project(project)
    return folder


def right(project: Path, output: str) -> float:
    truth = {record["id"]: record["label"] for record in read(project / "test.jsonl")}
    return float(np.mean([record["label"] == truth[record["id"]] for record in read(project / output)]))


def test_what_is_heard_decides_within_the_limits(kdsl, tuned):
    """All transcripts are alike, so that words alone say nothing."""
    result = kdsl("predict", tuned, "--input", tuned / "test.jsonl", "--output", tuned / "p.jsonl")
    assert result.code == 0, result.err
    assert right(tuned, "p.jsonl") >= 0.9
    assert "12 calls and 24 output tokens for 12 samples, at most 1 and 2 for one" in result.err


def test_the_prompt_shows_where_sounds_stand(kdsl, tuned):
    result = kdsl("prompt", tuned, "--sample", "train0")
    assert result.code == 0, result.err
    assert f"用户: 听\n嗯[audio: {tuned / 'audio' / '1-0.wav'}]标签？" in result.out.replace("\r", "")


def test_a_sound_that_is_missing_stops_the_prediction_in_one_sentence(kdsl, tuned, tmp_path):
    turns = [{"role": "user", "text": "听", "audio": ["none.wav"]}]
    write(tmp_path / "new.jsonl", [{"id": "new", "task": "tones", "turns": turns}])
    result = kdsl("predict", tuned, "--input", tmp_path / "new.jsonl", "--output", tmp_path / "p.jsonl")
    assert result.code == 2
    assert "none.wav" in result.err and "Traceback" not in result.err


def test_a_server_that_does_not_hear_is_asked_with_what_is_said(kdsl, base, tmp_path):
    """It is asked once whether it hears; then no request holds a sound."""
    with model_server(lacks=("sounds", "prompt_logprobs"), answer="高") as server:
        project = write_project(tmp_path / "project", server.url, n=8)
        assert kdsl("mine", project).code == 0
        result = kdsl("train", project)
        assert result.code == 0, result.err
        sent = [json.dumps(each["body"], ensure_ascii=False) for each in server.requests() if each["body"]]
        heard = [body for body in sent if "input_audio" in body]
        assert 1 <= len(heard) <= 2  # what it refuses is asked once more in the plainest form
        assert not any("用户" in body for body in heard)
        assert any("用户: 听\\n嗯标签？" in body for body in sent)


def test_a_server_that_hears_is_sent_the_sounds(kdsl, tmp_path):
    with model_server(lacks=("prompt_logprobs",), answer="高") as server:
        project = write_project(tmp_path / "project", server.url, n=8)
        assert kdsl("mine", project).code == kdsl("train", project).code == 0
        about = [each["body"] for each in server.requests() if "用户" in json.dumps(each["body"], ensure_ascii=False)]
        assert about
        for body in about:
            kinds = [part["type"] for part in body["messages"][0]["content"]]
            assert kinds == ["text", "input_audio", "text"]
