"""Models are opened by the name that stands in kdsl.yaml."""

import json
import re
import sys
from pathlib import Path

import pytest
import tiny_qwen2vl

from kdsl.distribution import install_command
from kdsl.errors import KdslError
from kdsl.vlm.load import load_model


def test_directory_opens(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="needs the extra vlm")
    name = str(tiny_qwen2vl.build(tmp_path / "model"))
    model = load_model(name, tiny_qwen2vl.BUDGET)
    assert model.identity == load_model(name, tiny_qwen2vl.BUDGET).identity != load_model(name).identity


def test_code_in_a_model_s_directory_never_runs_nor_is_asked_about(tmp_path: Path, monkeypatch) -> None:
    pytest.importorskip("torch", reason="needs the extra vlm")
    monkeypatch.setattr("builtins.input", lambda _="": pytest.fail("asks whether to run it"))
    config = {"model_type": "own", "auto_map": {"AutoConfig": "own.Own", "AutoModelForImageTextToText": "own.Own"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Own: pass\n")
    with pytest.raises(KdslError, match=f"^{tmp_path}: "):
        load_model(str(tmp_path))
    assert not (tmp_path / "ran").exists()


def test_weights_belong_to_the_identity(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="needs the extra vlm")
    one, other = (tiny_qwen2vl.build(tmp_path / f"model-{seed}", seed=seed) for seed in range(2))
    assert load_model(str(one)).identity != load_model(str(other)).identity


@pytest.mark.parametrize("missing", ["torch", "transformers", "peft"])
def test_without_the_extra_it_is_named(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "kdsl.vlm.local", raising=False)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(KdslError, match=rf"^Qwen/Q: .*{missing}.*{re.escape(install_command('vlm'))}, or"):
        load_model("Qwen/Q")
