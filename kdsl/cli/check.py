"""kdsl check: what is wrong with a data set."""

from typing import TYPE_CHECKING, Annotated

import typer

from kdsl.cli.options import Format, FormatOption, ProjectArguments, open_project, print_json

if TYPE_CHECKING:
    from kdsl.data.checks import Report
    from kdsl.project.project import Project

_LABELS_TOLD = 50
"""Doubtful labels of a task in the table; JSON has all."""


def check(
    arguments: ProjectArguments = None,
    labels: Annotated[
        bool, typer.Option("--labels", help="Find labels that are probably wrong, once the project is trained.")
    ] = False,
    format: FormatOption = Format.table,
) -> None:
    """Find what is wrong with a data set; exit code 1 when there are findings."""
    if labels:
        _check_labels(open_project(arguments), format)
        return
    report = open_project(arguments).check()
    if format is Format.json:
        print_json(report.record())
    else:
        _print(report)
    if report.findings:
        raise typer.Exit(1)


def _check_labels(project: "Project", format: Format) -> None:
    from rich.text import Text

    from kdsl.cli.console import print_table, results_console, results_table

    found = {task.name: project.label_issues(task.name) for task in project.tasks}
    if format is Format.json:
        print_json({"issues": [issue.record() for issues in found.values() for issue in issues]})
    else:
        for task, issues in found.items():
            if not issues:
                results_console().print(f"{task}: no label is doubtful that nobody has looked at.")
                continue
            table = results_table(f"{task}: labels to look at", "sample", "what it says", "label", "suggested", "why")
            for issue in issues[:_LABELS_TOLD]:
                cells = (issue.sample.id, issue.words, str(issue.sample.label), issue.suggested or "", issue.why)
                table.add_row(*map(Text, cells))
            print_table(table)
            if len(issues) > _LABELS_TOLD:
                results_console().print(f"{len(issues) - _LABELS_TOLD} more; --format json has all of them.")
        if any(found.values()):
            results_console().print("`kdsl review` shows them one by one, to be relabelled or confirmed with one key.")
    if any(found.values()):
        raise typer.Exit(1)


def _print(report: "Report") -> None:
    from rich.text import Text

    from kdsl.cli.console import print_table, results_console, results_table

    console = results_console()
    for task, labels in report.counts.items():
        splits = list(next(iter(labels.values())))
        if not splits:
            continue
        table = results_table(task, "label", *(f">{split}" for split in splits))
        for label, found in labels.items():
            table.add_row(Text(label or "(no label)"), *(str(found[split]) for split in splits))
        table.add_section()
        table.add_row("all", *(str(report.totals[task][split]) for split in splits))
        print_table(table)
    for split, keys in report.unused.items():
        named = ", ".join(f"{key} ({count})" for key, count in sorted(keys.items()))
        console.print(Text(f"{split}: keys that are not used: {named}"))
    if report.feedback:
        by = ", ".join(f"{name} {count}" for name, count in report.feedback.items())
        console.print(Text(f"train: {sum(report.feedback.values())} samples from feedback ({by})"))
    if not report.findings:
        console.print("No findings.")
        return
    table = results_table("Findings", "finding", "where", ">count", "what", "for example")
    table.show_lines = True
    for finding in report.findings:
        where = " ".join(part for part in (finding.split, finding.task) if part)
        cells = (finding.kind, where, str(finding.count), finding.message, "\n".join(finding.examples))
        table.add_row(*map(Text, cells))
    console.print(table)
