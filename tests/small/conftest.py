"""The trained small model, loaded."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def small_model(small_directory: Path):
    """`small_directory`, loaded."""
    import tiny_qwen2vl

    from kdsl.vlm.local import LocalModel

    return LocalModel.load(str(small_directory), tiny_qwen2vl.BUDGET)
