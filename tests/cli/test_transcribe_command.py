"""kdsl transcribe, and the step of that name in kdsl run."""

import json
import os
import signal
import sys
from pathlib import Path

import pytest
from interrupted import run_interrupted
from sounds import needs_espeak, needs_voice, save_wav, silence, spoken, tone
from speech_server import speech_server

from kdsl.audio.transcript import read_transcripts
from kdsl.distribution import install_command
from kdsl.project.project import Project
from kdsl.project.steps import Pipeline

for _package in needs_voice:
    pytest.importorskip(_package)

SPOKEN = {"refund.wav": "I want a refund", "cancel.wav": "please cancel my order"}


@pytest.fixture
def project(tmp_path) -> Path:
    """A project with a tone, silence, and files that are no sounds."""
    save_wav(tmp_path / "sounds/low.wav", tone(1, 300))
    save_wav(tmp_path / "sounds/high.wav", tone(1, 1200))
    save_wav(tmp_path / "sounds/silent.wav", silence(1))
    save_wav(tmp_path / "sounds/unused.wav", tone(1, 300))
    (tmp_path / "sounds/text.wav").write_text("where is my order?")
    (tmp_path / "task.yaml").write_text("name: t\nlabels: [{name: a}, {name: b}]\n")
    (tmp_path / "kdsl.yaml").write_text(
        "tasks: [task.yaml]\ndata: {train: d.jsonl, audio: sounds, transcripts: t/said.jsonl}\n"
    )
    choose(tmp_path, "low.wav", "high.wav")
    return tmp_path


def choose(project: Path, *names: str) -> None:
    turns = [[{"role": "user", "text": "", "audio": [name]}] for name in names]
    lines = [json.dumps({"id": str(i), "turns": each, "label": "ab"[i % 2]}) for i, each in enumerate(turns)]
    (project / "d.jsonl").write_text("\n".join(lines))


@needs_espeak
def test_what_customers_say_is_written_down_by_the_embedded_recogniser(kdsl, project):
    for name, text in SPOKEN.items():
        save_wav(project / "sounds" / name, spoken(text))
    choose(project, *SPOKEN)
    result = kdsl("transcribe", project, "--workers", 1)
    sidecar = project / "t/said.jsonl"
    assert (result.code, result.out) == (0, f"{sidecar}: 2 sounds transcribed, 0 were there\n")
    assert {name: each.text for name, each in read_transcripts(sidecar).items()} == {
        name: text.lower() for name, text in SPOKEN.items()
    }
    [sample, _] = Project.open(project).samples()
    assert sample.audio == ("refund.wav",)
    assert kdsl("transcribe", project).out == f"{sidecar}: 0 sounds transcribed, 2 were there\n"


def test_only_sounds_of_samples_are_transcribed_and_what_is_wrong_is_told(kdsl, project):
    choose(project, "low.wav", "silent.wav", "text.wav", "gone.wav")
    whole = (project / "sounds/low.wav").read_bytes()
    (project / "sounds/low.wav").write_bytes(whole[:-4000])
    with speech_server() as server:
        result = kdsl("transcribe", project, f"speech={server.url}")
        assert len(server.forms) == 1
    assert (result.code, result.err) == (1, "")
    assert result.out.splitlines() == [
        f"{project / 't/said.jsonl'}: 2 sounds transcribed (1 without words), 0 were there",
        "look at: low.wav (it is cut off)",
        "not transcribed: text.wav (is no sound that can be read (Invalid data found when processing input); give it "
        "as WAV, MP3, OGG, M4A or AMR)",
        "not transcribed: gone.wav (no such file)",
    ]
    with speech_server() as server:
        told = json.loads(kdsl("transcribe", project, f"speech={server.url}", "--format", "json").out)
    assert (told["transcribed"], told["transcribed_before"], told["silent"]) == (0, 2, 0)
    assert list(told["problems"]) == ["text.wav", "gone.wav"]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.transcripts=", "data.transcripts is not set; name the sidecar file to fill"),
        ("data.audio=", "data.audio is not set; name the folder"),
        ("data.audio=nowhere", "data.audio nowhere is no folder"),
        ("speech=./nowhere", "nowhere: no such model directory; name a directory, a hub id"),
        ("speech=http://127.0.0.1:9/v1", "http://127.0.0.1:9/v1/models: cannot be reached"),
    ],
)
def test_what_is_missing_in_the_configuration_is_one_sentence(kdsl, project, override, message, monkeypatch):
    monkeypatch.setattr("kdsl.audio.served._RETRIES", 0)
    result = kdsl("transcribe", project, override)
    assert (result.code, result.out) == (2, "")
    assert message in result.err and result.err.count("\n") == 1


def test_without_the_extra_it_is_named(kdsl, project, monkeypatch):
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    result = kdsl("transcribe", project)
    assert result.code == 2
    assert f"recognising speech needs PocketSphinx; install it with: {install_command('voice')}" in result.err
    monkeypatch.setitem(sys.modules, "av", None)
    result = kdsl("transcribe", project)
    assert f"decoding sounds needs PyAV; install it with: {install_command('voice')}" in result.err


def test_an_interruption_keeps_what_is_done_and_the_next_run_goes_on(kdsl, project):
    names = [f"{number}.wav" for number in range(40)]
    for name in names:
        save_wav(project / "sounds" / name, tone(0.3, 300))
    choose(project, *names)
    sidecar = project / "t/said.jsonl"
    with speech_server() as server:
        speech = f"speech={server.url}"
        done = run_interrupted(signal.SIGINT, project / "t", "said.jsonl", 3, "transcribe", project, speech)
        assert done.returncode == 130
        assert done.stderr.endswith(f"interrupted: 2 transcripts are in {sidecar}; run again to go on\n")
        kept = len(read_transcripts(sidecar))
        assert kept == 3  # the third was written before the program could be told of it
        assert kdsl("transcribe", project, speech).out == f"{sidecar}: 37 sounds transcribed, 3 were there\n"


def lines_of(project: Path, *overrides: str) -> list[str]:
    told: list[str] = []
    Pipeline(Project.open(project, overrides), 1, told.append).transcribe()
    return told


def test_the_step_transcribes_once_and_says_what_is_left(project):
    choose(project, "low.wav", "silent.wav", "text.wav")
    with speech_server() as server:
        speech = f"speech={server.url}"
        assert lines_of(project, speech) == [
            "transcribe …",
            "transcribe: 2 sounds transcribed (1 of them without words), 1 cannot be: `kdsl transcribe` lists them",
        ]
        assert lines_of(project, speech)[0].startswith("transcribe (unchanged): 2 sounds transcribed")
        choose(project, "low.wav", "silent.wav")
        assert lines_of(project, speech) == ["transcribe …", "transcribe: the transcripts of all sounds are there"]
        os.unlink(project / "t/said.jsonl")
        assert lines_of(project, speech)[1] == "transcribe: 2 sounds transcribed (1 of them without words)"
        assert len(server.forms) == 2


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("data.transcripts=", "data.transcripts is not set: left out"),
        ("data.audio=", "data.audio is not set: 2 sounds are taken as without words"),
    ],
)
def test_the_step_goes_on_where_the_project_has_no_place_for_it(project, override, line):
    assert lines_of(project, override)[1] == f"transcribe: {line}"


def test_the_step_goes_on_without_the_extra(project, monkeypatch):
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    [_, line] = lines_of(project)
    assert line.startswith("transcribe: 2 sounds are taken as without words: recognising speech needs PocketSphinx")
    assert not (project / "t").exists()


def test_the_step_goes_on_without_transformers_where_a_whisper_is_named(project, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    [_, line] = lines_of(project, "speech=openai/whisper-small")
    assert line.startswith("transcribe: 2 sounds are taken as without words: openai/whisper-small: a model in this ")
    assert "needs torch and transformers (No module named 'transformers')" in line
