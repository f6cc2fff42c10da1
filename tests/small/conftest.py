"""The trained small model, made once for a test run."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def small_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a tiny Qwen2-VL that was taught `small_world.lessons`; not to be written to."""
    torch = pytest.importorskip("torch", reason="needs kdsl[vlm]")
    torch.set_num_threads(1)  # several threads wait for each other longer than a tiny model computes
    import small_world
    import tiny_qwen2vl
    from filelock import FileLock

    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if os.environ.get("PYTEST_XDIST_WORKER") else own) / "small-qwen2vl"
    with FileLock(f"{folder}.lock"):
        if not (folder / "trained").exists():
            small_world.teach(tiny_qwen2vl.build(folder / "model", small_world.TEXTS), folder / "pages")
            (folder / "trained").touch()
    return folder / "model"


@pytest.fixture(scope="session")
def small_model(small_directory: Path):
    """The same, loaded."""
    import tiny_qwen2vl

    from kdsl.vlm.local import LocalModel

    return LocalModel.load(str(small_directory), tiny_qwen2vl.BUDGET)
