"""Reasons in the answers: learned before or after the label, never at the cost of the limits."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra vlm")

import tiny_qwen2vl
from tiny_project import OTHER, SMALL, TRAINING, read, write, write_project

from kdsl.models.large.card import TrainingCard
from kdsl.models.large.targets import CHINESE, ENGLISH, answer_pieces, marks_of, score_labels, shortened
from kdsl.sample import Label, Task
from kdsl.training.data import data_hash
from kdsl.training.examples import Example, Examples
from kdsl.vlm.conversation import begun
from kdsl.vlm.local import LocalModel

REASON = "{}色页面，我要{}货。"


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> LocalModel:
    return LocalModel.load(str(tiny_model), tiny_qwen2vl.BUDGET)


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    return tiny_qwen2vl.draw_page(tmp_path_factory.mktemp("page") / "a.png", "红", bar=True)


@pytest.fixture(scope="module")
def mined(tiny_model: Path, tmp_path_factory) -> Path:
    """A project with reasons for all training samples but every fifth."""
    from kdsl.project.mining import mine
    from kdsl.project.project import Project
    from kdsl.project.task import TaskProject

    training = TRAINING.replace("epochs: 3", "epochs: 8").replace("patience: 3", "patience: 8")
    folder = write_project(tmp_path_factory.mktemp("reasoned") / "project", tiny_model, extra=SMALL + training)
    records = read(folder / "train.jsonl")
    write(folder / "reasons.jsonl", [
        {"id": record["id"], "reason": REASON.format(OTHER[record["label"][0]], record["label"][1]), "model": "hand"}
        for number, record in enumerate(records) if number % 5
    ])  # fmt: skip
    project = Project.open(folder)
    mine(project, TaskProject.of(project, project.tasks[0]), workers=1)
    return folder


@pytest.fixture
def project(mined: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(mined, tmp_path / "project"))


@pytest.mark.parametrize(
    ("target", "pieces"),
    [
        ("label", ("红退",)),
        ("label_reason", ("红退\n", "理由：页面是蓝色。 我要退货。")),
        ("reason_label", ("页面是蓝色。 我要退货。", "\n标签：", "红退")),
    ],
)
def test_an_answer_holds_the_label_and_the_reason_in_the_target_s_order(target, pieces):
    assert answer_pieces(target, "红退", "页面是蓝色。\n我要退货。") == pieces


@pytest.mark.parametrize(
    ("target", "pieces"),
    [("label", ("红退",)), ("label_reason", ("红退\n",)), ("reason_label", ("\n标签：", "红退"))],
)
def test_without_a_reason_it_is_the_label_in_the_same_format(target, pieces):
    assert answer_pieces(target, "红退", "") == pieces


@pytest.mark.parametrize(
    ("target", "pieces"),
    [
        ("label", ("refund",)),
        ("label_reason", ("refund\n", "Reason: It is blue.")),
        ("reason_label", ("It is blue.", "\nLabel:", "refund")),
    ],
)
def test_an_english_task_has_english_marks(target, pieces):
    task = Task("t", (Label("refund"), Label("exchange")))
    assert marks_of(task) == ENGLISH
    assert marks_of(Task("t", (Label("退款"), Label("exchange")))) == CHINESE
    assert answer_pieces(target, "refund", "It is blue.", marks_of(task)) == pieces


def test_what_was_learned_with_other_marks_is_learned_anew():
    example = Example("t", tiny_qwen2vl.ask("Which?"), "refund", "It is blue.")
    assert data_hash([example]) != data_hash([replace(example, marks=ENGLISH)])


@pytest.mark.parametrize(
    ("tokens", "kept"),
    [(20, "页面是蓝色，有付款按钮；写着退货。"), (12, "页面是蓝色，有付款按钮"), (6, "页面是蓝色"), (4, "")],
)
def test_a_reason_too_long_for_the_output_loses_its_last_clauses(tokens, kept):
    assert shortened("页面是蓝色，有付款按钮；写着退货。", tokens, len) == kept


def test_a_learned_reason_leaves_room_for_mark_label_and_end(model):
    long = "页面是红色，" * 40
    for label in ("红", "红退"):
        example = Example("t", tiny_qwen2vl.ask("标签？"), label, long)
        encoded = Examples([example], model.processor, "reason_label", 100)[0]
        assert 80 < len(encoded.answer) <= 100
        assert model.processor.text(encoded.answer).endswith(f"{CHINESE.label}{label}")
        english = Examples([replace(example, marks=ENGLISH)], model.processor, "reason_label", 100)[0]
        assert 80 < len(english.answer) <= 100
        assert model.processor.text(english.answer).endswith(f"\nLabel:{label}")


def test_labels_before_reasons_are_scored_with_the_line_break_that_ends_them(model, page):
    """红 begins 红退: without what ends it, it could not be less probable."""
    labels = ("红", "红退")
    conversation = tiny_qwen2vl.classify(page, "退")
    scored = score_labels(model, [conversation], labels, "label_reason", [0])
    pieces = [model.processor.answer_ids(f"{label}\n", ended=False) for label in labels]
    assert [ids[-1] for ids in pieces] == model.processor.answer_ids("\n", ended=False) * 2
    open_ended = model.score([conversation], labels, ended=False).log_probabilities[0]
    assert open_ended[0] >= open_ended[1]
    assert scored.costs[0].calls == 1
    assert scored.reasons == ("",)


def test_what_an_answer_begins_with_is_scored_as_part_of_it(model, page):
    """p(beginning and rest) = p(beginning) · p(rest | beginning), with pictures in the prompt too."""
    conversation = tiny_qwen2vl.classify(page, "退")
    beginning = model.score([conversation], ["页面"], ended=False).log_probabilities[0, 0]
    rest = model.score([begun(conversation, "页面")], ["红", "红退"]).log_probabilities[0]
    ids = [model.processor.answer_ids("页面", rest) for rest in ("红", "红退")]
    whole = model.score([conversation], ["页面红", "页面红退"]).log_probabilities[0]
    assert ids == [model.processor.answer_ids(text) for text in ("页面红", "页面红退")]
    assert beginning + rest == pytest.approx(whole, abs=1e-4)


def test_generation_stops_where_the_mark_begins_and_counts_its_tokens(model, page):
    """The caption 红色页面, stopped at 色: what it wrote until then, at the price of that character too."""
    conversation = tiny_qwen2vl.describe(page)
    whole, stopped = (model.generate([conversation] * 2, 10, stop=stop)[1] for stop in (None, "色"))
    assert (whole.text, stopped.text) == ("红色页面", "红")
    assert stopped.output_tokens == 2 < whole.output_tokens
    assert model.generate([conversation], 10, stop="绿")[0].text == "红色页面"


def test_a_long_prompt_loses_pieces_for_the_answer_s_beginning_too(tiny_model, page):
    tight = LocalModel.load(str(tiny_model), tiny_qwen2vl.BUDGET, max_tokens=50)
    conversation = tiny_qwen2vl.ask("我要退货。" * 2, "我要换货。", tiny_qwen2vl.Instruction("标签？"))
    plain = tight.processor.encode(conversation)
    continued = tight.processor.encode(begun(conversation, "页面是红色。" * 3))
    assert (plain.dropped, continued.dropped) == (0, 1)
    assert len(continued) <= 50
    assert tight.processor.text(continued.input_ids.tolist()).endswith("页面是红色。")


@pytest.mark.parametrize("target", ["reason_label", "label_reason"])
def test_a_model_that_learned_reasons_predicts_within_the_limits(kdsl, project, target):
    options = (f"training.target={target}", "data.reasons=" + str(project / "reasons.jsonl"))
    result = kdsl("train", project, *options)
    assert result.code == 0, result.err
    result = kdsl("predict", project, "--input", project / "test.jsonl", "--output", project / "p.jsonl", *options)
    assert result.code == 0, result.err
    records, truth = read(project / "p.jsonl"), read(project / "test.jsonl")
    assert np.mean([r["label"] == t["label"] for r, t in zip(records, truth, strict=True)]) >= 0.9
    costs = [record["cost"] for record in records]
    assert {cost["calls"] for cost in costs} == {2 if target == "reason_label" else 1}
    assert all(cost["tokens"] <= 100 for cost in costs)
    assert json.loads((project / "checkpoints/run/shop/large.json").read_text())["target"] == target
    if target == "label_reason":
        assert all("reason" not in record["model"] for record in records)
        return
    colours = [OTHER[record["label"][0]] for record in truth]
    written = [record["model"]["reason"] for record in records]
    assert (
        np.mean([reason == "" or f"{colour}色页面" in reason for reason, colour in zip(written, colours, strict=True)])
        >= 0.9
    ), written
    assert sum(map(bool, written)) >= 6, written
    # A limit that leaves the reason no room but for a few tokens still holds.
    tight = (*options, "limits.tokens=12")
    result = kdsl("predict", project, "--input", project / "test.jsonl", "--output", project / "q.jsonl", *tight)
    assert result.code == 0, result.err
    assert {record["cost"]["calls"] for record in read(project / "q.jsonl")} == {2}
    assert max(record["cost"]["tokens"] for record in read(project / "q.jsonl")) <= 12
    result = kdsl(
        "predict",
        project,
        "--input",
        project / "test.jsonl",
        "--output",
        project / "r.jsonl",
        *options,
        "limits.tokens=5",
    )
    assert (result.code, "would exceed `limits: {calls: 3, tokens: 5}`" in result.err) == (2, True)
    result = kdsl(
        "predict",
        project,
        "--input",
        project / "test.jsonl",
        "--output",
        project / "r.jsonl",
        *options,
        "limits.calls=1",
    )
    assert (result.code, "would exceed `limits: {calls: 1, tokens: 100}`" in result.err) == (2, True)
    reasoned = next(record for record in records if record["model"]["reason"])
    shown = kdsl("predict", project, "--input", project / "test.jsonl", "--explain", reasoned["id"], *options)
    assert f"The model's reason: {reasoned['model']['reason']}" in shown.out
    other = kdsl("predict", project, "--input", project / "test.jsonl", "--output", project / "s.jsonl")
    assert (other.code, 'trained with another target ("reason_label", now "label")' in other.err) == (2, True)


def test_a_target_with_reasons_needs_some(kdsl, project):
    result = kdsl("train", project, "training.target=reason_label")
    assert result.code == 2
    assert "training.target: reason_label needs reasons, but data.reasons is not set; make them with" in result.err


def test_a_server_cannot_answer_with_reasons(kdsl, project):
    result = kdsl("train", project, "training.target=label_reason", "large=http://localhost:1/v1")
    assert result.code == 2
    assert "training.target: label_reason needs a model in this process" in result.err


def test_an_ablation_fine_tunes_with_reasons_and_without(project, kdsl):
    result = kdsl(
        "evaluate", project, "--ablate", "reasons", "--cross-validate", 2, "--format", "json",
        f"data.reasons={project / 'reasons.jsonl'}", "training.epochs=2", "training.held_out=0.3",
    )  # fmt: skip
    assert result.code == 0, result.err
    record = json.loads(result.out)
    assert [row["steps"] for row in record["rows"]] == [[], ["reasons"]]
    assert record["left_out"] == {} and record["samples"] == 40
    cards = [TrainingCard.load(folder) for folder in (project / "checkpoints/run/large").glob("cross-validation-*")]
    assert [card.training.target for card in cards if card is not None] == ["reason_label"] * 2
