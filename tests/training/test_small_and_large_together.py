"""The whole chain with Qwen2-VL on both sides: `kdsl run`, once in this process, once through a server process."""

import json
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the extra vlm")

from model_server import model_server
from tiny_project import SMALL, TRAINING, write_project
from tiny_qwen2vl import QUESTIONS

from kdsl.rules.rulebase import RuleBase

COLOUR, BAR = QUESTIONS


def project(folder: Path, small: Path | str, large: Path | str, extra: str) -> Path:
    """A project with visual questions; its labels name the other colour than the page has."""
    write_project(folder, large, extra=extra)
    config = (folder / "kdsl.yaml").read_text("utf-8")
    config = config.replace("images: images}", "images: images, questions: questions.jsonl}")
    config = config.replace("iterations: 30}", "iterations: 30, calls: 60}") + f"small: {small}\n"
    config += "fields: {visual: false}\n"  # so that only the models see the colour
    (folder / "kdsl.yaml").write_text(config, "utf-8")
    return folder


def run(kdsl, folder: Path) -> dict[str, float]:
    """Weighted F1 of model, rules and both on the test samples."""
    result = kdsl("run", folder, "--workers", 1)
    assert result.code == 0, result.err
    [task] = json.loads((folder / "checkpoints/run/evaluation/report.json").read_text("utf-8"))["tasks"]
    return {part: task[part]["scores"]["weighted_f1"] for part in ("model", "rules", "both")}


def assert_rules_look_at_the_colour(folder: Path) -> None:
    rules = RuleBase.load(folder / "rules", "shop").rules
    questions = {condition.question for rule in rules for condition in rule.conditions} - {None}
    assert questions == {COLOUR}


def test_in_this_process_the_large_model_is_fine_tuned_and_both_are_right(kdsl, small_directory, tiny_model, tmp_path):
    folder = project(tmp_path / "p", small_directory, tiny_model, SMALL + TRAINING)
    scores = run(kdsl, folder)
    assert min(scores.values()) >= 0.9
    assert_rules_look_at_the_colour(folder)
    assert (folder / "checkpoints/run/large/joint/curves.png").exists()


def test_through_a_server_rules_make_up_for_a_model_that_was_not_trained(kdsl, small_directory, tmp_path):
    with model_server(small_directory) as server:
        folder = project(tmp_path / "p", server.url, server.url, SMALL)
        scores = run(kdsl, folder)
        asked = len(server.requests())
        again = kdsl("run", folder, "--workers", 1)
        posted = [entry for entry in server.requests()[asked:] if entry.get("body")]
        assert (again.code, posted) == (0, [])
    assert scores["both"] >= 0.9 > scores["model"]
    assert_rules_look_at_the_colour(folder)
