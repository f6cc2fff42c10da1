"""Lint: everything about a rule base that a person should look at, one finding for each."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Literal

import numpy as np

from kdsl.errors import KdslError
from kdsl.fields.sidecar import Sidecars
from kdsl.fields.table import FieldTable
from kdsl.file_names import safe_name
from kdsl.files import read_text
from kdsl.rules.checks import run_tests
from kdsl.rules.engine import Engine
from kdsl.rules.implication import contradicts, implies, redundant_terms, subsumed
from kdsl.rules.rule import Rule
from kdsl.rules.rule_files import files_of, read_rule_files
from kdsl.rules.rulebase import ACTIVE
from kdsl.rules.statistics import StatisticsByRule, read_statistics, statistics_path
from kdsl.sample import Sample, Task
from kdsl.text import normalise

OVERLAP, OVERLAP_SAMPLES = 0.8, 3
"""Two rules of different labels conflict when they share this part of the hits of one, and so many samples."""

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to look at; docs/rules.md lists all checks."""

    check: str
    severity: Severity
    file: Path
    line: int | None
    rule: str | None
    message: str

    @property
    def place(self) -> str:
        return f"{self.file}, line {self.line}" if self.line else str(self.file)


def lint(folder: Path, task: Task, samples: Sequence[Sample] = (), sidecars: Sidecars | None = None) -> list[Finding]:
    """All findings about the rules of `task` in the rule base at `folder`, by file and line.

    `samples` of the task, where there are some, are what tests run on and overlaps are counted on. A file that cannot
    be read is a finding and the others are still looked at; so is the file of statistics.
    """
    found = read_rule_files(folder, task.name)
    files = {rule.id: _RuleFile(path, rule) for path, rule in found.rules.items()}
    findings = [_unreadable(path, sentence) for path, sentence in found.unreadable.items()]
    for path, (rule, sentence) in found.doubles.items():
        file = _RuleFile(path, rule)
        findings.append(file.finding("duplicate id", "error", sentence.removeprefix(f"{path}: "), "id"))
    findings += [
        Finding("ignored file", "warning", path, None, None, "only .yaml files are read; rename it to end in .yaml")
        for path in files_of(folder, task.name)
        if path.suffix.lower() in (".yml", ".yaml") and path.suffix != ".yaml"
    ]
    statistics: StatisticsByRule = {}
    try:
        statistics = read_statistics(statistics_path(folder, task.name))
    except KdslError as error:
        findings.append(_unreadable(statistics_path(folder, task.name), error.in_commands()))
    findings += _check_all(files, task, samples, sidecars or Sidecars(), statistics)
    return sorted(findings, key=lambda finding: (str(finding.file), finding.line or 0, finding.check))


def lint_rule(
    path: Path,
    rule: Rule,
    others: Mapping[Path, Rule],
    task: Task,
    samples: Sequence[Sample],
    sidecars: Sidecars,
    statistics: StatisticsByRule,
) -> list[Finding]:
    """What `lint` finds about one rule, by line.

    Of the `others` by their files, those with the same conditions or the same label matter, and those for other labels
    that hit what it hits; of the samples, its hits and those that its tests name.
    """
    files = {each.id: _RuleFile(file, each) for file, each in sorted({path: rule, **others}.items())}
    findings = [
        finding for finding in _check_all(files, task, samples, sidecars, statistics) if finding.rule == rule.id
    ]
    return sorted(findings, key=lambda finding: (finding.line or 0, finding.check))


def _check_all(
    files: "dict[str, _RuleFile]",
    task: Task,
    samples: Sequence[Sample],
    sidecars: Sidecars,
    statistics: StatisticsByRule,
) -> list[Finding]:
    findings = [finding for file in files.values() for finding in _check_rule(file, task)]
    findings += _check_together(files, statistics)
    if samples:
        findings += _check_on_samples(files, samples, sidecars)
    return findings


@dataclass(frozen=True, slots=True)
class _RuleFile:
    path: Path
    rule: Rule

    def finding(
        self, check: str, severity: Severity, message: str, key: str | None = None, condition: int | None = None
    ) -> Finding:
        """A finding at the line of a top-level key or of a condition."""
        return Finding(check, severity, self.path, self._line(key, condition), self.rule.id, message)

    def _line(self, key: str | None, condition: int | None) -> int | None:
        lines = list(enumerate(read_text(self.path).split("\n"), start=1))
        if condition is None:
            return next((number for number, line in lines if key and line.startswith(f"{key}:")), None)
        begin = next((number for number, line in lines if line.startswith("when:")), 0)
        rest = takewhile(lambda entry: not re.match(r"\w", entry[1]), lines[begin:])
        items = [(number, len(line) - len(line.lstrip())) for number, line in rest if line.lstrip().startswith("- ")]
        # Terms may be a block list too, which is indented further than the list of conditions.
        numbers = [number for number, indent in items if indent == min(indent for _, indent in items)]
        return numbers[condition] if condition < len(numbers) else None


def _unreadable(path: Path, sentence: str) -> Finding:
    match = re.match(rf"{re.escape(str(path))}(?:, line (\d+))?(?:, column \d+)?: ", sentence)
    message = sentence[match.end() :] if match else sentence
    return Finding("unreadable", "error", path, int(match[1]) if match and match[1] else None, None, message)


def _check_rule(file: _RuleFile, task: Task) -> Iterator[Finding]:
    rule = file.rule
    if rule.label not in task.label_names:
        message = f"the label {rule.label!r} is not one of task {task.name}; `kdsl rules list` shows labels in use"
        yield file.finding("unknown label", "error", message, "label")
    elif not _is(file.path.parent, file.path.parent.with_name(safe_name(rule.label))):
        message = f"lies in the folder {file.path.parent.name!r}, but its label is {rule.label!r}; the label counts"
        yield file.finding("misplaced file", "warning", message, "label")
    if rule.stale:
        by = f" by {rule.review.by}" if rule.review.by else ""
        message = f"the conditions have changed since the review{by}; review the rule again"
        yield file.finding("stale review", "error" if rule.status == "accepted" else "warning", message, "review")
    if all(condition.negated for condition in rule.conditions):
        message = "all conditions are negated, so the rule hits whatever holds none of the terms; add a positive one"
        yield file.finding("only negated", "warning", message, "when")
    for index, condition in enumerate(rule.conditions):
        seen: set[str] = set()
        for term in condition.terms:
            if normalise(term) in seen:
                message = f"the term {term!r} is given twice; keep one of the two"
                yield file.finding("duplicate term", "warning", message, condition=index)
            seen.add(normalise(term))
        for longer, shorter in redundant_terms(condition):
            message = f"the term {longer!r} says nothing beside {shorter!r}, which it contains; delete it"
            yield file.finding("redundant term", "warning", message, condition=index)
        for other in rule.conditions[:index]:
            if contradicts(condition, other):
                message = f"`{condition}` contradicts `{other}`: the rule never hits; delete one of the two"
                yield file.finding("contradiction", "error", message, condition=index)
            elif implies(other, condition) or implies(condition, other):
                weaker, stronger = (condition, other) if implies(other, condition) else (other, condition)
                message = f"`{weaker}` says nothing beside `{stronger}`; delete it"
                yield file.finding("redundant condition", "warning", message, condition=index)


def _is(folder: Path, other: Path) -> bool:
    """Whether both are one folder; names that differ in case or accents are, where the file system says so."""
    return folder == other or (other.exists() and other.samefile(folder))


def _check_together(files: dict[str, _RuleFile], statistics: StatisticsByRule) -> Iterator[Finding]:
    same: dict[str, list[_RuleFile]] = defaultdict(list)
    for file in files.values():
        same[file.rule.when_hash].append(file)
    for group in same.values():
        for index, file in enumerate(group):
            rule, earlier = file.rule, [other.rule for other in group[:index]]
            twin = next((other for other in earlier if other.label == rule.label), None)
            rival = next((other for other in earlier if {other.status, rule.status} <= set(ACTIVE)), None)
            if twin is not None:
                message = f"has the conditions and the label of {twin.id}; keep one of the two"
                yield file.finding("duplicate rule", "warning", message, "when")
            elif rival is not None:
                message = f"has the conditions of {rival.id}, whose label is {rival.label!r}; keep one of the two"
                yield file.finding("conflict", "error", message, "when")
    active = [file.rule for file in files.values() if file.rule.status in ACTIVE]
    measured = {rule.id: statistics.get((rule.id, rule.when_hash)) for rule in active}
    reliabilities = {
        id: entry.reliability for id, entry in measured.items() if entry and entry.reliability is not None
    }
    for special, general in subsumed(active, reliabilities):
        message = f"hits only where {general.id} (`{general}`) hits too; delete it or make it say more"
        yield files[special.id].finding("subsumed rule", "warning", message, "when")


def _check_on_samples(files: dict[str, _RuleFile], samples: Sequence[Sample], sidecars: Sidecars) -> Iterator[Finding]:
    for outcome in run_tests([file.rule for file in files.values()], samples, sidecars):
        if not outcome.passed:
            yield files[outcome.rule.id].finding("failing test", "error", outcome.sentence, "tests")
    active = [file for file in files.values() if file.rule.status in ACTIVE]
    for first, second, shared, hits in _overlaps([file.rule for file in active], samples, sidecars):
        message = (
            f"{shared} of its {hits} hits are hits of {active[second].rule.id} too, whose label is "
            f"{active[second].rule.label!r}; make one of the two more special"
        )
        yield active[first].finding("conflict", "warning", message, "when")


def _overlaps(
    rules: Sequence[Rule], samples: Sequence[Sample], sidecars: Sidecars
) -> Iterator[tuple[int, int, int, int]]:
    """(rule, rule of another label that it shares most with, shared hits, its hits) for every heavy overlap."""
    from scipy.sparse import csr_matrix

    matrix = Engine(rules).matrix(FieldTable(samples, sidecars))
    counts = matrix.sum(axis=0)
    sparse = csr_matrix(matrix.astype(np.int32))
    shared = (sparse.T @ sparse).tocsr()
    _, labels = np.unique([rule.label for rule in rules], return_inverse=True)
    for rule in range(len(rules)):
        row = slice(shared.indptr[rule], shared.indptr[rule + 1])
        others, common = shared.indices[row], shared.data[row]
        heavy = (labels[others] != labels[rule]) & (common >= OVERLAP_SAMPLES) & (common >= OVERLAP * counts[rule])
        if heavy.any():
            best = np.flatnonzero(heavy)[np.argmax(common[heavy])]
            yield rule, int(others[best]), int(common[best]), int(counts[rule])
