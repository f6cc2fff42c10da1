"""What all commands have in common: where the project stands, and options for every command."""

import subprocess
import sys
from pathlib import Path

import pytest
from small_shop import write_project

from kdsl.cli.options import taken_out

RULE = 'schema: 1\nid: r-hand2\nlabel: "材质"\nstatus: accepted\nwhen:\n  all:\n    - user: ["亚麻布"]\n'


@pytest.fixture
def project(tmp_path) -> Path:
    folder = write_project(tmp_path / "project")
    (folder / "rules/shop/材质").mkdir(parents=True)
    (folder / "rules/shop/材质/r--r-hand2.yaml").write_text(RULE, "utf-8")
    return folder


@pytest.mark.parametrize(
    ("given", "found", "others"),
    [
        (["r-1"], "r-1", []),
        (["r-1", "seed=1"], "r-1", ["seed=1"]),
        (["seed=1", "r-1"], "r-1", ["seed=1"]),
        (["project", "r-1"], "r-1", ["project"]),
        (["r-1", "project"], "r-1", ["project"]),
        (["r-1", "project/kdsl.yaml", "seed=1"], "r-1", ["project/kdsl.yaml", "seed=1"]),
        (["project", "seed=1", "r-1"], "r-1", ["project", "seed=1"]),
        (["nowhere", "r-1"], "r-1", ["nowhere"]),
        (["project", "project"], "project", ["project"]),
        (["http://gpu.lan/?a=b"], "http://gpu.lan/?a=b", []),
        (["http://gpu.lan", "gone"], "http://gpu.lan", ["gone"]),
        (["gone", "http://gpu.lan"], "http://gpu.lan", ["gone"]),
    ],
)
def test_the_project_stands_before_what_a_command_is_about_or_behind_it(project, monkeypatch, given, found, others):
    monkeypatch.chdir(project.parent)
    assert taken_out("ID", given) == (found, others)


@pytest.mark.parametrize("command", [("rules", "show"), ("rules", "diff"), ("rules", "import"), ("hosts", "allow")])
@pytest.mark.parametrize("words", [(), ("a", "b", "c"), ("seed=1",)])
def test_nothing_or_too_much_is_wrong_usage(kdsl, command, words):
    result = kdsl(*command, *words)
    assert (result.code, result.out) == (2, "")
    assert ("'c' is one too many; give the project and one" if len(words) == 3 else "give ") in result.err


@pytest.mark.parametrize("command", [("rules", "show"), ("rules", "diff"), ("rules", "import"), ("hosts", "allow")])
def test_an_empty_word_is_nothing_given(kdsl, project, command):
    result = kdsl(*command, project, "")
    assert (result.code, result.out, ": give " in result.err) == (2, "", True)


@pytest.mark.parametrize(
    "command",
    [
        ("predict", "--input", "train.jsonl"),
        ("rules", "export"),
        ("convert", "--input", "train.jsonl", "--format", "sharegpt"),
    ],
)
def test_a_dash_is_no_output_file(kdsl, project, monkeypatch, command):
    monkeypatch.chdir(project)
    result = kdsl(*command, "--output", "-")
    assert (result.code, result.out) == (2, "")
    assert result.err == "error: --output -: is the standard output; name a file of its own\n"
    assert not (project / "-").exists()


def test_the_file_that_stdout_goes_to_is_no_output_file(project):
    with (project / "t.csv").open("w") as file:
        command = [sys.executable, "-m", "kdsl", "rules", "export", project, "--output", project / "t.csv"]
        done = subprocess.run(command, stdout=file, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, (project / "t.csv").read_text()) == (2, "")
    assert done.stderr == f"error: --output {project / 't.csv'}: is the standard output; name a file of its own\n"


def test_a_rule_is_shown_in_either_order(kdsl, project):
    shown = kdsl("rules", "show", project, "r-hand2")
    assert (shown.code, "材质 if all of these hold" in shown.out) == (0, True)
    assert kdsl("rules", "show", "r-hand2", project) == shown


def test_a_command_runs_as_if_it_was_started_elsewhere(kdsl, project, monkeypatch):
    monkeypatch.chdir("/")
    expected = kdsl("rules", "list", project)
    assert kdsl("-C", project, "rules", "list").out == expected.out
    monkeypatch.chdir("/")
    assert kdsl("-C", project.parent, "-C", "project", "rules", "list").out == expected.out


def test_a_folder_that_there_is_not_is_named(kdsl, tmp_path):
    result = kdsl("-C", tmp_path / "no", "info")
    assert (result.code, result.out) == (2, "")
    assert result.err == f"error: -C {tmp_path / 'no'}: No such file or directory; give a folder to run in\n"


@pytest.mark.parametrize("command", [(), ("predict",), ("rules",), ("rules", "show"), ("hosts", "allow")])
def test_h_is_help(kdsl, command):
    assert kdsl(*command, "-h") == kdsl(*command, "--help")
    assert kdsl(*command, "-h").out.startswith(f"Usage: {' '.join(('kdsl', *command))} [OPTIONS]")


@pytest.mark.parametrize(("shell", "part"), [("bash", "complete -o default -F _kdsl_completion kdsl"),
                                             ("zsh", "compdef _kdsl_completion kdsl"),
                                             ("fish", "complete --command kdsl")])  # fmt: skip
def test_shells_complete_commands(shell, part):
    done = subprocess.run(
        [sys.executable, "-m", "kdsl", "--show-completion", shell],
        capture_output=True,
        text=True,
        env={"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1", "PYTHONPATH": ":".join(sys.path)},
    )
    assert part in done.stdout


def test_what_shells_ask_for_is_answered():
    done = subprocess.run(
        [sys.executable, "-m", "kdsl"],
        capture_output=True,
        text=True,
        env={"_KDSL_COMPLETE": "complete_bash", "COMP_WORDS": "kdsl pre", "COMP_CWORD": "1",
             "PYTHONPATH": ":".join(sys.path)},
    )  # fmt: skip
    assert done.stdout.split() == ["predict"]


def test_changes_may_stand_before_the_project(kdsl, tmp_path):
    (tmp_path / "kdsl.yaml").write_text("tasks: [mire_intent]\n", "utf-8")
    assert kdsl("check", "seed=1", tmp_path).err == kdsl("check", tmp_path, "seed=1").err
    assert "'seed' is not an override" in kdsl("check", tmp_path, "seed").err
