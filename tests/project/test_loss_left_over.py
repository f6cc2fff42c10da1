"""The loss on samples that were too many to be learned from, against plain sums."""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np

from kdsl.fields.sidecar import Sidecars
from kdsl.fields.table import FieldTable
from kdsl.models.linear import LinearTrainer
from kdsl.project.left_over import left_over
from kdsl.project.task import TaskProject
from kdsl.sample import Label, Sample, Task, Turn

TASK = Task("shop", (Label("refund"), Label("size")))
WORDS = {"refund": ("money back", "return it"), "size": ("too small", "which size")}


def samples(first: int, n: int) -> list[Sample]:
    found = []
    for i in range(first, first + n):
        label = ("refund", "size")[i % 2]
        said = WORDS[label if i % 5 else "size"][i // 2 % 2]
        found.append(Sample(f"s{i}", "shop", (Turn("user", f"{said} {i % 7}"),), label=label))
    return found


def own(rest: list[Sample]) -> TaskProject:
    learned = FieldTable(samples(0, 40), Sidecars())
    labels = np.array([i % 2 for i in range(40)])
    return TaskProject(TASK, learned, labels, learn=lambda rules: LinearTrainer(), rest=rest)


def test_the_losses_are_those_of_a_plain_sum_on_samples_never_seen():
    task = own(samples(40, 30))
    classifier = LinearTrainer().fit(task.table, task.labels, 2)
    found = left_over(task, SimpleNamespace(classifier=classifier))
    rows = classifier.predict(FieldTable(samples(40, 30), Sidecars())).probabilities
    truth = [i % 2 for i in range(40, 70)]
    assert (found.samples, found.whole.learned, found.half.learned) == (30, 40, 20)
    assert math.isclose(
        found.whole.log_loss, -sum(math.log(row[label]) for row, label in zip(rows, truth, strict=True)) / 30
    )
    assert math.isclose(
        found.whole.accuracy, sum(row[label] > 0.5 for row, label in zip(rows, truth, strict=True)) / 30
    )
    assert found.half != replace(found.whole, learned=20)


def test_nothing_is_told_where_all_samples_are_learned_from():
    assert left_over(own([]), SimpleNamespace(classifier=None)) is None
