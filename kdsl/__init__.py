"""KDSL: few-shot multimodal classification with rules and weights kept apart (docs/, README.md).

The names in `__all__` are what Python programs use; docs/python.md shows how. Each is imported when it is first asked
for, so that `import kdsl` costs nothing.

>>> import kdsl
>>> task = kdsl.Task("returns", (kdsl.Label("refund", "wants the money back"), kdsl.Label("exchange")))
>>> task.label_names
('refund', 'exchange')
>>> kdsl.load_task("mire_scene").name
'mire_scene'
"""

import importlib
from typing import TYPE_CHECKING

from kdsl.version import __version__ as __version__

if TYPE_CHECKING:
    from pathlib import Path

    from kdsl.arbiter.decision import Decision as Decision
    from kdsl.arbiter.multi_label_decision import MultiLabelDecision as MultiLabelDecision
    from kdsl.data.readers import read_samples as read_samples
    from kdsl.errors import KdslError as KdslError
    from kdsl.progress import Progress
    from kdsl.project.project import Project as Project
    from kdsl.project.rule_classifier import RuleClassifier as RuleClassifier
    from kdsl.rules.condition import Condition as Condition
    from kdsl.rules.rule import Rule as Rule
    from kdsl.rules.rulebase import RuleBase as RuleBase
    from kdsl.sample import Label as Label
    from kdsl.sample import Sample as Sample
    from kdsl.sample import Task as Task
    from kdsl.sample import Turn as Turn
    from kdsl.tasks import load_task as load_task

__all__ = [  # noqa: RUF022  (in the order in which a newcomer meets them)
    "open",  # a project that is there
    "Project",  # samples, rules, mining, training, prediction, evaluation, review
    "RuleClassifier",  # the same for two lists in memory, as scikit-learn's estimators are used
    "Decision",  # what a prediction is: label, probabilities, rules with evidence, reason
    "MultiLabelDecision",  # the same where a sample may have several labels
    "Task",  # a closed list of labels
    "Label",
    "Sample",  # one item to classify
    "Turn",  # one turn of its dialogue
    "Rule",  # a label, if all conditions hold
    "Condition",
    "RuleBase",  # the rules of one task, each in a file that people own
    "read_samples",  # samples from a file in any form
    "load_task",  # a task from a file, or one that ships
    "KdslError",  # everything that goes wrong: what, where, and what would be right, in one sentence
]

_HOMES = {
    "Condition": "kdsl.rules.condition",
    "Decision": "kdsl.arbiter.decision",
    "KdslError": "kdsl.errors",
    "Label": "kdsl.sample",
    "MultiLabelDecision": "kdsl.arbiter.multi_label_decision",
    "Project": "kdsl.project.project",
    "Rule": "kdsl.rules.rule",
    "RuleBase": "kdsl.rules.rulebase",
    "RuleClassifier": "kdsl.project.rule_classifier",
    "Sample": "kdsl.sample",
    "Task": "kdsl.sample",
    "Turn": "kdsl.sample",
    "load_task": "kdsl.tasks",
    "read_samples": "kdsl.data.readers",
}


def open(project: "str | Path" = ".", /, *, progress: "Progress | None" = None, **changes: object) -> "Project":
    """The project in a folder, or of a kdsl.yaml; `changes` are entries of it that count for this program alone.

    Entries within a part go by both names: `kdsl.open("shop", seed=1, **{"mining.iterations": 500})`. `progress` is
    told how far long work is (`kdsl.progress.Progress`). Raises KdslError where there is no project, and for a mistake
    in its files or in `changes`.
    """
    from kdsl.files import path_given
    from kdsl.project.project import Project

    return Project.open(path_given(project, "project"), changes, progress)


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'kdsl' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
