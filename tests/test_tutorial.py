"""The outputs in the tutorials are those that their commands print; the tutorials are one in two languages."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "scripts" / "tutorial"
TUTORIALS = sorted((ROOT / "docs").glob("tutorial*.md"))


def run(page: Path, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Write `page` with new outputs into `folder`."""
    command = [sys.executable, SCRIPT, page, "--folder", folder]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8")


@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.name)
def test_the_commands_print_what_the_page_shows(page: Path, tmp_path: Path) -> None:
    done = run(page, tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / page.name).read_text("utf-8") == page.read_text("utf-8"), "run scripts/tutorial"


PAGE = """\
```text title="a/b.txt"
亮度
```

```console
$ cat a/b.txt
{printed}
$ echo 2030-01-31T10:22
{time}
```
"""


def test_files_are_written_and_outputs_replaced(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE.format(printed="something else", time="before"), "utf-8")
    (tmp_path / "new").mkdir()
    assert run(page, tmp_path / "new").returncode == 0
    new = (tmp_path / "new" / "page.md").read_text("utf-8")
    assert new == PAGE.format(printed="亮度", time="2026-11-21T09:00")


def test_a_command_that_fails_ends_the_run_and_the_page_stays(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```console\n$ kdsl check nowhere\n```\n", "utf-8")
    done = run(page, tmp_path)
    assert done.returncode == 1
    assert "`kdsl check nowhere` ended with exit code 2:" in done.stderr
    assert page.read_text("utf-8") == "```console\n$ kdsl check nowhere\n```\n"


def test_the_commands_are_the_same_in_both_languages() -> None:
    commands = [re.findall(r"^\$ .*$", page.read_text("utf-8"), re.MULTILINE) for page in TUTORIALS]
    assert len(commands) == 2 and len(commands[0]) > 10
    assert commands[0] == commands[1]
