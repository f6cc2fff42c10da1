"""The augmenter that a project's `augment:` describes."""

from collections.abc import Sequence

from kdsl.augmentation.augmenter import Augmenter
from kdsl.cli.project import Project
from kdsl.rules.rule import Rule
from kdsl.rules.rulebase import RuleBase
from kdsl.sample import Task


def augmenter(project: Project, task: Task, rules: Sequence[Rule] = ()) -> Augmenter:
    """Makes copies of samples of `task` that spare what `rules` see."""
    config = project.config.augment
    return Augmenter(task, config.copies, project.config.seed, tuple(rules), config.text, config.images)


def active_rules(project: Project, task: Task) -> list[Rule]:
    """The rules that people accepted, or have not looked at yet."""
    return RuleBase.load(project.config.rules, task.name).active()
