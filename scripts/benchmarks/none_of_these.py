"""What belongs to none of the labels, on hint3_sofmattress and on sets of which a third of the labels is held out.

Every set is learned as in a project of `kdsl init` whose task file names `other`: once without a sample of it, once
with some. Beside it stand the same project without `other`, thresholds on its probabilities that somebody would set,
and the classifier that simply has `other` as one more label.
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.sets import INITIAL, DataSet, mire, plain
from kdsl.data.splits import stratified_folds
from kdsl.embeddings.sentence_vectors import SentenceVectors
from kdsl.embeddings.use import UniversalSentenceEncoder
from kdsl.fields.table import FieldTable
from kdsl.mining.miner import MiningSettings
from kdsl.mining.search import SearchSettings
from kdsl.models.embedded import EmbeddedTrainer
from kdsl.project.fitting import fit
from kdsl.project.small_parts import meaning_parts
from kdsl.project.task import TaskProject
from kdsl.sample import Label, Sample, Task, label_indices

OTHER = "none of these"
HELD_OUT = 1 / 3
"""Share of the labels."""
THRESHOLDS = (0.3, 0.5, 0.7)
FOLDS = 3
"""Of a set without test samples one fold is predicted."""
MOST_TESTED = 800


@dataclass(frozen=True)
class Asked:
    """A set whose test samples belong to `OTHER` in part."""

    name: str
    data: DataSet
    """With labels that samples belong to."""
    test: list[Sample]
    extra: list[int]
    """Rows of test samples that belong to `OTHER`, to learn from: what learns from them is not tested on them."""


@dataclass(frozen=True)
class Figures:
    accuracy: float
    in_scope: float
    recall: float
    """Share of what belongs to none that is told."""
    auroc: float


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench none_of_these", description=__doc__)
    parser.add_argument("data", type=Path, help="folder that holds hint3_sofmattress, banking77, mire and enrico")
    parser.add_argument("--seeds", type=int, default=3, help="draws of labels and examples (default 3)")
    parser.add_argument("--seen", type=int, default=50, help="samples of none to learn from, second (default 50)")
    parser.add_argument("--sets", help="only these: hint3,hint3 third,banking77 third,mire_intent third,enrico third")
    parser.add_argument("--iterations", type=int, default=300, help="of the rule search (default 300)")
    options = parser.parse_args(arguments)
    chosen = None if options.sets is None else options.sets.split(",")
    vectors = SentenceVectors(UniversalSentenceEncoder())
    rows: dict[tuple[str, str], list[Figures]] = {}
    for seed in range(options.seeds):
        for asked in _sets(options.data, seed, options.seen, chosen):
            begun = time.perf_counter()
            for way, found in _measured(asked, seed, vectors, options.iterations):
                rows.setdefault((asked.name, way), []).append(found)
                print(f"  {asked.name}, seed {seed}, {way}: {_cells([found])}", flush=True)
            print(f"  {asked.name}, seed {seed}: {time.perf_counter() - begun:.0f} s", flush=True)
    table = Table(title="In points, mean of all draws", title_justify="left")
    for column in ("set", "way", "accuracy", "in scope", "none of these told", "AUROC"):
        table.add_column(column, justify="left" if column in ("set", "way") else "right")
    for (name, way), found in rows.items():
        table.add_row(name, way, *_cells(found))
    Console(width=120).print(table)
    return 0


def _sets(folder: Path, seed: int, seen: int, chosen: list[str] | None) -> Iterator[Asked]:
    def wanted(name: str) -> bool:
        return chosen is None or name in chosen

    hint3 = plain(folder / "hint3_sofmattress" / "train.jsonl", "hint3")
    test = plain(folder / "hint3_sofmattress" / "test.jsonl", "hint3").samples
    if wanted("hint3"):
        known = hint3.task.label_names
        yield _split("hint3", hint3, [_told(sample, known) for sample in test], seed, seen)
    if wanted("hint3 third"):
        yield _without_third("hint3 third", hint3, [s for s in test if s.label in hint3.task.label_names], seed, seen)
    if wanted("banking77 third"):
        banking = plain(folder / "banking77" / "train_10shot.jsonl", "banking77")
        tested = plain(folder / "banking77" / "test.jsonl", "banking77").samples
        drawn = np.random.default_rng(seed).permutation(len(tested))[:MOST_TESTED]
        yield _without_third("banking77 third", banking, [tested[row] for row in drawn], seed, seen)
    for data in mire(folder):
        if wanted(f"{data.task.name} third"):
            folds = stratified_folds(np.array(label_indices(data.samples, data.task)), FOLDS, seed)
            parts = [
                [s for s, fold in zip(data.samples, folds, strict=True) if (fold == 0) == test] for test in (0, 1)
            ]
            yield _without_third(f"{data.task.name} third", replace(data, samples=parts[0]), parts[1], seed, seen)
    if wanted("enrico third"):
        enrico = plain(folder / "enrico" / "train.jsonl", "enrico")
        tested = plain(folder / "enrico" / "test.jsonl", "enrico").samples
        yield _without_third("enrico third", enrico, tested, seed, seen)


def _without_third(name: str, data: DataSet, test: list[Sample], seed: int, seen: int) -> Asked:
    names = data.task.label_names
    drawn = np.random.default_rng(100 + seed).permutation(len(names))[: round(HELD_OUT * len(names))]
    known = [label for row, label in enumerate(names) if row not in drawn]
    task = replace(data.task, labels=tuple(label for label in data.task.labels if label.name in known))
    kept = [sample for sample in data.samples if sample.label in known]
    return _split(name, replace(data, task=task, samples=kept), [_told(s, known) for s in test], seed, seen)


def _told(sample: Sample, known: list[str] | tuple[str, ...]) -> Sample:
    return sample if sample.label in known else replace(sample, label=OTHER)


def _split(name: str, data: DataSet, test: list[Sample], seed: int, seen: int) -> Asked:
    """Half of the samples of none at most are learned from."""
    of_none = [row for row, sample in enumerate(test) if sample.label == OTHER]
    drawn = np.random.default_rng(200 + seed).permutation(of_none)[: min(seen, len(of_none) // 2)]
    return Asked(name, data, test, drawn.tolist())


def _measured(asked: Asked, seed: int, vectors: SentenceVectors, iterations: int) -> Iterator[tuple[str, Figures]]:
    known = asked.data.task.label_names
    plain_task = asked.data.task
    with_other = Task(plain_task.name, (*plain_task.labels, Label(OTHER)), plain_task.prompt, OTHER)
    one_more = replace(with_other, other=None)
    truth = np.array([known.index(s.label) if s.label in known else len(known) for s in asked.test])
    alone = _predicted(asked, plain_task, [], seed, vectors, iterations)
    alone = np.hstack([alone, np.zeros((len(alone), 1))])
    yield "without `other`", _figures(truth, alone, alone.max(axis=1))
    for threshold in THRESHOLDS:
        told = alone.copy()
        told[told.max(axis=1) < threshold, -1] = 2.0
        yield f"threshold {threshold}", _figures(truth, told, alone.max(axis=1))
    said = _predicted(asked, with_other, [], seed, vectors, iterations)
    yield "`other`, none seen", _figures(truth, said, -said[:, -1])
    extra = [asked.test[row] for row in asked.extra]
    rest = np.setdiff1d(np.arange(len(truth)), asked.extra)
    for way, task in (("one more label", one_more), ("`other`", with_other)):
        said = _predicted(asked, task, extra, seed, vectors, iterations)[rest]
        yield f"{way}, {len(extra)} seen", _figures(truth[rest], said, -said[:, -1])


def _predicted(
    asked: Asked, task: Task, extra: list[Sample], seed: int, vectors: SentenceVectors, iterations: int
) -> NDArray[np.float64]:
    """Probabilities of the test samples: [n_test, n_labels]"""
    samples = [*asked.data.samples, *extra]
    sidecars = replace(asked.data.sidecars, vectors=vectors)
    trainer = EmbeddedTrainer(task, INITIAL, seed)
    own = TaskProject(
        task,
        FieldTable(samples, sidecars),
        np.array(label_indices(samples, task), dtype=np.int64),
        MiningSettings(SearchSettings(iterations=iterations)),
        seed,
        learn=lambda rules: trainer,
        small=meaning_parts,
    )
    return fit(own).predict(FieldTable(asked.test, sidecars))[2]


def _figures(truth: NDArray[np.int64], said: NDArray[np.float64], belongs: NDArray[np.float64]) -> Figures:
    from sklearn.metrics import roc_auc_score

    none = said.shape[1] - 1
    right, strange = said.argmax(axis=1) == truth, truth == none
    return Figures(
        float(right.mean()),
        float(right[~strange].mean()),
        float(right[strange].mean()),
        float(roc_auc_score(~strange, belongs)),
    )


def _cells(found: list[Figures]) -> list[str]:
    return [
        f"{100 * np.mean([getattr(each, name) for each in found]):.1f}"
        for name in ("accuracy", "in_scope", "recall", "auroc")
    ]
