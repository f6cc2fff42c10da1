"""Changes a file in many small ways, one at a time, and tells which changes no test notices.

Prints a table of the files and a line for every mutant that survived, with the reason where survivors.txt beside this
file gives one. Everything happens in copies of the work tree. Exit code 1 where a file's score is under --least.
"""

import argparse
import shutil
import sys
from collections import Counter
from pathlib import Path

from making import mutants_of
from rich.console import Console
from rich.table import Table
from running import KILLED, SURVIVED, TIMEOUT, run

ROOT = Path(__file__).resolve().parents[2]
SURVIVORS = Path(__file__).with_name("survivors.txt")
ALSO = {
    "kdsl/arbiter/decision.py": ["tests/arbiter/test_predictor.py"],
    "kdsl/arbiter/evidence.py": ["tests/arbiter/test_arbiter_file.py", "tests/arbiter/test_fit_by_hand.py"],
    "kdsl/review/store.py": ["tests/review/test_journal.py"],
}
"""Tests of a file beside those called after it, tests/<folder>/test_<name>*.py."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/mutants", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="such as kdsl/arbiter/fit.py")
    parser.add_argument("--least", type=float, default=85.0, help="percent of mutants to be killed (default 85)")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only every N-th mutant, for a quick look")
    parser.add_argument("--workers", type=int, default=2, help="processes (default 2)")
    options = parser.parse_args()
    table = Table("file", "mutants", KILLED, SURVIVED, TIMEOUT, "score")
    survivors, enough = [], True
    for path in options.files:
        file = path.resolve().relative_to(ROOT).as_posix()
        mutants = mutants_of((ROOT / file).read_text("utf-8"))[:: options.every]
        outcomes = run(ROOT, file, mutants, tests_of(file), options.workers)
        counts = Counter(outcomes)
        score = 100 * (1 - counts[SURVIVED] / max(len(outcomes), 1))
        enough &= score >= options.least
        row = len(outcomes), *(counts[each] for each in (KILLED, SURVIVED, TIMEOUT)), f"{score:.1f} %"
        table.add_row(file, *map(str, row))
        survivors += [(file, mutant) for mutant, each in zip(mutants, outcomes, strict=True) if each == SURVIVED]
    Console(width=max(100, shutil.get_terminal_size().columns), highlight=False).print(table)
    reasons = known_reasons()
    for file, mutant in survivors:
        print(f"{file}:{mutant.line}: {mutant.change}")
        if (file, mutant.change) in reasons:
            print(f"    {reasons[file, mutant.change]}")
    return 0 if enough else 1


def tests_of(file: str) -> list[str]:
    path = Path(file)
    named = sorted((ROOT / "tests" / path.parent.name).glob(f"test_{path.stem}*.py"))
    return list(dict.fromkeys([*(test.relative_to(ROOT).as_posix() for test in named), *ALSO.get(file, [])]))


def known_reasons() -> dict[tuple[str, str], str]:
    """(file, change) → why nothing can notice the change, or why nothing has to.

    A file is a line of its own, a change one below it, and under one or several changes, indented, the reason.
    """
    reasons: dict[tuple[str, str], str] = {}
    file, changes, complete = "", [], False
    for line in SURVIVORS.read_text("utf-8").splitlines():
        if line.endswith(".py"):
            file, changes = line, []
        elif line.startswith(" "):
            reasons |= {(file, change): line.strip() for change in changes}
            complete = True
        elif line:
            changes = [line] if complete else [*changes, line]
            complete = False
    return reasons


if __name__ == "__main__":
    sys.exit(main())
