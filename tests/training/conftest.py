"""A project whose large model was fine-tuned once; tests take copies."""

import shutil
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tuned(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project after kdsl mine and kdsl train; not to be written to."""
    from tiny_project import write_project

    from kdsl.project.mining import mine
    from kdsl.project.project import Project
    from kdsl.project.task import TaskProject
    from kdsl.project.training import train_project

    folder = write_project(tmp_path_factory.mktemp("tuned") / "project", tiny_model)
    project = Project.open(folder)
    mine(project, TaskProject.of(project, project.tasks[0]), workers=1)
    train_project(project)
    return folder


@pytest.fixture
def project(tuned: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tuned, tmp_path / "project"))
