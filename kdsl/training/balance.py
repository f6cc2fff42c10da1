"""What examples count for in the loss, so that those of rare labels are not drowned by the others."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from kdsl.training.examples import Example

MOST = 4.0
"""No example counts more than this many times one of the commonest label, as with copies: a label of four samples
would be learned by heart."""


def balanced(examples: Sequence[Example], exponent: float) -> list[Example]:
    """The same with weights: w = min((n_max / n)^exponent, `MOST`) for a label of n examples in its task, where the
    commonest has n_max; scaled so that every task's mean is 1, and tasks keep their shares.

    Exponent 0 leaves all alike, 1 is the inverse frequency (`class_weight="balanced"` of scikit-learn), 1/2 its root.
    Copies and a teacher's samples are among the n: what they have balanced already is not balanced again.
    """
    found: dict[str, Counter[str]] = {}
    for example in examples:
        found.setdefault(example.task, Counter())[example.answer] += 1
    weights = {task: _weights(counts, exponent) for task, counts in found.items()}
    return [replace(example, weight=weights[example.task][example.answer]) for example in examples]


def _weights(counts: Counter[str], exponent: float) -> dict[str, float]:
    most = max(counts.values())
    weights = {label: min((most / n) ** exponent, MOST) for label, n in counts.items()}
    mean = sum(n * weights[label] for label, n in counts.items()) / counts.total()
    return {label: weight / mean for label, weight in weights.items()}
