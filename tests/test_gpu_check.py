"""scripts/gpu_check: what it keeps of programs that end well, fail, hang or run out of memory."""

import importlib.util
import json
import os
import sys
from dataclasses import replace
from importlib.machinery import SourceFileLoader
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from gpu_checks import environment, running, scoring
from gpu_checks.machine import Machine
from gpu_checks.report import markdown, rows, table, write
from gpu_checks.running import Check, Outcome, Program, run, run_checks

MACHINE = Machine("cuda", ("2b", "7b"), "NVIDIA H200", 16, "580.1", 790e12, {"torch": "2.13.0", "peft": "0.21"})
MEASURE = """
import sys; from pathlib import Path; from benchmarks.measurement import Measurement
file = Path(sys.argv[sys.argv.index("--json") + 1])
Measurement("packed", 41.5, memory=15.25, share=0.5, note="23 labels").append_to(file)
"""


@pytest.fixture(autouse=True)
def programs_are_code(monkeypatch):
    """A program's `benchmark` is Python code here."""
    monkeypatch.setattr(running, "BENCHMARK", "import sys; exec(sys.argv[1])")
    monkeypatch.setattr(running, "SHORTEST", 0.0)


def outcome(code, limit=60.0):
    return run("scoring", Program("7b", code, ("--size", "7b")), sys.executable, limit)


def test_what_a_program_measured_stands_in_the_table_with_its_memory_and_share():
    done = outcome(MEASURE)
    assert (done.end, rows([done])) == (
        "done",
        [["scoring", "7b: packed", "41.5 samples/s", "15.2 GiB", "50.0%", "23 labels"]],
    )
    assert table([done]).splitlines()[1].split("  ")[0] == "scoring"


def test_a_program_that_hangs_is_stopped_and_what_it_had_measured_stays():
    stopped = outcome(MEASURE + "import time; time.sleep(600)", limit=1.0)
    assert [row["what"] for row in stopped.rows] == ["packed"]
    assert rows([stopped])[1] == ["scoring", "7b", "", "", "", "stopped after 1 s"]


def test_what_a_stopped_program_started_ends_with_it(tmp_path):
    started = tmp_path / "started"
    code = f"""
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open({str(started)!r}, "w").write(str(child.pid)); time.sleep(600)
"""
    outcome(code, limit=2.0)
    state = Path(f"/proc/{started.read_text()}/stat")
    assert not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z"


@pytest.mark.parametrize(
    "code, end",
    [
        ("raise ValueError('no such size')", "failed: ValueError: no such size"),
        ("import sys; sys.exit('nothing to measure')", "failed: nothing to measure"),
        ("import sys; sys.exit(3)", "failed: it printed nothing"),
        ("raise MemoryError('torch.OutOfMemoryError: CUDA out of memory. Tried …')", "out of memory"),
        ("import os; os.kill(os.getpid(), 9)", "ended by signal 9"),
    ],
)
def test_why_a_program_ended_is_told(code, end):
    assert outcome(code).end == end


def test_a_line_that_was_cut_off_is_left_out():
    code = MEASURE + "file.open('a').write('{\"what\": \"hal'); import os; os._exit(0)"
    assert [row["what"] for row in outcome(code).rows] == ["packed"]


def test_a_check_has_its_share_of_what_is_left_and_its_programs_equal_parts_of_that(monkeypatch):
    clock, limits = [1000.0], []

    def half_of_the_limit(check, program, python, limit):
        limits.append((program.title, limit))
        clock[0] += limit / 2
        return Outcome(check, program.title, "done", limit / 2, "")

    monkeypatch.setattr(running.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(running, "run", half_of_the_limit)
    checks = [Check("a", 3, [Program("a1", ""), Program("a2", "")]), Check("b", 1, [Program("b1", "")])]
    run_checks(checks, "python", 400.0, [], lambda: None)
    assert limits == [("a1", 150.0), ("a2", 225.0), ("b1", 212.5)]


def test_a_program_for_which_no_time_is_left_is_not_begun(monkeypatch):
    monkeypatch.setattr(running, "SHORTEST", 5.0)
    assert outcome("raise ValueError", limit=4.9).end == "no time was left"


def test_results_are_kept_after_every_program(tmp_path):
    path, kept, outcomes = tmp_path / "gpu.json", [], []

    def keep():
        write(MACHINE, outcomes, path)
        kept.append(len(json.loads(path.read_text("utf-8"))["outcomes"]))

    run_checks([Check("x", 1, [Program("1", MEASURE), Program("2", "1/0")])], sys.executable, 60.0, outcomes, keep)
    assert kept == [1, 2]
    assert json.loads(path.read_text("utf-8"))["machine"]["name"] == "NVIDIA H200"
    assert (tmp_path / "gpu.md").read_text("utf-8") == markdown(MACHINE, outcomes)


def test_the_markdown_names_the_machine_and_keeps_bars_out_of_its_cells():
    failed = Outcome("lora", "7b", "failed: a | b", 1.0, "scripts/bench vlm_training")
    lines = markdown(MACHINE, [failed]).splitlines()
    assert lines[0] == (
        "`scripts/gpu_check` on NVIDIA H200, 16 CPU cores, driver 580.1, torch 2.13.0, peft 0.21, "
        "matrix peak 790 TFLOP/s (bfloat16, measured):"
    )
    assert lines[-1] == "| lora | 7b |  |  |  | failed: a \\| b |"


def test_without_a_gpu_it_says_so_in_one_sentence_with_exit_code_2(monkeypatch, capsys):
    loader = SourceFileLoader("gpu_check", str(environment.SCRIPTS / "gpu_check"))
    script = importlib.util.module_from_spec(importlib.util.spec_from_loader("gpu_check", loader))
    loader.exec_module(script)
    monkeypatch.setattr(environment, "has_gpu", lambda: False)
    assert script.main([]) == 2
    assert capsys.readouterr().err == "scripts/gpu_check: this machine has no NVIDIA GPU\n"


def test_what_is_installed_is_what_the_core_and_the_extra_require():
    names = [requirement.partition(">")[0] for requirement in environment.requirements()]
    assert {"jsonlines", "pydantic", "torch", "transformers"} <= set(names)
    assert not [name for name in names if not name.strip() or "#" in name or os.sep in name]


def measured(check, what, rate):
    row = {"what": what, "rate": rate, "unit": "samples/s", "memory": None, "share": None, "note": ""}
    return Outcome(check, "7b", "done", 1.0, "", [row])


@pytest.mark.parametrize("fed, said", [(40.0, "does not limit"), (39.9, "limits")])
def test_whether_the_gpu_waits_for_its_pictures_is_said(fed, said):
    outcomes = [measured("scoring", "one pass, options packed", 40.0), measured("feeding", "warm, all cores", fed)]
    outcomes += [measured("scoring", "generate", 99.0), measured("feeding", "cold, all cores", 1.0)]
    for text in (markdown(MACHINE, outcomes), table(outcomes)):
        assert f"\n\nThe feeding side {said} this machine: it delivers {fed:.4g} samples/s" in text
        assert "takes 40 at most." in text


def test_scoring_is_measured_by_each_attention_that_is_installed_and_compiled_last():
    with_flash = replace(MACHINE, versions={"flash-attn": "2.8"})
    assert [each.title for each in scoring.check(MACHINE).programs] == [
        *("2b, sdpa", "7b, sdpa", "2b, sdpa, compiled", "7b, sdpa, compiled")
    ]
    assert "7b, flash_attention_2, compiled" in [each.title for each in scoring.check(with_flash).programs]
