"""kdsl check --labels: which labels are probably wrong, best first, as a table and as JSON."""

import json
import shutil
from pathlib import Path

import pytest
from doubtful_shop import PLANTED, write_doubtful_project


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    return write_doubtful_project(tmp_path_factory.mktemp("doubtful") / "project")


def test_findings_are_exit_code_1_and_json_names_label_suggestion_and_reasons(kdsl, trained):
    result = kdsl("check", trained, "--labels", "--format", "json")
    assert result.code == 1
    issues = json.loads(result.out)["issues"]
    first = {issue["id"]: issue for issue in issues[:4]}
    assert {*PLANTED} <= {*first}
    assert first["s3"]["label"] == "材质" and first["s3"]["suggested"] == "调光"
    assert set(first["s3"]["model"]) == {"材质", "调光"}
    assert {*first["s3"]["neighbours"][0]} == {"id", "label", "similarity"}


def test_the_table_has_what_to_do_next(kdsl, trained):
    result = kdsl("check", trained, "--labels")
    assert result.code == 1
    assert "shop: labels to look at" in result.out
    assert result.out.index("s3 ") < result.out.index("twice")
    assert "`kdsl review` shows them one by one" in result.out


def test_nothing_left_is_exit_code_0(kdsl, trained, tmp_path):
    from kdsl.project.project import Project

    folder = shutil.copytree(trained, tmp_path / "project")
    project = Project.open(folder)
    for issue in project.label_issues():
        project.label_log.give(issue.sample, issue.suggested or str(issue.sample.label), "小王")
    while left := project.label_issues():
        project.label_log.give(left[0].sample, str(left[0].sample.label), "小王")
    result = kdsl("check", folder, "--labels")
    assert (result.code, result.out) == (0, "shop: no label is doubtful that nobody has looked at.\n")


def test_without_training_the_command_to_run_is_named(kdsl, trained, tmp_path):
    folder = shutil.copytree(trained, tmp_path / "project")
    shutil.rmtree(folder / "checkpoints")
    result = kdsl("check", folder, "--labels")
    assert result.code == 2
    assert "which labels are doubtful is known once a model was trained; run `kdsl train` first" in result.err
