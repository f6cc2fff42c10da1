"""Small rule bases for the tests of kdsl.review."""

from pathlib import Path

from kdsl.rules.condition import Condition
from kdsl.rules.rule import Rule, When, rule_id
from kdsl.rules.rulebase import RuleBase

TASK = "intent"
LABELS = ("能否调光", "商品材质")


def rule(label: str, *conditions: dict, **entries: object) -> Rule:
    when = When(all=tuple(Condition.model_validate(condition) for condition in conditions))
    return Rule(id=rule_id(TASK, label, when.all), label=label, when=when, **entries)


def rule_base(folder: Path) -> RuleBase:
    """Three rules: two for the first label that differ in their terms only, one for the second."""
    base = RuleBase(folder, TASK)
    base.save(rule(LABELS[0], {"last_user": ["亮度", "调光"]}))
    base.save(rule(LABELS[0], {"last_user": ["明暗"]}))
    base.save(rule(LABELS[1], {"dialogue": ["材质"]}, {"not": {"dialogue": ["亮度"]}}))
    return base


def contents(folder: Path) -> dict[str, str]:
    """All rule files, by their path inside the rule base."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes().decode()
        for path in sorted((folder / TASK).rglob("*.yaml"))
    }
