"""Lint: everything about a rule base that a person should look at, one finding for each."""

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from itertools import takewhile
from pathlib import Path

import numpy as np

from kdsl.bitmaps import count
from kdsl.embeddings.sentence_vectors import SentenceVectors
from kdsl.errors import KdslError
from kdsl.fields.sidecar import Sidecars
from kdsl.fields.table import FieldTable, tables
from kdsl.file_names import safe_name
from kdsl.rules.condition import Condition
from kdsl.rules.engine import Engine, condition_bitmaps
from kdsl.rules.finding import Check, Finding, Severity, Values
from kdsl.rules.implication import contradicts, implies, redundant_terms, subsumed
from kdsl.rules.rule import Rule
from kdsl.rules.rule_files import files_of
from kdsl.rules.rule_tests import run_tests
from kdsl.rules.rulebase import ACTIVE, RuleBase, RuleFile
from kdsl.rules.statistics import StatisticsByRule, read_statistics, statistics_path
from kdsl.sample import Sample, Task
from kdsl.text import normalise

OVERLAP, OVERLAP_SAMPLES = 0.8, 3
"""Two rules of different labels conflict when they share this part of the hits of one, and so many samples."""

LONGEST_WORDING = 60
"""Characters of a wording: sentences of more say several things at once."""
MOST = 0.5
"""A meaning that more of the samples are near to than this tells no label from others."""


def lint(folder: Path, task: Task, samples: Sequence[Sample] = (), sidecars: Sidecars | None = None) -> list[Finding]:
    """All findings about the rules of `task` in the rule base at `folder`, by file and line.

    `samples` of the task, where there are some, are what tests run on and overlaps are counted on. A file that cannot
    be read is a finding and the others are still looked at; so is the file of statistics.
    """
    base = RuleBase.load(folder, task.name, problems="list")
    findings = [_unreadable(path, sentence) for path, sentence in base.unreadable.items()]
    findings += [_found(each.file, each.check, "error", "id", each.values) for each in base.doubles.values()]
    findings += [
        Finding("ignored file", "warning", path, None, None, {"ending": path.suffix})
        for path in files_of(folder, task.name)
        if path.suffix.lower() in (".yml", ".yaml") and path.suffix != ".yaml"
    ]
    statistics: StatisticsByRule = {}
    try:
        statistics = read_statistics(statistics_path(folder, task.name))
    except KdslError as error:
        findings.append(_unreadable(statistics_path(folder, task.name), error.in_commands()))
    sidecars = sidecars or Sidecars()
    findings += _check_all(base.files, task, samples, sidecars, statistics)
    findings += _check_on_all(base.files, FieldTable(samples, sidecars))
    return sorted(findings, key=lambda finding: (str(finding.file), finding.line or 0, finding.check))


def lint_rule(
    file: RuleFile,
    others: Sequence[RuleFile],
    task: Task,
    samples: Sequence[Sample],
    sidecars: Sidecars,
    statistics: StatisticsByRule,
    table: FieldTable,
) -> list[Finding]:
    """What `lint` finds about one rule, by line.

    Of the `others`, those with the same conditions or the same label matter, and those for other labels that hit what
    it hits; of the `samples`, its hits and those that its tests name. `table` has all samples of the task.
    """
    files = sorted([file, *others], key=lambda each: each.path)
    findings = _check_all(files, task, samples, sidecars, statistics) + list(_check_on_all([file], table))
    own = [finding for finding in findings if finding.rule == file.rule.id]
    return sorted(own, key=lambda finding: (finding.line or 0, finding.check))


def _check_all(
    files: Sequence[RuleFile],
    task: Task,
    samples: Sequence[Sample],
    sidecars: Sidecars,
    statistics: StatisticsByRule,
) -> list[Finding]:
    findings = [finding for file in files for finding in _check_rule(file, task, sidecars.left_out)]
    findings += [finding for file in files for finding in _check_meanings(file, sidecars.vectors)]
    findings += _check_together(files, statistics, task.multi)
    if samples:
        findings += _check_on_samples(files, samples, sidecars, task.multi)
    return findings


def _found(
    file: RuleFile, check: Check, severity: Severity, where: str | int, values: Values | None = None
) -> Finding:
    """A finding at the line of a top-level key, or of the condition with a number."""
    return Finding(check, severity, file.path, _line(file, where), file.rule.id, values or {})


def _line(file: RuleFile, where: str | int) -> int | None:
    lines = list(enumerate(file.text.removeprefix("\ufeff").split("\n"), start=1))
    if isinstance(where, str):
        return next((number for number, line in lines if line.startswith(f"{where}:")), None)
    begin = next((number for number, line in lines if line.startswith("when:")), 0)
    rest = takewhile(lambda entry: not re.match(r"\w", entry[1]), lines[begin:])
    items = [(number, len(line) - len(line.lstrip())) for number, line in rest if line.lstrip().startswith("- ")]
    # Terms may be a block list too, which is indented further than the list of conditions.
    numbers = [number for number, indent in items if indent == min(indent for _, indent in items)]
    return numbers[where] if where < len(numbers) else None


def _unreadable(path: Path, sentence: str) -> Finding:
    match = re.match(rf"{re.escape(str(path))}(?:, line (\d+))?(?:, column \d+)?: ", sentence)
    reason = sentence[match.end() :] if match else sentence
    line = int(match[1]) if match and match[1] else None
    return Finding("unreadable", "error", path, line, None, {"reason": reason})


def _check_rule(file: RuleFile, task: Task, left_out: Collection[str]) -> Iterator[Finding]:
    rule = file.rule
    if rule.label not in task.label_names:
        yield _found(file, "unknown label", "error", "label", {"label": rule.label, "task": task.name})
    elif not _is(file.path.parent, file.path.parent.with_name(safe_name(rule.label))):
        folder = file.path.parent.name
        yield _found(file, "misplaced file", "warning", "label", {"folder": folder, "label": rule.label})
    if rule.stale:
        yield _found(file, "stale review", "error" if rule.status == "accepted" else "warning", "review")
    if all(condition.negated for condition in rule.conditions):
        yield _found(file, "only negated", "warning", "when")
    for number, condition in enumerate(rule.conditions):
        if condition.reads in left_out:
            yield _found(file, "left out field", "warning", number, {"condition": condition})
        seen: set[str] = set()
        for term in condition.sought:
            if normalise(term) in seen:
                yield _found(file, "duplicate term", "warning", number, {"term": term})
            seen.add(normalise(term))
        for longer, shorter in redundant_terms(condition):
            yield _found(file, "redundant term", "warning", number, {"term": longer, "shorter": shorter})
        if not condition.negated and _is_impossible(condition):
            yield _found(file, "impossible share", "error", number, {"condition": condition})
        for earlier in rule.conditions[:number]:
            if contradicts(condition, earlier):
                yield _found(file, "contradiction", "error", number, {"condition": condition, "earlier": earlier})
            elif implies(earlier, condition) or implies(condition, earlier):
                weaker, stronger = (condition, earlier) if implies(earlier, condition) else (earlier, condition)
                values: Values = {"weaker": weaker, "stronger": stronger}
                yield _found(file, "redundant condition", "warning", number, values)


def _is_impossible(condition: Condition) -> bool:
    """Whether a share is compared with something that no number from 0 to 1 is."""
    if condition.colour is None and condition.size is None and condition.field != "image.text_area":
        return False
    compared = condition.compared
    # Strictly below 0 or above 1 as much as at these ends: such a comparison is on one side of all shares.
    return compared is not None and not any(map(compared.holds, (0.0, 1.0, min(max(compared.value, 0.0), 1.0))))


def _check_meanings(file: RuleFile, vectors: SentenceVectors | None) -> Iterator[Finding]:
    for number, condition in enumerate(file.rule.conditions):
        meaning = condition.meaning
        if meaning is None:
            continue
        for wording in meaning.wordings:
            if (length := len(normalise(wording))) > LONGEST_WORDING:
                yield _found(file, "long wording", "warning", number, {"wording": wording, "length": length})
        if vectors is None:
            yield _found(file, "no encoder", "error", number, {"condition": condition})
        elif meaning.encoder not in (None, vectors.name):
            values: Values = {"condition": condition, "encoder": meaning.encoder, "own": vectors.name}
            yield _found(file, "other encoder", "error", number, values)


def _check_on_all(files: Sequence[RuleFile], table: FieldTable) -> Iterator[Finding]:
    """What can only be told from all samples of the task: that most of them, or none, meet a condition."""
    yield from _check_sight(files, table)
    yield from _check_voice(files, table)
    yield from _check_thresholds(files, table)


def _check_sight(files: Sequence[RuleFile], table: FieldTable) -> Iterator[Finding]:
    """The conditions on images that no sample meets because none has an image that can be looked at."""
    places = [
        (file, number, condition)
        for file in files
        for number, condition in enumerate(file.rule.conditions)
        if not condition.negated
        and condition.field not in table.sidecars.left_out
        and (condition.colour or condition.size or condition.image_kind)
    ]
    for on_text in {condition.size is not None for _, _, condition in places} if len(table) else ():
        if any(row.pages if on_text else row.picture is not None for row in table.rows):
            continue
        for file, number, condition in places:
            if (condition.size is not None) == on_text:
                yield _found(file, "no images", "warning", number, {"condition": condition})


def _check_voice(files: Sequence[RuleFile], table: FieldTable) -> Iterator[Finding]:
    """The conditions on voice messages that no sample meets because none has a transcript."""
    known = table.sidecars.transcripts
    if not len(table) or any(audio in known for row in table.rows for audio in row.shown.audio):
        return
    for file in files:
        for number, condition in enumerate(file.rule.conditions):
            if not condition.negated and condition.reads in ("voice", "audio.seconds"):
                yield _found(file, "no transcripts", "warning", number, {"condition": condition})


def _is(folder: Path, other: Path) -> bool:
    """Whether both are one folder; names that differ in case or accents are, where the file system says so."""
    return folder == other or (other.exists() and other.samefile(folder))


def _check_together(files: Sequence[RuleFile], statistics: StatisticsByRule, multi: bool) -> Iterator[Finding]:
    """`multi` is whether a sample may have several labels: rules for two of them may then say the same."""
    same: dict[str, list[RuleFile]] = defaultdict(list)
    for file in files:
        same[file.when].append(file)
    for group in same.values():
        for index, file in enumerate(group):
            rule, earlier = file.rule, [other.rule for other in group[:index]]
            twin = next((other for other in earlier if other.label == rule.label), None)
            rival = next((other for other in earlier if {other.status, rule.status} <= set(ACTIVE)), None)
            if twin is not None:
                yield _found(file, "duplicate rule", "warning", "when", {"other": twin.id})
            elif rival is not None and not multi:
                yield _found(file, "conflict", "error", "when", {"other": rival.id, "label": rival.label})
    active = {file.rule.id: file for file in files if file.rule.status in ACTIVE}
    measured = {id: statistics.get((id, file.when)) for id, file in active.items()}
    reliabilities = {
        id: entry.reliability for id, entry in measured.items() if entry and entry.reliability is not None
    }
    for special, general in subsumed([file.rule for file in active.values()], reliabilities):
        values: Values = {"other": general.id, "conditions": general.conditions}
        yield _found(active[special.id], "subsumed rule", "warning", "when", values)


def _check_on_samples(
    files: Sequence[RuleFile], samples: Sequence[Sample], sidecars: Sidecars, multi: bool
) -> Iterator[Finding]:
    by_id = {file.rule.id: file for file in files}
    for outcome in run_tests([file.rule for file in files], samples, sidecars):
        if outcome.check is not None:
            yield _found(by_id[outcome.rule.id], outcome.check, "error", "tests", {"sample": outcome.sample})
    active = [] if multi else [file for file in files if file.rule.status in ACTIVE]
    for first, second, shared, hits in _overlaps([file.rule for file in active], samples, sidecars):
        other = active[second].rule
        values: Values = {"shared": shared, "hits": hits, "other": other.id, "label": other.label}
        yield _found(active[first], "overlap", "warning", "when", values)


def _check_thresholds(files: Sequence[RuleFile], table: FieldTable) -> Iterator[Finding]:
    """The meanings that most samples are near enough to."""
    places = [
        (file, number, condition.model_copy(update={"negated": False}))
        for file in files
        for number, condition in enumerate(file.rule.conditions)
        if condition.meaning is not None
    ]
    counts = count(condition_bitmaps([condition for _, _, condition in places], table)).tolist()
    for (file, number, condition), hits in zip(places, counts, strict=True):
        if hits > MOST * len(table) and len(table) >= OVERLAP_SAMPLES:
            values: Values = {"condition": condition, "hits": hits, "samples": len(table)}
            yield _found(file, "vague meaning", "warning", number, values)


def _overlaps(
    rules: Sequence[Rule], samples: Sequence[Sample], sidecars: Sidecars
) -> Iterator[tuple[int, int, int, int]]:
    """(rule, rule of another label that it shares most with, shared hits, its hits) for every heavy overlap."""
    from scipy.sparse import csr_matrix

    engine = Engine(rules)
    counts = np.zeros(len(rules), dtype=np.int64)
    shared = csr_matrix((len(rules), len(rules)), dtype=np.int32)
    for table in tables(samples, sidecars):
        matrix = engine.matrix(table)
        counts += matrix.sum(axis=0)
        sparse = csr_matrix(matrix.astype(np.int32))
        shared = (shared + sparse.T @ sparse).tocsr()
    _, labels = np.unique([rule.label for rule in rules], return_inverse=True)
    for rule in range(len(rules)):
        row = slice(shared.indptr[rule], shared.indptr[rule + 1])
        others, common = shared.indices[row], shared.data[row]
        heavy = (labels[others] != labels[rule]) & (common >= OVERLAP_SAMPLES) & (common >= OVERLAP * counts[rule])
        if heavy.any():
            best = np.flatnonzero(heavy)[np.argmax(common[heavy])]
            yield rule, int(others[best]), int(common[best]), int(counts[rule])
