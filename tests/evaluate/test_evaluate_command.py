import json

import pytest
import typer
from typer.testing import CliRunner

from kdsl.cli.evaluate import evaluate
from kdsl.errors import KdslError

TASK = """\
name: colour
labels:
  - name: "红色"
  - name: "蓝色"
"""


@pytest.fixture
def project(tmp_path):
    """A project with one task, four labelled samples and the predictions for them."""
    (tmp_path / "colour.yaml").write_text(TASK, encoding="utf-8")
    (tmp_path / "kdsl.yaml").write_text("tasks: [colour.yaml]\nseed: 7\n", encoding="utf-8")
    truth = [("a", "红色"), ("b", "红色"), ("c", "蓝色"), ("d", "蓝色")]
    write(
        tmp_path / "truth.jsonl", [{"id": id_, "task": "colour", "text": "…", "label": label} for id_, label in truth]
    )
    hit = {"id": "r-2222", "label": "红色", "reliability": 0.9, "evidence": []}
    write(
        tmp_path / "predictions.jsonl",
        [
            prediction("a", "红色", "红色"),
            prediction("b", "红色", "蓝色", rules=[hit]),
            prediction("c", "蓝色", "蓝色"),
            prediction("d", "红色", "红色"),
        ],
    )
    return tmp_path


def sample(id_, label):
    return {"id": id_, "task": "colour", "text": "…", "label": label}


def prediction(id_, both, model, rules=()):
    return {
        "id": id_,
        "task": "colour",
        "label": both,
        "probabilities": {"红色": 0.75 if both == "红色" else 0.25, "蓝色": 0.25 if both == "红色" else 0.75},
        "model": {"label": model, "probability": 0.75},
        "rules": list(rules),
        "decision": {"by": "rules" if rules else "model", "label_without_rules": model, "reason": "…"},
    }


def write(path, records):
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8")


def run(project, *options):
    app = typer.Typer()
    app.command()(evaluate)
    files = ["--predictions", str(project / "predictions.jsonl"), "--truth", str(project / "truth.jsonl")]
    return CliRunner().invoke(app, [str(project / "kdsl.yaml"), *files, *options], catch_exceptions=False)


def test_tables_go_to_stdout_and_the_place_of_the_files_to_stderr(project):
    result = run(project)
    assert result.exit_code == 0
    assert "红色" in result.stdout
    assert "predictions-evaluation" in result.stderr
    assert "predictions-evaluation" not in result.stdout
    names = {path.name for path in (project / "predictions-evaluation").iterdir()}
    assert {
        "report.json",
        "labels.csv",
        "confusion-colour.png",
        "confusion-colour.csv",
        "reliability-colour.png",
    } <= names


def test_json_on_stdout_is_the_report_and_judges_the_three_predictors(project):
    report = json.loads(run(project, "--format", "json").stdout)
    assert report == json.loads((project / "predictions-evaluation" / "report.json").read_text(encoding="utf-8"))
    task = report["tasks"][0]
    accuracy = {name: task[name]["scores"]["accuracy"] for name in ("model", "rules", "both")}
    assert accuracy == {"model": 0.5, "rules": 0.25, "both": 0.75}
    assert task["rules"]["scores"]["coverage"] == 0.25
    assert task["rules"]["scores"]["covered_precision"] == 1.0
    assert task["both"]["expected_calibration_error"] == pytest.approx(0.0)
    assert report["seed"] == 7


def test_output_names_the_folder(project):
    run(project, "--output", str(project / "elsewhere"))
    assert (project / "elsewhere" / "report.json").exists()
    assert not (project / "predictions-evaluation").exists()


def test_one_file_alone_is_refused(project):
    app = typer.Typer()
    app.command()(evaluate)
    with pytest.raises(KdslError, match="needs both files: --predictions FILE and --truth FILE"):
        CliRunner().invoke(app, ["--truth", str(project / "truth.jsonl")], catch_exceptions=False)


def test_predictions_for_another_file_leave_nothing_behind(project):
    write(project / "truth.jsonl", [sample("z", "红色")])
    with pytest.raises(KdslError, match=r"predictions\.jsonl, line 1: no sample in .*truth\.jsonl has the id 'a'"):
        run(project)
    assert not (project / "predictions-evaluation").exists()


def test_a_missing_file_is_named(project):
    (project / "predictions.jsonl").unlink()
    with pytest.raises(KdslError, match=r"predictions\.jsonl: no such file"):
        run(project)
