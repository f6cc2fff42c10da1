"""Models are opened by the name that stands in kdsl.yaml."""

import sys
from pathlib import Path

import pytest
import tiny_qwen2vl

from kdsl.errors import KdslError
from kdsl.vlm.opening import open_model


def test_directory_opens(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="needs kdsl[vlm]")
    name = str(tiny_qwen2vl.build(tmp_path / "model"))
    model = open_model(name, tiny_qwen2vl.BUDGET)
    assert model.identity == open_model(name, tiny_qwen2vl.BUDGET).identity != open_model(name).identity


def test_weights_belong_to_the_identity(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="needs kdsl[vlm]")
    one, other = (tiny_qwen2vl.build(tmp_path / f"model-{seed}", seed=seed) for seed in range(2))
    assert open_model(str(one)).identity != open_model(str(other)).identity


@pytest.mark.parametrize("missing", ["torch", "transformers", "peft"])
def test_without_the_extra_it_is_named(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("kdsl.vlm.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(KdslError, match=rf'Qwen/Q: running a model here needs {missing}.*pip install "kdsl\[vlm\]"'):
        open_model("Qwen/Q")
