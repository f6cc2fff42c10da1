"""Retrieval in the prompts of a large model: what is held out is never shown, what was learned from is kept."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra vlm")

from tiny_project import SMALL, read, write_project

from kdsl.augmentation.augmenter import Augmenter
from kdsl.fields.sidecar import Sidecars
from kdsl.fields.table import FieldTable
from kdsl.models.large.prompts import Prompts
from kdsl.models.soft_labels import SoftLabels
from kdsl.retrieval.knowledge import Passage
from kdsl.sample import Label, Sample, Task, Turn
from kdsl.training.data import hold_out, with_copies

TASK = Task("t", (Label("甲"), Label("乙")))
AS_IT_STANDS = SMALL + "training: {method: none}\n"
SHOWN = ("prompt.neighbours=2", "prompt.knowledge=1", "prompt.embeddings=model")


def test_no_prompt_shows_a_held_out_sample():
    words = ["台灯亮度", "裤子面料"]
    samples = [Sample(str(i), "t", (Turn("user", f"{words[i % 2]}第{i}问怎么样"),)) for i in range(40)]
    data = hold_out(TASK, FieldTable(samples, Sidecars()), np.arange(40) % 2, 0.2, seed=0)
    prompts = Prompts(None, neighbours=3, knowledge=1, passages={"t": [Passage("灯", "台灯的亮度", "a")]})
    fitted = prompts.fitted([data.trained])
    out = {samples[row].turns[0].text for row in np.flatnonzero(data.held_out)}
    examples = data.examples(fitted, held_out=False) + data.examples(fitted, held_out=True)
    assert len(examples) == 40
    for example in examples:
        [message] = example.conversation
        shown = [piece for piece in message.pieces if piece.startswith("相似的样本")]
        assert len(shown) == 3
        assert not any(text in piece for text in out for piece in shown)


def test_copies_and_a_teacher_s_samples_are_shown_people_s_samples_but_never_their_own():
    samples = [
        Sample(
            str(i), "t", (Turn("user", f"你好，{'台灯亮度' if i % 2 else '裤子面料'}第{chr(0x4E00 + i) * 4}问，谢谢"),)
        )
        for i in range(40)
    ]
    pool = [Sample(f"p{i}", "t", (Turn("user", f"灯{chr(0x5E00 + i) * 4}的亮度"),)) for i in range(3)]
    soft_labels = SoftLabels(FieldTable(pool, Sidecars()), np.tile([0.2, 0.8], (3, 1)))
    reasons = {str(i): f"原因{i}" for i in range(40)}
    data = hold_out(TASK, FieldTable(samples, Sidecars()), np.arange(40) % 2, 0.2, 0, reasons, soft_labels)
    data = with_copies(data, Augmenter(TASK, 2), None, Path(), 1)
    assert len(data.copies) > 40
    prompts = Prompts(None, ocr=True, neighbours=30).fitted([data.trained])
    assert len(prompts.memories["t"].neighbours) == 32
    examples = data.examples(prompts, held_out=False)
    assert len(examples) == 32 + len(data.copies) + 3
    rows = [row.sample for row in data.table.select(np.flatnonzero(~data.held_out)).rows]
    rows += [row.sample for row in data.copies.table.rows]
    said = {sample.id: sample.turns[0].text for sample in samples}
    for sample, example in zip(rows, examples, strict=False):
        [message] = example.conversation
        shown = "".join(piece for piece in message.pieces if piece.startswith("相似的样本"))
        assert shown
        assert said[sample.source] not in shown
        assert example.reason == reasons[sample.source]
    assert {(example.answer, example.reason) for example in examples[-3:]} == {("乙", "")}
    assert len(data.examples(prompts, held_out=True)) == 8


@pytest.fixture(scope="module")
def prepared(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = write_project(tmp_path_factory.mktemp("retrieving"), tiny_model, n=16, extra=AS_IT_STANDS)
    (project / "know").mkdir()
    (project / "know/colours.md").write_text("# 颜色\n红货和蓝货。\n", "utf-8")
    return project


@pytest.fixture
def project(prepared: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(prepared, tmp_path / "project"))


def test_a_model_is_asked_with_neighbours_and_knowledge_as_in_training(kdsl, project):
    options = (*SHOWN, f"data.knowledge={project / 'know'}")
    assert kdsl("mine", project).code == 0
    result = kdsl("train", project, *options)
    assert result.code == 0, result.err
    assert {path.name for path in (project / "checkpoints/run/shop").iterdir()} >= {"memory.npz", "large.json"}

    def predict(*options: str):
        (project / "p.jsonl").unlink(missing_ok=True)
        return kdsl("predict", project, "--input", project / "test.jsonl", "--output", project / "p.jsonl", *options)

    shutil.rmtree(project / "know")  # what was learned from is kept
    result = predict(*SHOWN)
    assert result.code == 0, result.err
    assert {record["cost"]["calls"] for record in read(project / "p.jsonl")} == {2}
    asked = read(project / "p.jsonl")[0]["id"]
    shown = kdsl("predict", project, "--input", project / "test.jsonl", "--explain", asked, *SHOWN).out
    near = {record["id"] for record in read(project / "train.jsonl")} & set(
        shown.partition("nearest samples")[2].split()
    )
    assert len(near) == 2
    for change, words in (
        ("prompt.neighbours=1", "another neighbours"),
        ("prompt.embeddings=text", "another embeddings"),
        ("prompt.knowledge=2", "another knowledge"),
        ("prompt.ocr=true", "another ocr"),
    ):
        result = predict(*SHOWN, change)
        assert (result.code, words in result.err) == (2, True), result.err
    record = json.loads((project / "checkpoints/run/shop/large.json").read_text("utf-8")) | {"memory": "0" * 16}
    (project / "checkpoints/run/shop/large.json").write_text(json.dumps(record), "utf-8")
    result = predict(*SHOWN)
    assert "memory.npz: not what shop was trained with; run `kdsl train` again" in result.err
    (project / "checkpoints/run/shop/memory.npz").unlink()
    assert "memory.npz: no such file; run `kdsl train` again" in predict(*SHOWN).err


def test_a_reason_a_label_and_an_embedding_are_three_calls(kdsl, project):
    options = ("prompt.neighbours=2", "prompt.embeddings=model", "training={method: none, target: reason_label}")
    assert kdsl("mine", project).code == 0
    result = kdsl("train", project, *options)
    assert result.code == 0, result.err
    asked = ("predict", project, "--input", project / "test.jsonl", "--output", project / "p.jsonl", *options)
    result = kdsl(*asked, "limits.calls=2")
    assert result.code == 2
    assert "would exceed `limits:" in result.err
    (project / "p.jsonl").unlink(missing_ok=True)
    result = kdsl(*asked, "limits.calls=3")
    assert result.code == 0, result.err
    assert {record["cost"]["calls"] for record in read(project / "p.jsonl")} == {3}


def test_a_knowledge_folder_that_is_not_there_is_told_before_training(kdsl, project):
    assert kdsl("mine", project).code == 0
    result = kdsl("train", project, "prompt.knowledge=1", "data.knowledge=nowhere")
    assert (result.code, "nowhere: no such folder" in result.err) == (2, True)


def test_a_server_has_no_hidden_states(kdsl, project):
    assert kdsl("mine", project).code == 0
    result = kdsl("train", project, *SHOWN, "large=http://localhost:9/v1")
    assert result.code == 2
    assert "prompt.embeddings: model needs a model in this process" in result.err
