"""What one prediction costs a process: processor time of `kdsl predict --text` on the trained demo project."""

import argparse
import os
import statistics
import subprocess
import sys
from pathlib import Path

from kdsl.errors import KdslError

ROOT = Path(__file__).resolve().parents[2]


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench predict", description=__doc__)
    parser.add_argument("--project", type=Path, default=ROOT / "demo", help="a project after kdsl run")
    parser.add_argument("--text", default="这个灯可以调亮度吗")
    parser.add_argument("--times", type=int, default=5)
    options = parser.parse_args(arguments)
    command = [sys.executable, "-m", "kdsl", "predict", str(options.project), "--text", options.text]
    seconds = sorted(_processor_seconds(command) for _ in range(options.times))
    print(f"kdsl predict {options.project.name} --text …: user and system time of the process, {options.times} times")
    print(f"median {statistics.median(seconds):.2f} s, from {seconds[0]:.2f} s to {seconds[-1]:.2f} s")


def _processor_seconds(command: list[str]) -> float:
    before = os.times()
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
    after = os.times()
    if done.returncode:
        raise KdslError(done.stderr.strip().removeprefix("error: "))
    return after.children_user - before.children_user + after.children_system - before.children_system
