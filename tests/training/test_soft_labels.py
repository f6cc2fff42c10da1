"""A fine-tuned model as teacher behind a server, and as pupil: soft targets, and samples that are never held out."""

import json
import random
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the extra vlm")

import tiny_qwen2vl
from model_server import model_server
from tiny_project import read, samples, write

from kdsl.models.large.card import TrainingCard


@pytest.fixture
def pool(project: Path) -> list[dict]:
    """Other customers, who say more: the same words would make them samples that people labelled already."""
    records = samples(project / "images", 8, 5)
    for record in records:
        words = list("页面图片描述黑条红蓝吗标签")
        random.Random(record["id"]).shuffle(words)
        record["turns"][0]["text"] = f"{''.join(words)}。{record['turns'][0]['text']}"
    write(project / "pool.jsonl", [{key: value for key, value in r.items() if key != "label"} for r in records])
    return records


def test_a_teacher_that_tells_log_probabilities_gives_soft_targets(kdsl, project, pool, tuned):
    """Teacher and pupil are of one kind: what the fine-tuned model knows comes back from its server."""
    with model_server(tuned / "checkpoints/run/large/joint") as server:
        options = [f"data.unlabelled={project / 'pool.jsonl'}", f"data.distilled={project / 'd.jsonl'}",
                   f"distill.teacher={server.url}", "distill.confidence=0.5", "training.epochs=3"]  # fmt: skip
        result = kdsl("distill", project, *options, "--format", "json")
    assert result.code == 0, result.err
    [found] = json.loads(result.out)
    assert found["written"] >= 4
    for line in read(project / "d.jsonl"):
        assert max(line["targets"], key=line["targets"].get) == line["label"]
        assert sum(line["targets"].values()) == pytest.approx(1, abs=1e-4)
        assert len(line["targets"]) > 1
        assert line["targets"][line["label"]] == pytest.approx(line["confidence"], abs=1e-3)


def test_fine_tuning_learns_a_teacher_s_best_labels_and_holds_none_of_them_out(kdsl, project, pool):
    targets = [{**record, "targets": {record["label"]: 0.9, tiny_qwen2vl.LABELS[0]: 0.1}} for record in pool[1:]]
    write(project / "d.jsonl", [{key: value for key, value in r.items() if key != "label"} for r in targets])
    result = kdsl("train", project, f"data.distilled={project / 'd.jsonl'}", "training.epochs=1")
    assert result.code == 0, result.err
    card = TrainingCard.load(project / "checkpoints/run/large/joint")
    assert card is not None
    assert card.tasks == {"shop": {"train": 32, "held_out": 8, "soft_labels": 7}}
    assert not any(identity.startswith("5-") for identity in card.held_out["shop"])
    assert "| shop | 32 and a teacher's 7 | 8 |" in (project / "checkpoints/run/large/joint/card.md").read_text(
        "utf-8"
    )
    steps = max(entry["step"] for entry in card.history)
    assert steps == -(-(32 + 7) // 4)


def test_changed_copies_and_a_teacher_s_samples_are_learned_together(kdsl, project, pool):
    labelled = [{**record, "targets": {record["label"]: 1.0}} for record in pool]
    write(project / "d.jsonl", [{key: value for key, value in r.items() if key != "label"} for r in labelled])
    options = [f"data.distilled={project / 'd.jsonl'}", "training.epochs=1", "augment.copies=1"]
    result = kdsl("train", project, *options)
    assert result.code == 0, result.err
    card = TrainingCard.load(project / "checkpoints/run/large/joint")
    assert card is not None
    counts = card.tasks["shop"]
    assert (counts["train"], counts["held_out"], counts["soft_labels"]) == (32, 8, 8)
    assert counts["copies"] > 0
    steps = max(entry["step"] for entry in card.history)
    assert steps == -(-(32 + 8 + counts["copies"]) // 4)
