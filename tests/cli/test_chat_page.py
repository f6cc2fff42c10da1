"""docs/chat.md: what `kdsl chat evaluate` prints of the answers on the page is what stands below them."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kdsl.chat.meteor import Meteor
from kdsl.cli import application

PAGE = Path(__file__).resolve().parents[2] / "docs" / "chat.md"


def test_the_scores_on_the_page_are_those_of_its_answers(tmp_path, monkeypatch):
    pytest.importorskip("nltk")
    page = PAGE.read_text(encoding="utf-8")
    [answers] = re.findall(r'```json title="answers.jsonl"\n(.*?)```', page, re.DOTALL)
    [printed] = re.findall(r"```console\n\$ kdsl chat evaluate --answers answers.jsonl\n(.*?)```", page, re.DOTALL)
    (tmp_path / "answers.jsonl").write_text(answers, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    result = CliRunner().invoke(application(), ["chat", "evaluate", "--answers", "answers.jsonl"])
    assert result.exit_code == 0
    told, expected = ([line.rstrip() for line in text.rstrip().splitlines()] for text in (result.output, printed))
    if Meteor().synonyms:
        pytest.skip("WordNet is installed, which the page says it is not")
    assert told == expected
