"""Attacks KDSL with bad files and with kills, in copies of a small project; exit code 1 where something did not hold.

1000 attacks take some ten minutes on two cores; `--runs 0` leaves the bad files out, `--kills 0` the kills.
"""

import argparse
import importlib
import pkgutil
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.progress import track

import kdsl
from attacker.inputs import Tally, attack_inputs
from attacker.kills import JOBS, attack_by_kills
from attacker.project import finish_project, write_project

_LATE = (
    "sklearn.linear_model", "sklearn.feature_extraction.text", "sklearn.metrics", "scipy.sparse", "PIL.Image", "yaml",
    "ruamel.yaml", "matplotlib.figure", "rich.table", "rich.progress", "networkx", "opencc",
)  # fmt: skip
"""What commands import when they need it: a forked process has it already."""
_HEAVY = ("kdsl.vlm.local", "kdsl.vlm.checkpoint", "kdsl.vlm.processor", "kdsl.training", "kdsl.__main__")
"""Needs torch, which takes long to import and starts threads."""

_STDERR = Console(stderr=True)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="scripts/attack", description=__doc__)
    parser.add_argument("--runs", type=int, default=1000, help="attacks by bad files (default 1000)")
    parser.add_argument("--kills", type=int, default=60, help="kills (default 60)")
    parser.add_argument("--seed", type=int, default=0, help="of the attacks (default 0)")
    parser.add_argument("--only", type=int, help="the one attack by a bad file that has this number, told in full")
    options = parser.parse_args(arguments)
    _import_everything()
    with tempfile.TemporaryDirectory(prefix="kdsl-attack-") as name:
        base, work = Path(name, "base"), Path(name, "work")
        for folder in (base / "project", base / "canary", base / "home", work):
            folder.mkdir(parents=True)
        (base / "canary/kept.txt").write_text("nothing of the project\n", "utf-8")
        print("making the project", file=sys.stderr)
        write_project(base / "project", options.seed)
        finish_project(base / "project")
        first = 0 if options.only is None else options.only
        last = options.runs if options.only is None else first + 1
        numbers = range(first, last)
        tally = Tally()
        attacks = attack_inputs(base, work, tally, numbers, options.seed, options.only is not None)
        for _ in track(attacks, "Bad files", len(numbers), console=_STDERR):
            pass
        faults = [*tally.faults]
        if numbers:
            print(_inputs_table(tally))
        if options.kills and options.only is None:
            kills = attack_by_kills(base, work, options.kills, options.seed)
            rows = list(track(kills, "Kills", len(JOBS), console=_STDERR))
            print("\nkills      tried  equal afterwards")
            for row in rows:
                print(f"  {row.job:<9}{row.tried:5}{row.equal:18}")
                faults += row.faults
    for fault in faults:
        print(fault)
    return 1 if faults else 0


def _inputs_table(tally: Tally) -> str:
    rows = [
        ("tried", tally.tried), ("done, files as they should be", tally.done), ("one sentence", tally.sentences),
        ("traceback or signal", tally.tracebacks), ("hung", tally.hung), ("files damaged", tally.damaged),
    ]  # fmt: skip
    lines = ["bad files"] + [f"  {name:<32}{count:6}" for name, count in rows]
    for what, counts in (("by fault", tally.by_mutation), ("by command", tally.by_command)):
        lines.append(f"{what}: " + ", ".join(f"{name} {count}" for name, count in sorted(counts.items())))
    return "\n".join(lines)


def _import_everything() -> None:
    names = [module.name for module in pkgutil.walk_packages(kdsl.__path__, "kdsl.", onerror=lambda _: None)]
    for name in [*(name for name in names if not name.startswith(_HEAVY)), *_LATE]:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError:
            continue  # of an extra that is not installed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
