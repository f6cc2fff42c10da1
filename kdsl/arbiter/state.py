"""What predictions depend on, and in words what has changed about it since they were made."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from kdsl.rules.rule import Rule
from kdsl.rules.rulebase import ACTIVE

_DONE = {"accepted": "accepted", "proposed": "set back to proposed", "rejected": "rejected", "disabled": "disabled"}
"""What was done to a rule that has this status now."""
_ORDER = (*_DONE.values(), "reviewed again", "edited", "added", "removed")


@dataclass(frozen=True)
class RuleState:
    """What of a rule a prediction depends on."""

    label: str
    when: str
    """Hash of the conditions."""
    status: str
    stale: bool

    @classmethod
    def of(cls, rule: Rule) -> "RuleState":
        return cls(rule.label, rule.when_hash, rule.status, rule.stale)

    @property
    def active(self) -> bool:
        return self.status in ACTIVE


@dataclass(frozen=True)
class PredictorState:
    """Everything that predictions depend on but the samples."""

    trained: dict[str, str]
    """Task → hash of what `kdsl train` left."""
    recorded: str | None
    """Hash of the recorded model's answers; None for another model."""
    rules: dict[str, dict[str, RuleState]]
    """Task → id → rule, of all rules: of those that are not active, only to tell what was done to them."""


def changes(before: PredictorState, after: PredictorState) -> list[str]:
    """What has changed, a clause each, such as "3 rules were accepted and 1 edited"; nothing where predictions would
    be the same."""
    clauses = []
    done = rule_changes(before, after)
    if done:
        (number, what), *others = done
        first = f"1 rule was {what}" if number == 1 else f"{number} rules were {what}"
        clauses.append(_listed([first, *(f"{number} {what}" for number, what in others)]))
    for task in after.trained.keys() | before.trained.keys():
        if task not in before.trained:
            clauses.append(f"{task} was added")
        elif task not in after.trained:
            clauses.append(f"{task} was left out")
        elif before.trained[task] != after.trained[task]:
            clauses.append(f"{task} was trained again")
    if before.recorded != after.recorded:
        clauses.append("the recorded answers have changed")
    return clauses[:1] + sorted(clauses[1:]) if done else sorted(clauses)


def rule_changes(before: PredictorState, after: PredictorState) -> list[tuple[int, str]]:
    """How many rules of tasks that both know were accepted, edited and so on, of those that predictions depend on."""
    counted = Counter(
        change
        for task in before.rules.keys() & after.rules.keys()
        for change in _changed_rules(before.rules[task], after.rules[task])
    )
    return [(counted[what], what) for what in _ORDER if counted[what]]


def _changed_rules(before: Mapping[str, RuleState], after: Mapping[str, RuleState]) -> Iterator[str]:
    for id in before.keys() | after.keys():
        old, new = before.get(id), after.get(id)
        if old == new or not ((old and old.active) or (new and new.active)):
            continue
        if new is None:
            yield "removed"
        elif old is None:
            yield "added"
        elif (old.label, old.when) != (new.label, new.when):
            yield "edited"
        else:
            yield "reviewed again" if old.status == new.status else _DONE[new.status]


def _listed(parts: list[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
