"""Labels of samples as an array, one or several a sample, so that whoever counts need not know which.

With one label a sample the array is [n_samples], indices into the task's labels, −1 for a sample without one of them.
With several (`Task.multi`) it is [n_samples, n_labels], 1 where a label holds and 0 where it does not; the whole row
is −1 for a sample that nobody has labelled, or with a label that the task does not list.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from kdsl.errors import KdslError
from kdsl.sample import Sample, Task, label_indices

Labels = NDArray[np.int64]
Flags = NDArray[np.bool_]
UNKNOWN = -1


def label_array(samples: Sequence[Sample], task: Task) -> Labels:
    """The labels of samples of `task`: [n_samples], or [n_samples, n_labels] where it has several a sample.

    >>> from kdsl.sample import Label
    >>> task = Task("shop", (Label("refund"), Label("size")), multi=True)
    >>> label_array([Sample("1", "shop", labels=("size",)), Sample("2", "shop", labels=()), Sample("3", "shop")], task)
    array([[ 0,  1],
           [ 0,  0],
           [-1, -1]])
    """
    if not task.multi:
        return np.array(label_indices(samples, task), dtype=np.int64)
    index = {name: i for i, name in enumerate(task.label_names)}
    found = np.zeros((len(samples), len(index)), dtype=np.int64)
    for row, sample in enumerate(samples):
        if sample.labels is None or not index.keys() >= set(sample.labels):
            found[row] = UNKNOWN
        else:
            found[row, [index[label] for label in sample.labels]] = 1
    return found


def several(labels: Labels) -> bool:
    """Whether the labels are those of a task with several a sample."""
    return labels.ndim == 2


def has_label(labels: Labels, label: int) -> Flags:
    """Which samples have a label, beside others or alone: [n_samples]."""
    return labels[:, label] == 1 if several(labels) else labels == label


def membership(labels: Labels, n_labels: int) -> Flags:
    """Which labels every sample has: [n_samples, n_labels]; none for one whose labels are not known."""
    return labels == 1 if several(labels) else labels[:, None] == np.arange(n_labels)


def label_counts(labels: Labels, n_labels: int) -> NDArray[np.int64]:
    """How many samples have each label: [n_labels]."""
    return membership(labels, n_labels).sum(axis=0)


def label_shares(labels: Labels, n_labels: int) -> NDArray[np.float64]:
    """The share of the samples that have each label: [n_labels]. With several a sample they need not sum to 1."""
    return label_counts(labels, n_labels) / len(labels)


def is_labelled(labels: Labels) -> Flags:
    """Of which samples the labels are known: [n_samples]."""
    return labels[:, 0] != UNKNOWN if several(labels) else labels != UNKNOWN


def require_one_label(tasks: Iterable[Task], what: str) -> None:
    """Raise KdslError where a task has several labels a sample, which `what` knows nothing of."""
    for task in tasks:
        if task.multi:
            raise KdslError(
                f"{task.name}: its samples may have several labels (`multi: true`), and {what} is for tasks with one "
                "label a sample; leave the task out of `tasks:`"
            )
