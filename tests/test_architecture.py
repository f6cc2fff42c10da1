"""The plan of the house holds: `[tool.importlinter]` in pyproject.toml says who may import whom."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]


def test_imports_go_up_the_house_only_and_only_the_command_line_prints():
    program = "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True, no_logo=True))"
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract["id"])
def test_what_a_contract_lets_pass_has_its_reason_beside_it(contract):
    lines = (ROOT / "pyproject.toml").read_text("utf-8").splitlines()
    for ignored in contract.get("ignore_imports", ()):
        line = next(i for i, line in enumerate(lines) if f'"{ignored}"' in line)
        assert lines[line - 1].lstrip().startswith("#")


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_python(path: Path) -> bool:
    return path.is_file() and (path.suffix == ".py" or path.read_bytes()[:30].startswith(b"#!/usr/bin/env python"))


COMMAND_LINE = re.compile(
    r"(tests/(cli/.*|conftest\.py|.*_command\.py|test_documentation\.py)|scripts/reference_pages/commands\.py)"
)
"""Tests of commands with their fixture, what writes the commands' page, and what compares them with it."""


def test_only_tests_of_the_command_line_know_it():
    programs = [path for room in ("tests", "scripts") for path in sorted((ROOT / room).rglob("*")) if is_python(path)]
    others = [path for path in programs if not COMMAND_LINE.fullmatch(path.relative_to(ROOT).as_posix())]
    assert [path for path in others if any(each.startswith("kdsl.cli") for each in imports(path))] == []


def test_who_imports_kdsl_waits_for_nothing_heavy():
    heavy = ("numpy", "torch", "pydantic", "rich", "sklearn", "typer")
    program = f"import sys, kdsl; print(*[name for name in {heavy!r} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout.strip() == ""
