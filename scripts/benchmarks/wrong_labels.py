"""Labels flipped at random: how many of them are found, and what looking at the first suggestions gains.

Precision is counted among as many suggestions as labels were flipped: by the model out of fold alone, by the nearest
samples alone, by both together as `kdsl check --labels` has them, and by cleanlab where it is installed. Nobody has
accepted rules here. Then an oracle looks at the first tenth of the samples, by these suggestions or at random, and
puts right what is wrong: weighted F1 on samples kept back from everything.
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.kept_back import Split, splits
from benchmarks.sets import INITIAL, DataSet, mire, plain
from kdsl.data.splits import stratified_folds
from kdsl.embeddings.sentence_vectors import SentenceVectors
from kdsl.embeddings.use import UniversalSentenceEncoder
from kdsl.evaluate.metrics import Outcome, scores
from kdsl.fields.table import FieldTable
from kdsl.models.embedded import EmbeddedTrainer
from kdsl.models.neighbours import NUMBERS, VoteOnEachOther
from kdsl.models.out_of_fold import out_of_fold
from kdsl.models.suspicion import suspect
from kdsl.retrieval.sample_index import SampleIndex
from kdsl.sample import label_indices

FLIPPED = 0.05
"""Share of the labels."""
LOOKED_AT = 0.1
"""Share of the samples that the oracle looks at."""
FOLDS = 5

Labels = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Noisy:
    """Samples, some of whose labels were flipped, and others kept back."""

    split: Split
    truth: Labels
    given: Labels
    seed: int

    @classmethod
    def of(cls, split: Split, seed: int) -> "Noisy":
        truth, n_labels = _labels(split.data, split.train), len(split.data.task.labels)
        source = np.random.default_rng(seed)
        count = round(FLIPPED * len(truth))
        rows = source.choice(len(truth), count, replace=False)
        given = truth.copy()
        given[rows] = (truth[rows] + source.integers(1, n_labels, count)) % n_labels
        return cls(split, truth, given, seed)

    @property
    def n_labels(self) -> int:
        return len(self.split.data.task.labels)

    @property
    def trainer(self) -> EmbeddedTrainer:
        return EmbeddedTrainer(self.split.data.task, INITIAL, self.seed)

    def orders(self) -> dict[str, Labels]:
        """Who finds them → the rows of the samples, the most suspicious first."""
        folds = stratified_folds(self.given, FOLDS, self.seed)
        model = out_of_fold(self.trainer, self.split.train, self.given, self.n_labels, folds)
        near = VoteOnEachOther(SampleIndex.fit(self.split.train.cleaned()).nearest_to_each_other(max(NUMBERS)))
        vote = near.likeliest(self.given, self.n_labels)
        neighbours = near.probabilities(vote, self.given, self.n_labels)
        nothing = np.ones_like(model)
        found = {
            "model": suspect(model, nothing, self.given).order,
            "neighbours": suspect(nothing, neighbours, self.given).order,
            "both": suspect(model, neighbours, self.given).order,
        }
        return found | ({"cleanlab": _cleanlab(model, self.given)} if find_spec("cleanlab") else {})

    def precision(self, order: Labels) -> float:
        """Among as many suggestions as labels were flipped."""
        wrong = self.truth != self.given
        return float(wrong[order[: int(wrong.sum())]].mean())

    def f1(self, looked_at: Labels) -> float:
        """On the samples kept back, once the labels of those rows are right."""
        labels = self.given.copy()
        labels[looked_at] = self.truth[looked_at]
        classifier = self.trainer.fit(self.split.train, labels, self.n_labels)
        said = classifier.predict(self.split.test).probabilities.argmax(axis=1)
        return scores(Outcome(_labels(self.split.data, self.split.test), said)).weighted_f1


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench wrong_labels", description=__doc__)
    parser.add_argument("data", type=Path, help="folder that holds mire, hint3_sofmattress and banking77")
    parser.add_argument("--seeds", type=int, default=1, help="repetitions with other labels flipped (default 1)")
    parser.add_argument("--sets", nargs="*", default=[], help="only these: mire_scene, mire_intent, hint3, banking77")
    options = parser.parse_args(arguments)
    precision = Table(title=f"Share of wrong labels among the first, where {FLIPPED:.0%} were flipped")
    gains = Table(title=f"Weighted F1 on samples kept back, {LOOKED_AT:.0%} of the samples looked at")
    finders = ("model", "neighbours", "both", *(["cleanlab"] if find_spec("cleanlab") else []))
    for table, columns in ((precision, ("flipped", *finders)), (gains, ("none", "at random", "suggested", "all"))):
        table.add_column("")
        for column in columns:
            table.add_column(column, justify="right")
    for name, noisy in _noisy(options.data, options.seeds, options.sets):
        found: dict[str, list[float]] = {finder: [] for finder in finders}
        scored: list[list[float]] = []
        for each in noisy:
            begun = time.perf_counter()
            orders = each.orders()
            for finder in finders:
                found[finder].append(each.precision(orders[finder]))
            most = round(LOOKED_AT * len(each.given))
            at_random = np.random.default_rng(each.seed).permutation(len(each.given))
            looked_at = (at_random[:0], at_random[:most], orders["both"][:most], at_random)
            scored.append([100 * each.f1(rows) for rows in looked_at])
            print(f"  {name}, seed {each.seed}: {time.perf_counter() - begun:.0f} s", flush=True)
        flipped = sum(int((each.truth != each.given).sum()) for each in noisy)
        precision.add_row(name, f"{flipped}", *(f"{np.mean(found[finder]):.2f}" for finder in finders))
        gains.add_row(name, *(f"{score:.1f}" for score in np.mean(scored, axis=0)))
    console = Console(width=110)
    console.print(precision)
    console.print(gains)
    return 0


def _noisy(folder: Path, seeds: int, wanted: list[str]) -> Iterator[tuple[str, list[Noisy]]]:
    """A set without test samples is split anew for every seed."""
    vectors = SentenceVectors(UniversalSentenceEncoder())
    hint3, banking77 = folder / "hint3_sofmattress", folder / "banking77"
    sets: list[tuple[DataSet, Path | None]] = [
        *((data, None) for data in mire(folder)),
        (plain(hint3 / "train.jsonl", "hint3"), hint3 / "test.jsonl"),
        (plain(banking77 / "train_10shot.jsonl", "banking77"), banking77 / "test.jsonl"),
    ]
    for data, test in sets:
        if not wanted or data.task.name in wanted:
            own = replace(data, sidecars=replace(data.sidecars, vectors=vectors))
            yield data.task.name, [Noisy.of(splits(own, test, seed)[0], seed) for seed in range(seeds)]


def _labels(data: DataSet, table: FieldTable) -> Labels:
    return np.array(label_indices([row.sample for row in table.rows], data.task), dtype=np.int64)


def _cleanlab(model: Floats, given: Labels) -> Labels:
    """What cleanlab finds with its defaults, by self-confidence, then all others by that."""
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    first = find_label_issues(given, model, return_indices_ranked_by="self_confidence", n_jobs=1).tolist()
    others = np.argsort(get_label_quality_scores(given, model), kind="stable").tolist()
    return np.array(list(dict.fromkeys([*first, *others])), dtype=np.int64)
