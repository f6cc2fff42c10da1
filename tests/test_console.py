"""How wide tables are."""

import pytest
from rich.table import Table

from kdsl.console import results_console


@pytest.mark.parametrize(("columns", "lines"), [(None, 1), ("40", 3)])
def test_a_row_in_a_pipe_stays_on_one_line_unless_columns_says_otherwise(monkeypatch, capsys, columns, lines):
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns:
        monkeypatch.setenv("COLUMNS", columns)
    table = Table.grid()
    table.add_row("亮度 或 调光 " * 9)
    results_console().print(table)
    assert len(capsys.readouterr().out.splitlines()) == lines
