"""The reviewed rule bases that come with KDSL, for the tasks that ship."""

from pathlib import Path

from kdsl.rules.rule import Rule
from kdsl.rules.rulebase import RuleBase

_PACKAGE = Path(__file__).parents[1]
_IN_WHEEL, _IN_CHECKOUT = _PACKAGE / "rule_bases", _PACKAGE.parent / "rules"
SHIPPED = _IN_WHEEL if _IN_WHEEL.is_dir() else _IN_CHECKOUT
"""The folder with a folder of rules for each task. setup.py says how rules/ gets into a wheel."""


def shipped_rules(task: str) -> list[Rule]:
    """The rules that ship for the task of that name, none where there are none.

    Raises KdslError for a file that cannot be read.
    """
    return RuleBase.load(SHIPPED, task, problems="raise").rules


def copy_shipped(task: str, folder: Path) -> None:
    """Put the rules that ship for a task into the rule base at `folder`; what is there already stays as it is."""
    base = RuleBase.load(folder, task)
    for rule in shipped_rules(task):
        if base.clash(rule) is None:
            base.save(rule)
