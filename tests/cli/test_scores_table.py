import unicodedata
from dataclasses import replace

import numpy as np
import pytest
from scored_results import LONG, two_tasks

from kdsl.cli.scores_table import print_summary
from kdsl.evaluate.costs import CountedModel, Parameters
from kdsl.evaluate.metrics import Outcome
from kdsl.evaluate.report import TaskResult, summarise
from kdsl.vlm.usage import Cost, Limits


@pytest.fixture
def results():
    return two_tasks()


def width(line):
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in line)


def test_tables_without_a_terminal_hold_everything_plain_and_in_100_columns(results, capsys, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    print_summary(summarise(results, seed=0))
    text = capsys.readouterr().out
    assert "\x1b" not in text
    assert "…" not in text
    assert LONG in text
    assert "商品[材质]" in text
    assert max(width(line.rstrip()) for line in text.splitlines()) <= 100


def test_the_table_shows_the_numbers_of_the_summary(results, capsys):
    summary = summarise(results, seed=0)
    print_summary(summary)
    text = capsys.readouterr().out
    rows = [line.split() for line in text.splitlines()]
    both = [row for row in rows if row[:1] == ["both"]]
    assert [row[1] for row in both] == [f"{t.both.scores.weighted_f1:.3f}" for t in (*summary.tasks, summary.pooled)]
    rules = [row for row in rows if "rules" in row and "alone" in row]
    assert all(row[-1] == "–" for row in rules)


def test_one_task_is_not_shown_twice(results, capsys):
    print_summary(summarise(results[:1], seed=0))
    assert "pooled" not in capsys.readouterr().out


def test_labels_that_play_no_part_are_counted_and_not_shown(capsys):
    outcome = Outcome(np.array([0, 0]), np.array([0, 0]))
    print_summary(summarise([TaskResult("t", ("有", "无"), ("a", "b"), outcome, outcome, outcome)], seed=0))
    text = capsys.readouterr().out
    assert "1 more neither occur nor are predicted" in text
    assert "无" not in text


def test_a_narrow_terminal_cuts_nothing(results, capsys, monkeypatch):
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("COLUMNS", "84")
    print_summary(summarise(results[1:], seed=0))
    assert "…" not in capsys.readouterr().out


def test_what_samples_cost_stands_beside_the_limits(results, capsys):
    costs = [Cost(1, 3)] * 58 + [Cost(4, 3), Cost(2, 120)]
    models = (CountedModel("large", "Qwen2-VL-7B", 8_291_375_616), CountedModel("small", "http://gpu/v1", None))
    summary = summarise([replace(results[0], costs=tuple(costs))], 0, Limits(3, 100), Parameters(models, 10))
    print_summary(summary)
    rows = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "model calls a sample 1.07 4 3 1" in rows
    assert "output tokens a sample 4.95 120 100 1" in rows
    assert "billion parameters: large 8.29" in rows
    assert "billion parameters: small unknown" in rows
    assert "together 8.29 and more 10" in rows
    assert "Over a limit: intent_zh intent_zh-58, intent_zh intent_zh-59." in rows


def test_without_model_calls_nothing_is_said_of_them(results, capsys):
    print_summary(summarise(results, seed=0))
    assert "model calls" not in capsys.readouterr().out
