"""kdsl rules: look at, check and tidy the rule base."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from kdsl.cli.options import (
    Format,
    FormatOption,
    ProjectArguments,
    chosen_tasks,
    open_project,
    print_json,
    project_and,
    taken_out,
)
from kdsl.cli.rules_exchange import export_rules, import_rules
from kdsl.cli.rules_refine import refine

if TYPE_CHECKING:
    from kdsl.project.project import Project
    from kdsl.sample import Task

app = typer.Typer(help="Look at, check and tidy the rule base.", no_args_is_help=True, rich_markup_mode=None)
app.command("export")(export_rules)
app.command("import")(import_rules)
app.command()(refine)


class RuleStatus(StrEnum):
    proposed = "proposed"
    accepted = "accepted"
    rejected = "rejected"
    disabled = "disabled"


TaskOption = Annotated[str | None, typer.Option("--task", metavar="NAME", help="Only rules of this task.")]
LabelOption = Annotated[str | None, typer.Option("--label", metavar="LABEL", help="Only rules for this label.")]
StatusOption = Annotated[RuleStatus | None, typer.Option("--status", help="Only rules with this status.")]


@app.command("list")
def list_rules(
    arguments: ProjectArguments = None,
    task: TaskOption = None,
    label: LabelOption = None,
    status: StatusOption = None,
    format: FormatOption = Format.table,
) -> None:
    """List the rules in words, with their counts in training and on held-out data, and their reliability."""
    from kdsl.cli.rules_table import print_list
    from kdsl.project.rule_reports import chosen_rules
    from kdsl.rules.records import rule_records

    project = open_project(arguments)
    chosen = chosen_rules(project, _tasks(project, task, label), label, None if status is None else status.value)
    if format is Format.json:
        print_json([record for base, rules in chosen for record in rule_records(base, rules)])
    else:
        print_list(chosen)


@app.command()
def show(
    arguments: Annotated[list[str] | None, project_and("ID", "the id of a rule, such as r-7f3k2m9q.")] = None,
    samples: Annotated[int, typer.Option("--samples", min=0, help="Show at most so many hits of either kind.")] = 5,
    format: FormatOption = Format.table,
) -> None:
    """Show one rule: its conditions, file and statistics, and the training samples it hits, wrong ones first."""
    from kdsl.cli.rules_show import print_rule
    from kdsl.project.rule_reports import rule_of, training_hits
    from kdsl.rules.records import hit_records, rule_records

    id, others = taken_out("ID", arguments)
    project = open_project(others)
    task, rule = rule_of(project, id)
    base, hits = project.rule_base(task), training_hits(project, task, rule)
    if format is Format.json:
        [record] = rule_records(base, [rule])
        print_json({**record, "hits": hit_records(rule, hits)})
    else:
        print_rule(base, rule, hits, samples)


@app.command()
def lint(arguments: ProjectArguments = None, task: TaskOption = None, format: FormatOption = Format.table) -> None:
    """Find mistakes, contradictions, duplicates, conflicts and stale reviews; exit code 1 when there are findings."""
    from kdsl.cli.rules_table import print_findings
    from kdsl.project.rule_reports import lint_rules

    project = open_project(arguments)
    findings = lint_rules(project, chosen_tasks(project, task))
    if format is Format.json:
        print_json([finding.record() for finding in findings])
    else:
        print_findings(findings)
    if findings:
        raise typer.Exit(1)


@app.command()
def test(arguments: ProjectArguments = None, task: TaskOption = None, format: FormatOption = Format.table) -> None:
    """Run the tests in the rule files on the training samples; exit code 1 when one fails."""
    from kdsl.cli.rules_table import print_tests
    from kdsl.project.rule_reports import run_rule_tests

    project = open_project(arguments)
    outcomes = run_rule_tests(project, chosen_tasks(project, task))
    if format is Format.json:
        print_json([outcome.record() for outcome in outcomes])
    else:
        print_tests(outcomes)
    if not all(outcome.passed for outcome in outcomes):
        raise typer.Exit(1)


@app.command()
def diff(
    arguments: Annotated[
        list[str] | None, project_and("REVISION", "another rule folder, or a git revision such as HEAD.")
    ] = None,
    task: TaskOption = None,
    format: FormatOption = Format.table,
) -> None:
    """Tell which rules were added, removed or changed since a git revision, or against another rule folder."""
    from kdsl.cli.rules_table import print_changes
    from kdsl.project.rule_reports import changed_rules

    old, others = taken_out("REVISION", arguments)
    project = open_project(others)
    changes = changed_rules(project, chosen_tasks(project, task), old)
    if format is Format.json:
        print_json([{"task": name, **change.record()} for name, found in changes.items() for change in found])
    else:
        print_changes(changes)


@app.command()
def stats(
    arguments: ProjectArguments = None,
    task: TaskOption = None,
    label: LabelOption = None,
    status: StatusOption = None,
    format: FormatOption = Format.table,
) -> None:
    """Count on the training samples: coverage, overlaps, conflicts, correct and incorrect hits, precision."""
    from kdsl.cli.rules_table import print_summaries
    from kdsl.project.rule_reports import chosen_rules, summarise_rules

    project = open_project(arguments)
    chosen = chosen_rules(project, _tasks(project, task, label), label, None if status is None else status.value)
    summaries = {base.task: summarise_rules(project, base, rules) for base, rules in chosen}
    if format is Format.json:
        print_json([{"task": name, **row.record()} for name, rows in summaries.items() for row in rows])
    else:
        print_summaries(summaries)


@app.command()
def fmt(
    arguments: ProjectArguments = None,
    task: TaskOption = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit code 1 when a file is not in its form.")
    ] = False,
) -> None:
    """Rewrite rule files in the one form that KDSL writes; comments are kept."""
    from kdsl.rules.formatting import format_rule_files

    project = open_project(arguments)
    names = [each.name for each in chosen_tasks(project, task)]
    is_, were = ("would be", "would be") if check else ("is", "were")
    found = format_rule_files(project.config.rules, names, check, lambda path: typer.echo(f"{path}: {is_} rewritten"))
    for sentence in found.left_out.values():
        typer.echo(f"left out: {sentence}")
    typer.echo(f"{len(found.changed)} of {found.files} rule files {were} rewritten.")
    if found.left_out or (check and found.changed):
        raise typer.Exit(1)


def _tasks(project: "Project", name: str | None, label: str | None) -> "list[Task]":
    """The tasks that --task and --label leave; KdslError where none of them has the label."""
    from kdsl.errors import KdslError

    tasks = chosen_tasks(project, name)
    if label is not None and not any(label in task.label_names for task in tasks):
        raise KdslError(f"--label {label}: no task of the project has this label")
    return tasks
