"""How wide tables are."""

import pytest
from rich.table import Table

from kdsl.cli.console import RuleText, results_console, results_table


@pytest.mark.parametrize(("columns", "lines"), [(None, 1), ("40", 3)])
def test_a_row_in_a_pipe_stays_on_one_line_unless_columns_says_otherwise(monkeypatch, capsys, columns, lines):
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns:
        monkeypatch.setenv("COLUMNS", columns)
    table = Table.grid()
    table.add_row("亮度 或 调光 " * 9)
    results_console().print(table)
    assert len(capsys.readouterr().out.splitlines()) == lines


def test_a_rule_is_broken_between_terms_before_a_term_is(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "24")
    table = results_table("", "id", "rule")
    table.add_row("r-7f3k2m9q", RuleText("user has 退款|换货|质量 and ocr has 一二三四五六七八"))
    results_console().print(table)
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()[2:]] == [
        "r-7f3k2m9q  user has",
        "            退款|换货|",
        "            质量 and ocr",
        "            has",
        "            一二三四五六",
        "            七八",
    ]
