"""`kdsl check` listens to the sounds of a project, and tells which of them nobody has transcribed."""

import json

import pytest
from sounds import needs_voice, save_wav, silence, tone

from kdsl.project.project import Project

for package in needs_voice[:1]:
    pytest.importorskip(package, reason="needs the extra voice")


@pytest.fixture
def shop(write, tmp_path):
    write("task.yaml", "name: t\nlabels: [{name: 退款}, {name: 尺码}]\n")
    write("kdsl.yaml", "tasks: [task.yaml]\ndata: {train: train.jsonl, audio: audio, transcripts: heard.jsonl}\n")
    names = ["好.wav", "silent.wav", "text.mp3", "gone.ogg", "half.wav"]
    rows = [{"id": str(n), "audio": [name], "label": "退款"} for n, name in enumerate(names)]
    write("train.jsonl", "\n".join(json.dumps(row, ensure_ascii=False) for row in rows))
    save_wav(tmp_path / "audio/好.wav", tone(1.0))
    save_wav(tmp_path / "audio/silent.wav", silence(1.0))
    (tmp_path / "audio/text.mp3").write_text("不是声音")
    whole = save_wav(tmp_path / "audio/half.wav", tone(2.0)).read_bytes()
    (tmp_path / "audio/half.wav").write_bytes(whole[: len(whole) // 2])
    return tmp_path


def found(shop):
    findings = Project.open(shop).check().findings
    return {each.kind: each.examples for each in findings if "audio" in each.kind or each.kind == "no-transcripts"}


def test_every_problem_is_found_by_what_is_in_the_file(shop):
    told = found(shop)
    assert [each.split(" (")[0] for each in told["unreadable-audio"]] == ["text.mp3"]
    assert told["missing-audio"] == ("gone.ogg",)
    assert told["silent-audio"] == ("silent.wav (nothing can be heard)",)
    assert told["damaged-audio"][0].startswith("half.wav (")
    assert len(told["no-transcripts"]) == 5


def test_what_has_a_line_in_the_sidecar_is_transcribed_even_where_nothing_is_said(shop, write):
    lines = [{"file": "好.wav", "seconds": 1.0, "transcript": "退款"}, {"file": "silent.wav", "transcript": ""}]
    write("heard.jsonl", "\n".join(json.dumps(line, ensure_ascii=False) for line in lines))
    assert found(shop)["no-transcripts"] == ("text.mp3", "gone.ogg", "half.wav")


def test_where_nothing_can_decode_that_is_one_finding(shop, monkeypatch):
    monkeypatch.setattr("kdsl.project.known_media.voice_installed", lambda: False)
    told = found(shop)
    assert told["unheard-audio"] == () and "silent-audio" not in told and told["missing-audio"] == ("gone.ogg",)
