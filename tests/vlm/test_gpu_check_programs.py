"""What scripts/gpu_check runs, with a tiny model on the CPU: programs take their arguments and hand over figures."""

import importlib
import json
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the extra vlm")
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from gpu_checks import lora, near_ties, scoring
from gpu_checks.machine import Machine

CPU = Machine("cpu", ("small",), "x86_64", 2, None, None, {})


@pytest.mark.parametrize(
    "check, measured", [(scoring, "one pass, options packed"), (lora, ""), (near_ties, "bfloat16 and float32")]
)
def test_a_program_takes_its_arguments_and_hands_over_what_it_measured(tmp_path, capsys, check, measured):
    figures = tmp_path / "figures.jsonl"
    for program in check.check(CPU).programs:
        benchmark = importlib.import_module(f"benchmarks.{program.benchmark}")
        assert benchmark.main([*program.arguments, "--json", str(figures)]) == 0
    rows = [json.loads(line) for line in figures.read_text("utf-8").splitlines()]
    assert any(row["what"].startswith(measured) for row in rows)
    assert all(row["rate"] is None or row["rate"] > 0 for row in rows)
