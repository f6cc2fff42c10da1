"""A project whose large model was fine-tuned once, of which tests take copies; a task without a project."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from kdsl.training.data import TaskData


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


@pytest.fixture(scope="session")
def random_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model that nobody has trained."""
    import tiny_qwen2vl

    return tiny_qwen2vl.build(tmp_path_factory.mktemp("random") / "model")


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> "TaskData":
    """48 samples of different lengths, every third without a picture, 8 of them held out."""
    import numpy as np
    import tiny_qwen2vl

    from kdsl.fields.sidecar import Sidecars
    from kdsl.fields.table import FieldTable
    from kdsl.sample import Label, Sample, Task, Turn
    from kdsl.training.data import hold_out

    images = tmp_path_factory.mktemp("shop")
    task = Task("shop", tuple(map(Label, tiny_qwen2vl.LABELS)), "<image>{dialogue}标签？")
    samples = []
    for index in range(48):
        label = tiny_qwen2vl.LABELS[index % 4]
        page = tiny_qwen2vl.draw_page(images / f"{index}.png", label[0], bar=index % 2 == 0, seed=index)
        shown = (str(page),) if index % 3 else ()
        turn = Turn("user", f"我要{label[1]}货。" * (1 + index % 5), shown)
        samples.append(Sample(str(index), "shop", (turn,), shown, label))
    labels = np.array([task.label_names.index(sample.label) for sample in samples])
    return hold_out(task, FieldTable(samples, Sidecars()), labels, 1 / 6, 0)
