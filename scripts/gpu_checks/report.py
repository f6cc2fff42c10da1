"""What was measured, as JSON and as a table for docs/benchmarks.md."""

import json
from pathlib import Path

from gpu_checks.feeding import verdict
from gpu_checks.machine import Machine
from gpu_checks.running import Outcome
from kdsl.files import write_atomically

COLUMNS = ("check", "what", "speed", "peak memory", "share of the peak", "remark")


def write(machine: Machine, outcomes: list[Outcome], path: Path) -> None:
    """`path` as JSON and, beside it, the table as Markdown."""
    whole = {"machine": machine.as_dict(), "outcomes": [outcome.as_dict() for outcome in outcomes]}
    write_atomically(path, json.dumps(whole, ensure_ascii=False, indent=1) + "\n")
    write_atomically(markdown_path(path), markdown(machine, outcomes))


def markdown_path(path: Path) -> Path:
    return path.with_suffix(".md")


def markdown(machine: Machine, outcomes: list[Outcome]) -> str:
    lines = [f"`scripts/gpu_check` on {machine.describe()}:", "", _line(COLUMNS), _line(["---"] * len(COLUMNS))]
    lines += [_line(row) for row in rows(outcomes)]
    if (said := verdict(outcomes)) is not None:
        lines += ["", said]
    return "\n".join(lines) + "\n"


def table(outcomes: list[Outcome]) -> str:
    """The same rows, for a terminal."""
    cells = [list(COLUMNS), *rows(outcomes)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(COLUMNS))]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in cells]
    said = verdict(outcomes)
    return "\n".join(lines if said is None else [*lines, "", said])


def rows(outcomes: list[Outcome]) -> list[list[str]]:
    """One for each measurement, and one for each program that did not come to its end."""
    shown = []
    for outcome in outcomes:
        for row in outcome.rows:
            rate = "" if row["rate"] is None else f"{row['rate']:,.4g} {row['unit']}"
            memory = "" if row["memory"] is None else f"{row['memory']:.1f} GiB"
            share = "" if row["share"] is None else f"{row['share']:.1%}"
            shown.append([outcome.check, f"{outcome.title}: {row['what']}", rate, memory, share, row["note"]])
        if outcome.end != "done":
            shown.append([outcome.check, outcome.title, "", "", "", outcome.end])
    return shown


def _line(cells: "list[str] | tuple[str, ...]") -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
