"""kdsl mine, predict and caption with `small:` a model that looks at images: visual rules name the right question."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from interrupted import run_interrupted
from small_world import BAR, COLOUR, LABELS, QUESTIONS, said, write_project
from tiny_qwen2vl import draw_page

from kdsl.rules.rulebase import RuleBase


@pytest.fixture(scope="module")
def mined(small_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project after `kdsl mine`."""
    folder = write_project(tmp_path_factory.mktemp("mined"), small=str(small_directory))
    done = subprocess.run([*COMMAND, "mine", str(folder), "--workers", "1"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (folder / "stderr.txt").write_text(done.stderr, "utf-8")
    return folder


COMMAND = [sys.executable, "-m", "kdsl"]


def rules(project: Path) -> dict[str, str]:
    return {rule.id: str(rule) for rule in RuleBase.load(project / "rules", "shop").rules}


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_visual_rules_name_the_question_that_tells(mined: Path) -> None:
    base = RuleBase.load(mined / "rules", "shop")
    statistics = base.statistics()
    for name in LABELS:
        best = max(base.by_label(name), key=lambda rule: statistics[rule.id, rule.when_hash].reliability)
        visual = [condition for condition in best.conditions if condition.question is not None]
        assert [(condition.question, condition.negated) for condition in visual] == [(COLOUR, name[0] == "蓝")]
        assert any(name[1] in term for condition in best.conditions for term in condition.terms)
        assert statistics[best.id, best.when_hash].held_out.correct == 12
    assert not any(condition.question == BAR for rule in base.rules for condition in rule.conditions)


def test_every_image_was_asked_every_question_once(mined: Path) -> None:
    records = lines(mined / "questions.jsonl")
    answered = [record for record in records if "image" in record]
    assert sorted(record["image"] for record in answered) == sorted(f"{i}.png" for i in range(48))
    assert all(set(record["answers"]) == set(QUESTIONS) for record in answered)
    assert {record["question"] for record in records if "image" not in record} == set(QUESTIONS)


def test_rules_tell_who_proposed_them_and_what_the_model_thinks_of_them(kdsl, mined: Path) -> None:
    base = RuleBase.load(mined / "rules", "shop")
    assert {rule.provenance.proposer for rule in base.rules} == {"model"}
    entries = base.statistics().values()
    assert all(entry.sense is not None and entry.sense > 0.5 for entry in entries)
    rule = base.by_label("红退")[0]
    shown = kdsl("rules", "show", rule.id, mined).out
    assert f"makes sense {base.statistics()[rule.id, rule.when_hash].sense:.2f} (says the small model)" in shown
    told = (mined / "stderr.txt").read_text("utf-8")
    assert "shop: 2 visual questions; 48 images were asked about now" in told
    assert "terms and 0 synonyms of the small model are candidates" in told


def test_a_second_run_asks_nothing_and_changes_no_file(kdsl, mined: Path) -> None:
    before = {path: path.read_bytes() for path in mined.rglob("*") if path.is_file()}
    result = kdsl("mine", mined, "--workers", 1)
    assert "0 rules added, 0 removed" in result.err and "; 0 calls so far" in result.err
    assert "0 images were asked about now" in result.err
    assert {path: path.read_bytes() for path in mined.rglob("*") if path.is_file()} == before


def elsewhere(folder: Path) -> tuple[object, ...]:
    """Rules and checkpoint in another folder."""
    return f"rules={folder / 'rules'}", f"checkpoint={folder / 'checkpoint'}", "--workers", 1


def test_without_calls_questions_are_still_mined(kdsl, mined: Path, tmp_path: Path) -> None:
    result = kdsl("mine", mined, "mining.calls=0", *elsewhere(tmp_path))
    assert result.code == 0 and "more calls were wanted; mining.calls allows 0" in result.err
    base = RuleBase.load(tmp_path / "rules", "shop")
    assert any(condition.question == COLOUR for rule in base.rules for condition in rule.conditions)
    assert all(entry.sense is None and not entry.synonyms for entry in base.statistics().values())


def test_answers_serve_without_the_model_too(kdsl, mined: Path, tmp_path: Path) -> None:
    result = kdsl("mine", mined, "small=lexical", *elsewhere(tmp_path))
    assert result.code == 0 and "small model" not in result.err
    base = RuleBase.load(tmp_path / "rules", "shop")
    assert {rule.provenance.proposer for rule in base.rules} == {"lexical"}
    assert any(condition.question == COLOUR for rule in base.rules for condition in rule.conditions)


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGKILL")
@pytest.mark.parametrize("file", ["questions.jsonl", "checkpoints/run/small.jsonl"])
def test_killed_while_mining_it_goes_on_to_the_same_rules(kdsl, mined: Path, small_directory, tmp_path, file) -> None:
    project = write_project(tmp_path, small=str(small_directory))
    killed = run_interrupted(signal.SIGKILL, project, file, 9, "mine", project, "--workers", 1)
    assert killed.returncode == -signal.SIGKILL
    assert not rules(project)
    kept = (project / file).read_bytes()
    assert kdsl("mine", project, "--workers", 1).code == 0
    assert rules(project) == rules(mined)
    assert (project / file).read_bytes().startswith(kept[: kept.rfind(b"\n") + 1])
    for name in ("questions.jsonl", "checkpoints/run/small.jsonl"):
        assert len(lines(project / name)) == len(lines(mined / name)), "nothing was asked twice"


def test_new_images_are_asked_what_active_rules_ask_and_no_more(kdsl, mined: Path, tmp_path: Path) -> None:
    project = Path(shutil.copytree(mined, tmp_path / "project"))
    asked = new_samples(project)
    assert kdsl("train", project).code == 0
    output = tmp_path / "predictions.jsonl"
    result = kdsl("predict", project, "--input", asked, "--output", output)
    assert result.code == 0 and "warning" not in result.err
    assert [record["label"] for record in lines(output)] == list(LABELS)
    assert {rule["label"] for record in lines(output) for rule in record["rules"]} == set(LABELS)
    new = [record for record in lines(project / "questions.jsonl") if record.get("image", "").startswith("new")]
    assert [list(record["answers"]) for record in new] == [[COLOUR]] * 4


def test_what_cannot_be_asked_is_counted(kdsl, mined: Path, tmp_path: Path, caplog) -> None:
    project = Path(shutil.copytree(mined, tmp_path / "project"))
    asked = new_samples(project)
    kdsl("train", project)
    kdsl("predict", project, "small=lexical", "--input", asked, "--output", tmp_path / "lexical.jsonl")
    assert "visual questions about 4 images have no answer and count as no" in caplog.text
    assert "new0.png (`small:` names no model)" in caplog.text
    (project / "images" / "new1.png").write_bytes(b"no image")
    caplog.clear()
    kdsl("predict", project, "--input", asked, "--output", tmp_path / "broken.jsonl")
    assert "visual questions about 1 images have no answer" in caplog.text and "new1.png (not an image" in caplog.text


def test_the_whole_chain_asks_before_it_mines_and_rests_when_nothing_has_changed(kdsl, mined: Path) -> None:
    first = kdsl("run", mined, "--workers", 1)
    assert first.code == 0
    [task] = json.loads((mined / "checkpoints/run/evaluation/report.json").read_text("utf-8"))["tasks"]
    assert task["both"]["scores"]["weighted_f1"] >= 0.9 > 0.8 > task["model"]["scores"]["weighted_f1"]
    second = kdsl("run", mined, "--workers", 1)
    steps = [line for line in second.err.splitlines() if ": " in line]
    assert steps and all("(unchanged): " in line for line in steps)
    assert {line.split(" ")[0] for line in steps} >= {"questions", "mine", "train", "evaluate"}


def new_samples(project: Path) -> Path:
    """Four samples with pages that nobody has seen, one a label."""
    records = []
    for i, name in enumerate(LABELS):
        draw_page(project / "images" / f"new{i}.png", name[0], False, 77 + i)
        records.append({"id": f"n{i}", "turns": [{"role": "user", "text": said(name[1]), "images": [f"new{i}.png"]}]})
    path = project / "new.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    return path


def test_captions_become_a_field(kdsl, mined: Path, tmp_path: Path) -> None:
    captions = tmp_path / "captions.jsonl"
    result = kdsl("caption", mined, f"data.captions={captions}")
    assert (result.code, result.out) == (0, f"{captions}: 48 images described, 0 were there\n")
    assert lines(captions)[0] == {"image": "0.png", "caption": "红色页面", "model": "model"}
    again = json.loads(kdsl("caption", mined, f"data.captions={captions}", "--format", "json").out)
    assert again == {"described": 0, "described_before": 48, "problems": {}}
    found = kdsl("mine", mined, f"data.captions={captions}", "small=lexical", "data.questions=", "--label", "红退")
    assert "caption has" in found.out


def test_a_model_that_is_not_there_is_one_sentence(kdsl, mined: Path, tmp_path: Path) -> None:
    result = kdsl("mine", mined, "small=/no/such/model", *elsewhere(tmp_path))
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("error: /no/such/model: no such model directory") and result.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("small=lexical", "small: lexical looks at no image; name a model"),
        ("small=/no/such/model", "/no/such/model: no such model directory"),
        ("data.captions=", "data.captions is not set"),
        ("data.images=/no/such/folder", "data.images /no/such/folder is no folder"),
    ],
)
def test_what_cannot_be_described_is_one_sentence(kdsl, mined: Path, tmp_path: Path, override, message) -> None:
    result = kdsl("caption", mined, f"data.captions={tmp_path / 'captions.jsonl'}", override)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("error: ") and result.err.count("\n") == 1 and message in result.err
