"""Rules of a rule base as plain dicts for JSON, with what is known about them."""

from collections.abc import Iterable, Sequence
from typing import Any

from kdsl.rules.evidence import Hit
from kdsl.rules.rule import Rule
from kdsl.rules.rulebase import RuleBase
from kdsl.sample import Sample


def rule_records(base: RuleBase, rules: Iterable[Rule]) -> list[dict[str, Any]]:
    """One dict a rule: what its file says, the file, the rule in words, and what mining measured."""
    known = base.statistics()
    records = []
    for rule in rules:
        statistics = known.get((rule.id, rule.when_hash))
        records.append(
            {
                "task": base.task,
                "file": str(base.path(rule)),
                **rule.record(),
                "words": str(rule),
                "stale": rule.stale,
                "statistics": None if statistics is None else statistics.record(),
            }
        )
    return records


def hit_records(rule: Rule, hits: Sequence[tuple[Sample, Hit]]) -> list[dict[str, Any]]:
    """One dict for each sample that a rule hits, with the evidence; `correct` is None for one without a label."""
    return [
        {
            "sample": sample.id,
            "label": sample.answer,
            "correct": None if sample.given_labels is None else rule.label in sample.given_labels,
            "evidence": [evidence.record() for evidence in hit.evidence],
        }
        for sample, hit in hits
    ]
