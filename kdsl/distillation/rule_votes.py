"""What the reliable rules of a task say alone."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kdsl.arbiter.evidence import rule_labels
from kdsl.arbiter.label_model import rule_evidence
from kdsl.arbiter.shift import VOUCHED
from kdsl.distillation.agreement import SILENT
from kdsl.fields.table import FieldTable
from kdsl.rules.engine import Engine
from kdsl.rules.rule import Rule
from kdsl.sample import Task

VOTING_RELIABILITY = VOUCHED
"""The reliability from which on a rule has a say: that from which on people are advised to accept it."""


def rule_votes(
    task: Task,
    table: FieldTable,
    rules: Sequence[Rule],
    reliability: NDArray[np.float64],
    base_rates: NDArray[np.float64],
) -> NDArray[np.int64]:
    """[n_samples]: the label that the reliable rules which hold speak for most, `SILENT` where none of them holds.

    `reliability` [n_rules] of `rules`, `base_rates` [n_labels] of the labels.
    """
    chosen = [rule for rule, value in zip(rules, reliability, strict=True) if value >= VOTING_RELIABILITY]
    if not chosen or not len(table):
        return np.full(len(table), SILENT)
    hits = Engine(chosen).matrix(table)
    reliable = reliability[reliability >= VOTING_RELIABILITY]
    evidence = rule_evidence(hits, rule_labels(task, chosen), reliable, base_rates)
    return np.where(evidence.max(axis=1) > 0, evidence.argmax(axis=1), SILENT)
