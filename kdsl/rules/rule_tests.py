"""The tests that people write into rules: samples that a rule must hit and must not hit."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kdsl.fields.sidecar import Sidecars
from kdsl.fields.table import SampleFields
from kdsl.rules.engine import Engine
from kdsl.rules.finding import Check, sentence
from kdsl.rules.rule import Rule
from kdsl.sample import Sample


@dataclass(frozen=True, slots=True)
class TestOutcome:
    """One entry of a rule's `tests`."""

    __test__ = False  # not a test class of pytest

    rule: Rule
    sample: str
    expected: bool
    """True for an entry of `tests.hit`, False for one of `tests.miss`."""
    actual: bool | None
    """Whether the rule hits the sample; None when there is no sample of that id."""

    @property
    def passed(self) -> bool:
        return self.actual is self.expected

    @property
    def check(self) -> Check | None:
        """The finding that the outcome is; None where the test passes."""
        if self.passed:
            return None
        if self.actual is None:
            return "unknown sample"
        return "missing hit" if self.expected else "forbidden hit"

    @property
    def sentence(self) -> str:
        """What is wrong, for people; empty where the test passes."""
        return "" if self.check is None else sentence(self.check, {"sample": self.sample})

    def record(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "rule": self.rule.id,
            "sample": self.sample,
            "expected": "hit" if self.expected else "miss",
            "actual": None if self.actual is None else "hit" if self.actual else "miss",
            "passed": self.passed,
        }


def run_tests(rules: Sequence[Rule], samples: Sequence[Sample], sidecars: Sidecars) -> list[TestOutcome]:
    """Run the tests of all rules, whatever their status, on samples of the rules' task."""
    by_id = {sample.id: sample for sample in samples}
    fields: dict[str, SampleFields] = {}
    outcomes: list[TestOutcome] = []
    for rule in rules:
        entries = [(id, True) for id in rule.tests.hit] + [(id, False) for id in rule.tests.miss]
        known = [id for id, _ in entries if id in by_id]
        for id in known:
            fields.setdefault(id, SampleFields(by_id[id], sidecars))
        found = list(Engine([rule]).stream(fields[id] for id in known)) if known else []
        hit = {id: bool(hits) for id, hits in zip(known, found, strict=True)}
        outcomes.extend(TestOutcome(rule, id, expected, hit.get(id)) for id, expected in entries)
    return outcomes
