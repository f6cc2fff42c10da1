"""kdsl rules: look at, check and tidy the rule base."""

from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kdsl.cli.options import Format, FormatOption, ProjectArguments, open_project, print_json
from kdsl.cli.rules_exchange import export_rules, import_rules

if TYPE_CHECKING:
    from kdsl.project.project import Project
    from kdsl.rules.rule import Rule
    from kdsl.rules.rulebase import RuleBase
    from kdsl.sample import Task

app = typer.Typer(help="Look at, check and tidy the rule base.", no_args_is_help=True, rich_markup_mode=None)
app.command("export")(export_rules)
app.command("import")(import_rules)


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
    from kdsl.cli.rules_table import list_record, print_list

    chosen = list(_chosen(open_project(arguments), task, label, status))
    if format is Format.json:
        records = []
        for base, rules in chosen:
            known = base.statistics()
            records += [list_record(base, rule, known) for rule in rules]
        print_json(records)
    else:
        print_list(chosen)


@app.command()
def show(
    id: Annotated[str, typer.Argument(metavar="ID", help="The id of a rule, such as r-7f3k2m9q.", show_default=False)],
    arguments: ProjectArguments = None,
    samples: Annotated[int, typer.Option("--samples", min=0, help="Show at most so many hits of either kind.")] = 5,
    format: FormatOption = Format.table,
) -> None:
    """Show one rule: its conditions, file and statistics, and the training samples it hits, wrong ones first."""
    from kdsl.cli.rules_show import print_rule, rule_record
    from kdsl.fields.table import FieldTable
    from kdsl.rules.engine import Engine

    project = open_project(arguments)
    task, base = _base_of(project, id)
    rule = base.get(id)
    items = project.task_samples(task) if project.config.data.train is not None else []
    found = Engine([rule]).hits(FieldTable(items, project.sidecars()))
    hits = [(sample, hit[0]) for sample, hit in zip(items, found, strict=True) if hit]
    if format is Format.json:
        print_json(rule_record(base, rule, hits))
    else:
        print_rule(base, rule, hits, samples)


@app.command()
def lint(arguments: ProjectArguments = None, task: TaskOption = None, format: FormatOption = Format.table) -> None:
    """Find mistakes, contradictions, duplicates, conflicts and stale reviews; exit code 1 when there are findings."""
    from kdsl.cli.rules_table import print_findings
    from kdsl.rules.lint import lint as find

    project = open_project(arguments)
    labelled = project.config.data.train is not None
    sidecars = project.sidecars()
    findings = []
    for item in _tasks(project, task):
        findings += find(project.config.rules, item, project.task_samples(item) if labelled else (), sidecars)
    if format is Format.json:
        print_json([finding.record() for finding in findings])
    else:
        print_findings(findings)
    if findings:
        raise typer.Exit(1)


@app.command()
def test(arguments: ProjectArguments = None, task: TaskOption = None, format: FormatOption = Format.table) -> None:
    """Run the tests in the rule files on the training samples; exit code 1 when one fails."""
    from kdsl.cli.rules_table import print_tests, test_record
    from kdsl.rules.rule_tests import run_tests
    from kdsl.rules.rulebase import RuleBase

    project = open_project(arguments)
    outcomes = []
    for item in _tasks(project, task):
        rules = RuleBase.load(project.config.rules, item.name).rules
        if any(rule.tests.hit or rule.tests.miss for rule in rules):
            outcomes += run_tests(rules, project.task_samples(item), project.sidecars())
    if format is Format.json:
        print_json([test_record(outcome) for outcome in outcomes])
    else:
        print_tests(outcomes)
    if not all(outcome.passed for outcome in outcomes):
        raise typer.Exit(1)


@app.command()
def diff(
    old: Annotated[
        str,
        typer.Argument(
            metavar="REVISION | FOLDER",
            help="Another rule folder, or a git revision such as HEAD.",
            show_default=False,
        ),
    ],
    arguments: ProjectArguments = None,
    task: TaskOption = None,
    format: FormatOption = Format.table,
) -> None:
    """Tell which rules were added, removed or changed since a git revision, or against another rule folder."""
    from contextlib import nullcontext

    from kdsl.cli.rules_table import change_record, print_changes
    from kdsl.rules.compare import compare, rules_at_revision
    from kdsl.rules.rulebase import RuleBase

    project = open_project(arguments)
    rules = project.config.rules
    changes = {}
    with nullcontext(Path(old)) if Path(old).is_dir() else rules_at_revision(rules, old) as folder:
        for item in _tasks(project, task):
            before, after = (RuleBase.load(place, item.name).rules for place in (folder, rules))
            changes[item.name] = compare(before, after)
    if format is Format.json:
        print_json([change_record(name, change) for name, found in changes.items() for change in found])
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
    from kdsl.cli.rules_table import print_summaries, summary_record
    from kdsl.fields.table import FieldTable
    from kdsl.rules.engine import Engine
    from kdsl.rules.summary import summarise

    project = open_project(arguments)
    summaries = {}
    for base, rules in _chosen(project, task, label, status):
        samples = [sample for sample in project.samples() if sample.task == base.task]
        matrix = Engine(rules).matrix(FieldTable(samples, project.sidecars()))
        summaries[base.task] = summarise(rules, matrix, [sample.label for sample in samples])
    if format is Format.json:
        print_json([summary_record(name, row) for name, rows in summaries.items() for row in rows])
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
    from kdsl.errors import KdslError
    from kdsl.locks import held
    from kdsl.rules.rule_file import rule_text
    from kdsl.rules.rulebase import RuleBase

    project = open_project(arguments)
    total, changed = 0, 0
    left_out: dict[Path, str] = {}
    # Between reading and writing a file nobody decides about it, and nothing is mined.
    with held(project.config.rules, shared=check):
        for item in _tasks(project, task):
            base = RuleBase.load(project.config.rules, item.name, problems="list")
            left_out |= base.problems
            for file in base.files:
                try:
                    wanted = rule_text(file.rule, file.text)
                except KdslError as error:
                    left_out[file.path] = f"{file.path}: {error}"
                    continue
                total += 1
                if file.text.removeprefix("\ufeff") != wanted:
                    changed += 1
                    typer.echo(f"{file.path}: {'would be' if check else 'is'} rewritten")
                    if not check:
                        base.save(file.rule)
    for sentence in left_out.values():
        typer.echo(f"left out: {sentence}")
    typer.echo(f"{changed} of {total} rule files {'would be' if check else 'were'} rewritten.")
    if left_out or (check and changed):
        raise typer.Exit(1)


def _tasks(project: "Project", name: str | None) -> "list[Task]":
    from kdsl.errors import KdslError

    chosen = [task for task in project.tasks if name in (None, task.name)]
    if not chosen:
        names = ", ".join(task.name for task in project.tasks)
        raise KdslError(f"--task {name}: the project has no such task; it has {names}")
    return chosen


def _chosen(
    project: "Project", name: str | None, label: str | None, status: RuleStatus | None
) -> "Iterable[tuple[RuleBase, list[Rule]]]":
    """The rules of every chosen task that the filters let pass."""
    from kdsl.errors import KdslError
    from kdsl.rules.rulebase import RuleBase

    tasks = _tasks(project, name)
    if label is not None and not any(label in task.label_names for task in tasks):
        raise KdslError(f"--label {label}: no task of the project has this label")
    for task in tasks:
        base = RuleBase.load(project.config.rules, task.name)
        rules = base.rules if status is None else base.active([status.value])
        yield base, [rule for rule in rules if label in (None, rule.label)]


def _base_of(project: "Project", id: str) -> "tuple[Task, RuleBase]":
    from kdsl.errors import KdslError
    from kdsl.rules.rulebase import RuleBase

    for task in project.tasks:
        base = RuleBase.load(project.config.rules, task.name)
        if any(rule.id == id for rule in base.rules):
            return task, base
    raise KdslError(f"{project.config.rules}: no rule has the id {id!r}; `kdsl rules list` shows all ids")
