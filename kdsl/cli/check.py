"""kdsl check: what is wrong with a data set."""

from typing import TYPE_CHECKING

import typer

from kdsl.cli.options import Format, FormatOption, ProjectArguments, open_project, print_json

if TYPE_CHECKING:
    from kdsl.data.checks import Report


def check(arguments: ProjectArguments = None, format: FormatOption = Format.table) -> None:
    """Find what is wrong with a data set; exit code 1 when there are findings."""
    report = open_project(arguments).check()
    if format is Format.json:
        print_json(_record(report))
    else:
        _print(report)
    if report.findings:
        raise typer.Exit(1)


def _record(report: "Report") -> dict[str, object]:
    from dataclasses import asdict

    counts = {
        task: [{"label": label, **found} for label, found in labels.items()] for task, labels in report.counts.items()
    }
    unused = {split: dict(keys) for split, keys in report.unused.items()}
    return {"counts": counts, "unused_keys": unused, "findings": [asdict(finding) for finding in report.findings]}


def _print(report: "Report") -> None:
    from rich.table import Table
    from rich.text import Text

    from kdsl.cli.console import results_console

    console = results_console()
    for task, labels in report.counts.items():
        splits = list(next(iter(labels.values())))
        table = Table(title=Text(task, style="table.title"), title_justify="left")
        table.add_column("label")
        for split in splits:
            table.add_column(split, justify="right")
        for label, found in labels.items():
            table.add_row(Text(label or "(no label)"), *(str(found[split]) for split in splits))
        table.add_section()
        table.add_row("all", *(str(sum(found[split] for found in labels.values())) for split in splits))
        console.print(table)
    for split, keys in report.unused.items():
        named = ", ".join(f"{key} ({count})" for key, count in sorted(keys.items()))
        console.print(Text(f"{split}: keys that are not used: {named}"))
    if not report.findings:
        console.print("No findings.")
        return
    table = Table(title="Findings", title_justify="left", show_lines=True)
    for column in ("finding", "where", "count", "what", "for example"):
        table.add_column(column, justify="right" if column == "count" else "left", overflow="fold")
    for finding in report.findings:
        where = " ".join(part for part in (finding.split, finding.task) if part)
        cells = (finding.kind, where, str(finding.count), finding.message, "\n".join(finding.examples))
        table.add_row(*map(Text, cells))
    console.print(table)
