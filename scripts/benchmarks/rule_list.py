"""How a rule list is scored in the comparison of rule learners: the same code for KDSL and its peers.

The protocol: each of `labels` is learned against the rest on the training samples; a rule takes part when its Laplace
precision there is at least `FLOOR`. The rules of all labels make one list, sorted by that precision. On every sample
of the whole test set, those of other labels included, the first rule of the list that hits gives the prediction;
where none hits there is no prediction. Precision, recall and F1 are means over `labels`, 0 where never predicted.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

FLOOR = 0.5


class ListedRule(NamedTuple):
    label: str
    precision: float
    """Laplace precision in training, see `laplace`."""
    hits: np.ndarray
    """bool [n_test]"""


class ListScore(NamedTuple):
    precision: float
    recall: float
    f1: float


def laplace(correct: float, hits: float) -> float:
    """(correct + 1) / (hits + 2)"""
    return (correct + 1) / (hits + 2)


def score_rule_list(rules: Sequence[ListedRule], truth: Sequence[str], labels: Sequence[str]) -> ListScore:
    """Precision, recall and F1 of the rule list, means over `labels`; rules below `FLOOR` are left out.

    `truth`: the label of every test sample, also of those whose label is not among `labels`. Of rules with equal
    precision the earlier one goes first.
    """
    actual = np.asarray(truth, dtype=object)
    predicted = np.full(len(actual), None, dtype=object)
    for rule in sorted((rule for rule in rules if rule.precision >= FLOOR), key=lambda rule: -rule.precision):
        predicted[rule.hits & np.equal(predicted, None)] = rule.label
    scores = []
    for label in labels:
        said, true = predicted == label, actual == label
        correct = int((said & true).sum())
        precision = correct / said.sum() if said.any() else 0.0
        recall = correct / true.sum() if true.any() else 0.0
        scores.append((precision, recall, 2 * correct / max(int(said.sum() + true.sum()), 1)))
    return ListScore(*np.mean(scores, axis=0).tolist())
