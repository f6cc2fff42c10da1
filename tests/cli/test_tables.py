"""The tables of all commands in a window of 80 columns."""

from pathlib import Path

import numpy as np
import pytest
from rich.cells import cell_len
from small_shop import write_project

from kdsl.cli.evaluate_tables import print_ablation, print_seesaw
from kdsl.data.sample_file import SampleFile
from kdsl.evaluate.ablation import Row
from kdsl.evaluate.bootstrap import Interval
from kdsl.project.ablation import Ablation
from kdsl.project.prediction import predict_file
from kdsl.project.project import Project
from kdsl.training.seesaw import Cosines, Seesaw

LONG_TASK = "customer_service_intent"


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A trained and predicted project, whose task has a long name."""
    folder = write_project(tmp_path_factory.mktemp("shop") / "project")
    task = (folder / "task.yaml").read_text("utf-8").replace("name: shop", f"name: {LONG_TASK}")
    (folder / "task.yaml").write_text(task, "utf-8")
    opened = Project.open(folder)
    opened.mine(workers=1)
    opened.train()
    predict_file(opened, [SampleFile(folder / "test.jsonl")], folder / "p.jsonl")
    return folder


@pytest.mark.parametrize(
    "command",
    [
        ("check",),
        ("mine", "--workers", "1"),
        ("mine", "--label", "调光"),
        ("train",),
        ("predict", "--text", "请问什么时候发货"),
        ("predict", "--input", "test.jsonl", "--format", "table"),
        ("evaluate", "--predictions", "p.jsonl", "--truth", "test.jsonl"),
        ("rules", "list"),
        ("rules", "stats"),
        ("rules", "diff", "empty"),
        ("augment", "augment.copies=1"),
    ],
    ids=" ".join,
)
def test_no_line_is_wider_than_the_window_and_no_number_is_cut(kdsl, project, monkeypatch, command):
    monkeypatch.chdir(project)
    (project / "empty").mkdir(exist_ok=True)
    monkeypatch.setenv("COLUMNS", "80")
    result = kdsl(*command)
    assert result.code in (0, 1), result.err
    lines = result.out.splitlines()
    assert any("───" in line for line in lines), "a table"
    assert [line for line in lines if cell_len(line) > 80] == []
    assert "…" not in result.out


def test_tables_with_a_column_a_task_fit_too(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    tasks = (LONG_TASK, "scenes_of_the_screenshots")
    interval = Interval(0.512, 0.734)
    print_ablation(
        Ablation(tasks, 60, 5, [Row(("augment", "ocr", "rules"), (0.61, 0.72), 0.66, interval, 0.05, interval)], {})
    )
    modules = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    cosines = Cosines(*tasks, (0, 1), modules, np.full((2, 7), -0.123), np.full(2, 0.456))
    print_seesaw(Seesaw({name: dict.fromkeys((*tasks, "all"), 0.987) for name in (*tasks, "joint")}, (cosines,)))
    out = capsys.readouterr().out
    assert [line for line in out.splitlines() if cell_len(line) > 80] == []
    for number in ("61.0", "51.2 to 73.4", "0.987", "-0.12", "+0.46"):
        assert number in out
