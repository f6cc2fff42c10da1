"""Rules with what mining measured about them, as a table: for the command line, a notebook or a DataFrame."""

from collections.abc import Iterable
from html import escape
from typing import Any

from kdsl.notebook import shown, table
from kdsl.rules.rule import Rule
from kdsl.rules.statistics import RuleStatistics, StatisticsByRule, wilson_interval

NOT_AVAILABLE = "n/a"
_MOST_SHOWN = 100
"""Rules that a notebook lists; the others are counted."""


class RuleTable(list[Rule]):
    """A list of rules, by label and then the most reliable first, with their `statistics`.

    >>> from kdsl.rules.rule import Rule, When
    >>> rules = RuleTable([Rule(id="r-lamp", label="dim", when=When(all=({"user": ["brightness"]},)))])
    >>> print(rules)
    dim: user has brightness (n/a)
    >>> rules.records()[0]["conditions"]
    'user has brightness'
    """

    def __init__(self, rules: Iterable[Rule], statistics: StatisticsByRule | None = None) -> None:
        self.statistics = statistics or {}
        super().__init__(sorted(rules, key=lambda rule: (rule.label, -promise(self.of(rule)), rule.id)))

    def of(self, rule: Rule) -> RuleStatistics | None:
        """What mining measured about a rule as it now stands; None where it did not measure it."""
        return self.statistics.get((rule.id, rule.when_hash))

    def records(self) -> list[dict[str, Any]]:
        """One plain dict a rule, for `pandas.DataFrame(rules.records())`; counts are of training samples."""
        return [
            {
                "id": rule.id,
                "label": rule.label,
                "conditions": conditions(rule),
                "status": rule.status,
                "hits": None if entry is None else entry.training.hits,
                "correct": None if entry is None else entry.training.correct,
                "reliability": None if entry is None else entry.reliability,
            }
            for rule in self
            for entry in [self.of(rule)]
        ]

    def __str__(self) -> str:
        return "\n".join(f"{rule.label}: {conditions(rule)} ({counts(self.of(rule))[2]})" for rule in self)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        columns = ("label", "~if", ">reliability", ">training", ">held out", "status", "rule")
        rows = []
        for rule in self[:_MOST_SHOWN]:
            training, held_out, reliability = map(without_interval, counts(self.of(rule)))
            words = escape(rule.label), escape(conditions(rule)), reliability, training, held_out
            rows.append((*words, escape(status_words(rule)), f"<code>{rule.id}</code>"))
        title = "1 rule" if len(self) == 1 else f"{len(self)} rules"
        title += f", of which the first {_MOST_SHOWN} are shown" if len(self) > _MOST_SHOWN else ""
        return shown(table(columns, rows, f"{title}; counts are right hits of all hits"))


def conditions(rule: Rule) -> str:
    """In words, on one line."""
    return " and ".join(map(str, rule.conditions))


def status_words(rule: Rule) -> str:
    """The status, and whether the conditions were edited since somebody reviewed them."""
    return f"{rule.status} (stale)" if rule.stale else rule.status


def promise(entry: RuleStatistics | None) -> float:
    """What rules are sorted by within a label: reliability, else the lower bound of the training precision."""
    if entry is None:
        return -1.0
    if entry.reliability is not None:
        return entry.reliability
    return wilson_interval(entry.training.correct, entry.training.hits)[0]


def counts(entry: RuleStatistics | None) -> tuple[str, str, str]:
    """Right hits of all hits in training and on held-out samples, and the reliability."""
    if entry is None:
        return NOT_AVAILABLE, NOT_AVAILABLE, NOT_AVAILABLE
    training = counted(entry.training.correct, entry.training.hits)
    held_out = NOT_AVAILABLE if entry.held_out is None else counted(entry.held_out.correct, entry.held_out.hits)
    return training, held_out, NOT_AVAILABLE if entry.reliability is None else f"{entry.reliability:.2f}"


def counted(correct: int, hits: int) -> str:
    """`3/3 (0.44-1.00)`, with the 95 % interval of the precision; n/a without hits."""
    if hits == 0:
        return NOT_AVAILABLE
    low, high = wilson_interval(correct, hits)
    return f"{correct}/{hits} ({low:.2f}-{high:.2f})"


def without_interval(words: str) -> str:
    """Without the interval."""
    return words.partition(" ")[0]
