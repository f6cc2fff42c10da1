"""What to do next: a call for those who use Python, a command for those who type commands."""

import logging
import re
import subprocess
import sys

import pytest

from kdsl.cli import application
from kdsl.errors import Hint, KdslError
from kdsl.project.project import Project


@pytest.mark.parametrize("hint", Hint)
def test_a_hint_names_a_command_that_there_is(hint):
    app = application()
    names = {info.name or info.callback.__name__ for info in app.registered_commands if info.callback}
    groups = {group.name for group in app.registered_groups}
    assert set(re.findall(r"`kdsl (\w+)", hint.command)) <= names | groups
    assert "`kdsl " in hint.command and "`kdsl " not in hint.python


def test_a_mistake(kdsl, tmp_path):
    with pytest.raises(KdslError, match=r"no such file; name a project's kdsl\.yaml, or make one with kdsl\.Project"):
        Project.open(tmp_path)
    refused = kdsl("check", tmp_path)
    assert refused.code == 2
    assert refused.err.endswith("no such file; name a project's kdsl.yaml, or make one with `kdsl init`\n")


def test_a_warning(write, caplog):
    write("task.yaml", 'name: shop\nlabels: [{name: "调光"}, {name: "材质"}]\n')
    write("train.jsonl", '{"id": "a", "text": "亮度", "images": ["a.png"], "label": "调光"}\n')
    config = write("kdsl.yaml", "tasks: [task.yaml]\ndata: {train: train.jsonl, ocr: ocr.jsonl}\n")
    with caplog.at_level(logging.WARNING):
        Project.open(config).learned_sidecars()
    assert caplog.messages[0].endswith("the first being a.png; call project.ocr()")
    command = [sys.executable, "-m", "kdsl", "mine", str(config)]
    lines = subprocess.run(command, capture_output=True, text=True, encoding="utf-8").stderr.splitlines()
    assert lines[0].startswith("warning: ") and lines[0].endswith("the first being a.png; run `kdsl ocr`")
