"""What the rules of a project do: their hits, tests, findings of lint, counts, and changes since another version."""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path

from kdsl.errors import KdslError
from kdsl.project.project import Project
from kdsl.rules.compare import Change, compare, rules_at_revision
from kdsl.rules.engine import Engine
from kdsl.rules.evidence import Hit
from kdsl.rules.finding import Finding
from kdsl.rules.lint import lint
from kdsl.rules.rule import Rule, Status
from kdsl.rules.rule_tests import TestOutcome, run_tests
from kdsl.rules.rulebase import RuleBase
from kdsl.rules.summary import RuleSummary, summarise
from kdsl.sample import Sample, Task


def rule_of(project: Project, id: str) -> tuple[Task, Rule]:
    """The rule with that id, and its task; KdslError where no task has it."""
    for task in project.tasks:
        file = project.rule_base(task).file(id)
        if file is not None:
            return task, file.rule
    raise KdslError(f"{project.config.rules}: no rule has the id {id!r}; `kdsl rules list` shows all ids")


def chosen_rules(
    project: Project, tasks: Sequence[Task], label: str | None = None, status: Status | None = None
) -> Iterator[tuple[RuleBase, list[Rule]]]:
    """The rule base of each of `tasks`, and those of its rules that have the label and the status, where given."""
    for task in tasks:
        base = project.rule_base(task)
        yield base, [rule for rule in base if label in (None, rule.label) and status in (None, rule.status)]


def training_hits(project: Project, task: Task, rule: Rule) -> list[tuple[Sample, Hit]]:
    """The training samples of a task that a rule hits, and how; none where the project names no such samples."""
    if "train" not in project.splits:
        return []
    engine = Engine([rule])
    return [
        (row.sample, hits[0])
        for table in project.field_tables(task)
        for row, hits in zip(table.rows, engine.hits(table), strict=True)
        if hits
    ]


def lint_rules(project: Project, tasks: Sequence[Task]) -> list[Finding]:
    """What a person should look at in the rule bases of `tasks`, with training samples where there are some."""
    labelled, sidecars = "train" in project.splits, project.sidecars()
    findings = [
        finding
        for task in tasks
        for finding in lint(project.config.rules, task, project.task_samples(task) if labelled else (), sidecars)
    ]
    if sidecars.vectors is not None:
        sidecars.vectors.tell()
    return findings


def run_rule_tests(project: Project, tasks: Sequence[Task]) -> list[TestOutcome]:
    """Run the tests in the rule files of `tasks` on the training samples, read only where there are tests."""
    outcomes = []
    for task in tasks:
        rules = project.rule_base(task).rules
        if any(rule.tests.hit or rule.tests.miss for rule in rules):
            outcomes += run_tests(rules, project.task_samples(task), project.sidecars())
    if project.vectors is not None:
        project.vectors.tell()
    return outcomes


def changed_rules(project: Project, tasks: Sequence[Task], since: str) -> dict[str, list[Change]]:
    """Task → rules that were added, removed or changed since a git revision, or against another rule folder.

    Raises KdslError where `since` is neither.
    """
    folder = Path(since)
    rules = project.config.rules
    with nullcontext(folder) if folder.is_dir() else rules_at_revision(rules, since) as before:
        return {
            task.name: compare(RuleBase.load(before, task.name).rules, project.rule_base(task).rules) for task in tasks
        }


def summarise_rules(project: Project, base: RuleBase, rules: Sequence[Rule]) -> list[RuleSummary]:
    """What rules of a task's rule base do on its training samples: coverage, overlaps, conflicts and precision."""
    task = project.task(base.task)
    engine = Engine(rules)
    pieces = (
        (engine.matrix(table), [row.sample.given_labels for row in table.rows]) for table in project.field_tables(task)
    )
    return summarise(rules, pieces, task.multi)
