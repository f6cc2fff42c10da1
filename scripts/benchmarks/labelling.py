"""Labelling: what each label is worth, in the order that kdsl proposes and in random order.

A pool of samples without labels is labelled by their true labels, some at a time; after each time the classifier of a
new project is trained and asked about samples that are kept back. "from names" begins without any label, the other
rows with so many labels of each. With --groups samples that mean the same get the label of the first, whatever their
own is, as one decision. With --queue the gain that the page shows is compared with what was gained. BANKING77 is
`train.jsonl` and `test.jsonl`; of hint3 and mire a part is kept back. `scripts/bench labelling DATA`.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.sets import INITIAL, DataSet, mire, plain
from kdsl.embeddings.sentence_vectors import SentenceVectors
from kdsl.embeddings.use import UniversalSentenceEncoder
from kdsl.evaluate.metrics import Outcome, scores
from kdsl.fields.table import FieldTable
from kdsl.models.active_learning import Alike, find_alike, next_to_label, uncertainty
from kdsl.models.classifier import Classifier
from kdsl.models.cold_start import fit_cold_start
from kdsl.models.embedded import EmbeddedTrainer
from kdsl.sample import Sample, Task, label_indices

Rows = NDArray[np.int64]

MOST_POOL, MOST_TEST = 4000, 1500
"""Samples of BANKING77 in the pool, and asked about."""
KEPT_BACK = 0.4
RANDOM, PROPOSED = "random", "proposed"


@dataclass(frozen=True)
class Pool:
    """Samples to label, with the labels that they will get, and samples that the classifier is asked about."""

    task: Task
    table: FieldTable
    truth: Rows
    alike: Alike
    test: FieldTable
    test_truth: Rows

    def trained(self, labelled: Rows, labels: Rows, seed: int) -> Classifier:
        """The classifier of a new project with these `labels` of the rows `labelled`."""
        if not len(labelled):
            return fit_cold_start(self.task, self.table, self.table.sentence_vectors)
        trainer = EmbeddedTrainer(self.task, INITIAL, seed)
        return trainer.fit(self.table.select(labelled), labels, len(self.task.labels))

    def weighted_f1(self, classifier: Classifier) -> float:
        """Of the test samples, in points."""
        said = classifier.predict(self.test).probabilities
        return 100 * scores(Outcome(self.test_truth, said.argmax(axis=1), said)).weighted_f1


@dataclass(frozen=True)
class Curve:
    f1: list[float]
    """Before the first decisions, and after each time."""
    labels: list[int]
    """Given by then."""
    estimated: list[float]
    """What the decisions of each time were expected to gain, in samples of the pool."""
    gained: list[float]
    """By how much half the squared error of the probabilities fell in the pool; see `kdsl.models.active_learning`."""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench labelling", description=__doc__)
    parser.add_argument("data", type=Path, help="folder that holds banking77, hint3_sofmattress and mire")
    parser.add_argument("--seeds", type=int, default=2, help="repetitions with other pools (default 2)")
    parser.add_argument("--sets", nargs="*", default=["banking77", "hint3", "mire_intent", "mire_scene"])
    parser.add_argument("--begin", nargs="*", type=int, default=[0, 1], help="labels of each label (default 0 1)")
    parser.add_argument("--batch", type=int, default=20, help="decisions between two trainings (default 20)")
    parser.add_argument("--decisions", type=int, default=100, help="in all; random ones 1.8 times (default 100)")
    parser.add_argument("--groups", action="store_true", help="label what means the same together")
    parser.add_argument("--queue", action="store_true", help="compare what was expected with what was gained")
    options = parser.parse_args(arguments)
    vectors = SentenceVectors(UniversalSentenceEncoder())
    for name in options.sets:
        for begin in options.begin:
            curves: dict[str, list[Curve]] = {RANDOM: [], PROPOSED: []}
            for seed in range(options.seeds):
                pool = make_pool(options.data, name, vectors, seed)
                for order, found in curves.items():
                    decisions = options.decisions if order == PROPOSED else round(1.8 * options.decisions)
                    found.append(labelled(pool, order, begin, options.batch, decisions, options.groups, seed))
                    print(f"  {name}, from {begin}, {order}, seed {seed}: {found[-1].f1[-1]:.1f}", flush=True)
            _show(f"{name}, from {begin or 'names'}", curves, options.batch, options.decisions)
            if options.queue:
                _show_queue(f"{name}, from {begin or 'names'}", curves[PROPOSED], options.batch)
    return 0


def make_pool(folder: Path, name: str, vectors: SentenceVectors, seed: int) -> Pool:
    data, test = next((data, test) for data, test in _sets(folder) if data.task.name == name)
    rng = np.random.default_rng(seed)
    samples = [data.samples[i] for i in rng.permutation(len(data.samples))]
    if test is None:
        kept = round(KEPT_BACK * len(samples))
        samples, asked = samples[kept:], samples[:kept]
    else:
        asked = [test[i] for i in rng.permutation(len(test))[:MOST_TEST]]
    sidecars = replace(data.sidecars, vectors=vectors)
    table, of_test = FieldTable(samples[:MOST_POOL], sidecars), FieldTable(asked, sidecars)
    truth, test_truth = (
        np.array(label_indices([row.sample for row in each.rows], data.task), dtype=np.int64)
        for each in (table, of_test)
    )
    return Pool(data.task, table, truth, find_alike(table), of_test, test_truth)


def _sets(folder: Path) -> Iterator[tuple[DataSet, list[Sample] | None]]:
    banking = plain(folder / "banking77/train.jsonl", "banking77")
    yield banking, plain(folder / "banking77/test.jsonl", "banking77").samples
    hint = plain(folder / "hint3_sofmattress/train.jsonl", "hint3")
    more = plain(folder / "hint3_sofmattress/test.jsonl", "hint3").samples
    known = [sample for sample in more if sample.label in hint.task.label_names]
    yield replace(hint, samples=[*hint.samples, *known]), None
    for data in mire(folder):
        yield data, None


def labelled(pool: Pool, order: str, begin: int, batch: int, decisions: int, groups: bool, seed: int) -> Curve:
    rng = np.random.default_rng(1000 + seed)
    n = len(pool.table)
    rows = [
        int(row)
        for label in range(len(pool.task.labels))
        for row in rng.permutation(np.flatnonzero(pool.truth == label))[:begin]
    ]
    labels = [int(pool.truth[row]) for row in rows]
    curve = Curve([], [], [], [])
    error, done = np.zeros(0), 0
    while True:
        classifier = pool.trained(np.array(rows, dtype=np.int64), np.array(labels, dtype=np.int64), seed)
        said = classifier.predict(pool.table).probabilities
        curve.f1.append(pool.weighted_f1(classifier))
        curve.labels.append(len(rows))
        before, error = error, np.square(said - np.eye(said.shape[1])[pool.truth]).sum(axis=1) / 2
        error[rows] = 0.0
        if len(before):
            curve.gained.append(float(before.sum() - error.sum()))
        if done >= decisions or len(rows) == n:
            return curve
        number = min(batch, decisions - done)
        done += number
        known = np.zeros(n, dtype=bool)
        known[rows] = True
        apart = said.argmax(axis=1) if groups else np.arange(n)
        if order == RANDOM:
            chosen = [(int(row),) for row in rng.permutation(np.flatnonzero(~known))[:number]]
        else:
            found = next_to_label(pool.alike, uncertainty(said) * ~known, known, ~known, apart, number)
            chosen = [each.rows for each in found]
            curve.estimated.append(sum(each.value for each in found))
        rows += [row for each in chosen for row in each]
        labels += [int(pool.truth[each[0]]) for each in chosen for _ in each]


def _show(title: str, curves: dict[str, list[Curve]], batch: int, decisions: int) -> None:
    table = Table(title=f"{title}: weighted F1 after so many decisions", title_justify="left")
    table.add_column("order")
    steps = list(range(0, round(1.8 * decisions) + batch, batch))
    for step in steps:
        table.add_column(str(min(step, round(1.8 * decisions))), justify="right")
    for order, found in curves.items():
        means = np.mean([curve.f1 for curve in found], axis=0)
        table.add_row(order, *(f"{value:.1f}" for value in means))
        table.add_row("  labels", *(f"{value:.0f}" for value in np.mean([curve.labels for curve in found], axis=0)))
    Console(width=130).print(table)


def _show_queue(title: str, found: list[Curve], batch: int) -> None:
    table = Table(title=f"{title}: samples of the pool decided better, by {batch} decisions", title_justify="left")
    for column in ("decisions", "estimated", "gained"):
        table.add_column(column, justify="right")
    estimated = np.mean([curve.estimated for curve in found], axis=0)
    gained = np.mean([curve.gained for curve in found], axis=0)
    for step, (one, other) in enumerate(zip(estimated, gained, strict=True)):
        table.add_row(f"{batch * step} to {batch * (step + 1)}", f"{one:.1f}", f"{other:.1f}")
    table.add_row("all", f"{estimated.sum():.1f}", f"{gained.sum():.1f}")
    Console(width=110).print(table)
