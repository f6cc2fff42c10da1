"""Running `kdsl` in this process, as a user would from a shell."""

import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from kdsl.cli import main


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


@pytest.fixture
def kdsl(monkeypatch, capsys) -> Callable[..., Result]:
    """kdsl("check", path): exit code, stdout and stderr."""

    def run(*arguments: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["kdsl", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit:
            main()
        captured = capsys.readouterr()
        return Result(int(exit.value.code or 0), captured.out, captured.err)

    return run
