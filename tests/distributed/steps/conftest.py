"""One trained project for the steps that need one."""

from pathlib import Path

import pytest
from small_shop import dialogues, write, write_project

from kdsl.project.mining import mine
from kdsl.project.project import Project
from kdsl.project.task import TaskProject
from kdsl.project.training import train_project


@pytest.fixture(scope="package")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project after kdsl mine and kdsl train, with 24 unlabelled samples; not to be written to."""
    folder = write_project(tmp_path_factory.mktemp("trained") / "project")
    write(folder / "pool.jsonl", [{key: each[key] for key in ("id", "turns")} for each in dialogues(24, 7, "u")])
    data = "train: train.jsonl, unlabelled: pool.jsonl, distilled: distilled.jsonl"
    config = (folder / "kdsl.yaml").read_text("utf-8").replace("train: train.jsonl", data)
    (folder / "kdsl.yaml").write_text(f"{config}distill: {{rounds: 1}}\n", "utf-8")
    project = Project.open(folder)
    mine(project, TaskProject.of(project, project.tasks[0]), workers=1)
    train_project(project)
    return folder
