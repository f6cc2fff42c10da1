"""Predictions of LLaMA-Factory and ms-swift: without ids, matched by order and checked by labels."""

import json
import logging
from pathlib import Path

import pytest

from kdsl.errors import KdslError
from kdsl.fields.sidecar import Sidecars
from kdsl.fields.table import FieldTable
from kdsl.models.by_order import has_no_ids
from kdsl.models.recorded import NO_ANSWER, read_recorded
from kdsl.sample import Label, Sample, Task, Turn

TASK = Task("scene", (Label("支付页面"), Label("退款页面")))
TRAIN = [Sample(f"t{i}", "scene", label=label) for i, label in enumerate(["支付页面", "退款页面", "退款页面"])]
TEST = [Sample("n0", "scene"), Sample("n1", "scene", label="支付页面")]


def generated(tmp_path: Path, *pairs: tuple[str, str]) -> Path:
    """(predicted, true) for every line."""
    path = tmp_path / "generated_predictions.jsonl"
    lines = [{"prompt": "system\n…\nassistant\n", "predict": predict, "label": label} for predict, label in pairs]
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), "utf-8")
    return path


def inferred(tmp_path: Path, *pairs: tuple[str, str]) -> Path:
    """As `swift infer` writes them."""
    path = tmp_path / "result.jsonl"
    lines = [
        {"response": response, "labels": label, "logprobs": None, "messages": [{"role": "user", "content": "<image>"}]}
        for response, label in pairs
    ]
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), "utf-8")
    return path


def answers_of(path: Path, orders, task: Task = TASK) -> dict[str, int]:
    """Sample id → answer, of the samples that the file was predicted for."""
    recorded, samples = read_recorded(path, task, orders), [sample for order in orders for sample in order]
    table = FieldTable(samples, Sidecars())
    found = zip(samples, recorded.of(table).labels.tolist(), recorded.covers(table).tolist(), strict=True)
    return {sample.id: answer for sample, answer, covered in found if covered}


def test_lines_are_the_samples_of_the_data_file_in_order(tmp_path):
    path = generated(tmp_path, ("退款页面", "支付页面"), ("退款页面", "退款页面"), (" 退款页面\n", "退款页面"))
    assert has_no_ids(path)
    assert answers_of(path, [TRAIN, TEST]) == {"t0": 1, "t1": 1, "t2": 1}


def test_results_of_ms_swift_are_read_alike(tmp_path):
    path = inferred(tmp_path, ("退款页面", "支付页面"), ("退款页面", "退款页面"), ("支付页面", "退款页面"))
    assert has_no_ids(path)
    assert answers_of(path, [TRAIN, TEST]) == {"t0": 1, "t1": 1, "t2": 0}
    path = inferred(tmp_path, ("支付页面", "支付页面"))
    with pytest.raises(KdslError, match="1 predictions of ms-swift, but the data files hold 3, 2 samples"):
        read_recorded(path, TASK, [TRAIN, TEST])
    path = inferred(tmp_path, *[("退款页面", "")] * 6)
    with pytest.raises(KdslError, match="6 predictions, but the data files hold 3 samples: ms-swift adds to a file"):
        read_recorded(path, TASK, [TRAIN])


def test_answers_that_hold_reasons_are_read_by_their_label(tmp_path):
    path = generated(
        tmp_path,
        ("金额在最上面。\n标签：支付页面", "有金额。\n标签：支付页面"),
        ("退款页面\n理由：写着退款", "退款页面"),
        ("It says so.\nLabel:支付页面", "\n标签：退款页面\n"),
    )
    assert answers_of(path, [TRAIN]) == {"t0": 0, "t1": 1, "t2": 0}


def test_the_number_of_lines_tells_the_file(tmp_path):
    path = generated(tmp_path, ("支付页面", ""), ("退款页面", "支付页面"))
    assert answers_of(path, [TRAIN, TEST]) == {"n0": 0, "n1": 1}


def test_files_of_one_length_are_told_by_their_labels(tmp_path):
    other = [Sample(f"o{i}", "scene", label="支付页面") for i in range(3)]
    path = generated(tmp_path, *[("退款页面", sample.label) for sample in TRAIN])
    assert set(answers_of(path, [other, TRAIN])) == {"t0", "t1", "t2"}


def test_predictions_of_several_files_may_follow_each_other(tmp_path):
    path = generated(tmp_path, *[("退款页面", sample.label or "") for sample in [*TRAIN, *TEST]])
    assert list(answers_of(path, [TRAIN, TEST])) == ["t0", "t1", "t2", "n0", "n1"]


def test_answers_that_are_no_label_are_counted(tmp_path, caplog):
    path = generated(tmp_path, ("支付页面。", "支付页面"), ("退款", "退款页面"), ("退款页面", "退款页面"))
    with caplog.at_level(logging.WARNING):
        answers = answers_of(path, [TRAIN])
    assert answers == {"t0": 0, "t1": NO_ANSWER, "t2": 1}
    assert "1 of 3 answers are no label of scene and count as no answer (line 2: '退款')" in caplog.text


def test_samples_of_other_tasks_are_left_out(tmp_path):
    both = [Sample("i", "intent", label="能否调光"), *TRAIN]
    path = generated(tmp_path, ("能否调光", "能否调光"), *[("退款页面", sample.label) for sample in TRAIN])
    assert answers_of(path, [both]) == {"t0": 1, "t1": 1, "t2": 1}


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([("退款页面", "支付页面")], "1 predictions of LLaMA-Factory, but the data files hold 3, 2 samples"),
        (
            [("退款页面", "退款页面")] * 3,
            "line 1: predicted for a sample with the label '退款页面', but the data file has sample 't0' with",
        ),
        ([("退款页面", "支付页面"), (None, "支付页面")], "line 2: not a prediction of LLaMA-Factory"),
    ],
)
def test_a_file_for_other_samples_is_told(tmp_path, pairs, message):
    with pytest.raises(KdslError, match=message):
        read_recorded(generated(tmp_path, *pairs), TASK, [TRAIN, TEST])


def test_a_project_trains_and_predicts_on_it(kdsl, tmp_path):
    labels = ["支付页面", "退款页面"]
    records = [{"id": str(i), "text": f"第{i}页", "label": labels[i % 2]} for i in range(24)]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records[:20]), "utf-8")
    (tmp_path / "test.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records[20:]), "utf-8")
    (tmp_path / "t.yaml").write_text("name: scene\nlabels: [{name: 支付页面}, {name: 退款页面}]\n", "utf-8")
    (tmp_path / "kdsl.yaml").write_text(
        "tasks: [t.yaml]\ndata: {train: train.jsonl, test: test.jsonl}\nmining: {iterations: 10}\n"
        "large: recorded:generated_predictions.jsonl\n",
        "utf-8",
    )
    generated(tmp_path, *[(record["label"], record["label"]) for record in records])
    for command in ("mine", "train"):
        assert kdsl(command, tmp_path).code == 0
    result = kdsl("predict", tmp_path, "--input", tmp_path / "test.jsonl", "--output", tmp_path / "p.jsonl")
    assert result.code == 0, result.err
    predicted = [json.loads(line)["label"] for line in (tmp_path / "p.jsonl").read_text("utf-8").splitlines()]
    assert predicted == [record["label"] for record in records[20:]]


def test_files_that_number_their_samples_alike_are_told_apart(tmp_path):
    """Without ids every file begins at 1; what was predicted for one says nothing about the other."""
    train = [Sample(str(i), "scene", (Turn("user", f"训练{i}"),), label="支付页面") for i in range(3)]
    test = [Sample(str(i), "scene", (Turn("user", f"新的{i}"),)) for i in range(2)]
    path = generated(tmp_path, ("退款页面", ""), ("支付页面", ""))
    recorded = read_recorded(path, TASK, [train, test])
    assert recorded.of(FieldTable(train, Sidecars())).labels.tolist() == [NO_ANSWER] * 3
    assert recorded.of(FieldTable(test, Sidecars())).labels.tolist() == [1, 0]
    with pytest.raises(KdslError, match=r"predictions for other samples than these \(like '0'\)"):
        recorded.require_any(FieldTable(train, Sidecars()))
    path = generated(tmp_path, *[("支付页面", "")] * 3, *[("退款页面", "")] * 2)
    recorded = read_recorded(path, TASK, [train, test])
    assert recorded.of(FieldTable([*train, *test], Sidecars())).labels.tolist() == [0, 0, 0, 1, 1]


def test_one_sample_in_two_files_has_one_answer(tmp_path):
    path = generated(tmp_path, ("支付页面", ""), ("支付页面", ""))
    assert answers_of(path, [TEST[:1], TEST[:1]]) == {"n0": 0}
    path = generated(tmp_path, ("支付页面", ""), ("退款页面", ""))
    with pytest.raises(KdslError, match=r"line 2: another answer than in line 1, but .* the same sample 'n0' there"):
        read_recorded(path, TASK, [TEST[:1], TEST[:1]])
