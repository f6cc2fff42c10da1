"""Cold start: no labelled sample at all. What the labels' names and descriptions are worth, with unlabelled samples.

"none" has nothing but the task file. "half" looks at one half of the samples, without their labels, and predicts the
other, both ways. BANKING77 and hint3 have no descriptions: names such as `card_arrival` are all there is; samples of
hint3 that belong to no label are left out. `scripts/bench cold_start DATA`.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.sets import DataSet, mire, plain
from kdsl.embeddings.load import load_encoder
from kdsl.embeddings.sentence_vectors import SentenceVectors
from kdsl.evaluate.bootstrap import intervals
from kdsl.evaluate.calibration import expected_calibration_error
from kdsl.evaluate.metrics import Outcome, scores
from kdsl.fields.table import FieldTable
from kdsl.models.cold_start import fit_cold_start
from kdsl.sample import Task, label_indices

NO_LABEL = "NO_NODES_DETECTED"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench cold_start", description=__doc__)
    parser.add_argument("data", type=Path, help="folder that holds mire, hint3_sofmattress and banking77")
    parser.add_argument("--encoder", default="use", help="as `encoder:` in kdsl.yaml (default use)")
    parser.add_argument("--seed", type=int, default=0, help="of halves and bootstrap (default 0)")
    options = parser.parse_args(arguments)
    vectors = SentenceVectors(load_encoder(options.encoder))
    table = Table(title="Cold start: no labelled sample", title_justify="left")
    for column in ("data", "encoder", "unlabelled", "weighted F1", "95 % interval", "accuracy", "ECE"):
        table.add_column(column, justify="left" if column in ("data", "encoder", "unlabelled") else "right")
    for data in _sets(options.data):
        for encoder in (None, vectors):
            for unlabelled in ("none", "half"):
                outcome = predicted(data, encoder, unlabelled == "half", options.seed)
                found, interval = scores(outcome), intervals(outcome, options.seed).weighted_f1
                table.add_row(
                    data.task.name, "none" if encoder is None else encoder.name, unlabelled,
                    f"{100 * found.weighted_f1:.1f}", f"{100 * interval.low:.1f} to {100 * interval.high:.1f}",
                    f"{100 * found.accuracy:.1f}", f"{expected_calibration_error(outcome):.3f}",
                )  # fmt: skip
    Console(width=110).print(table)
    return 0


def predicted(data: DataSet, vectors: SentenceVectors | None, halves: bool, seed: int) -> Outcome:
    """All samples of a data set, predicted without a label of any."""
    samples = FieldTable(data.samples, replace(data.sidecars, vectors=vectors))
    truth = np.array(label_indices(data.samples, data.task), dtype=np.int64)
    parts = np.random.default_rng(seed).permutation(len(samples)) % 2
    probabilities = np.zeros((len(samples), len(data.task.labels)))
    for part in (0, 1):
        inside, outside = np.flatnonzero(parts == part), np.flatnonzero(parts != part)
        classifier = fit_cold_start(data.task, samples.select(outside if halves else []), vectors)
        probabilities[inside] = classifier.predict(samples.select(inside)).probabilities
    return Outcome(truth, probabilities.argmax(axis=1).astype(np.int64), probabilities)


def _sets(folder: Path) -> Iterator[DataSet]:
    yield from mire(folder)
    hint = plain(folder / "hint3_sofmattress/test.jsonl", "hint3")
    labels = tuple(label for label in hint.task.labels if label.name != NO_LABEL)
    yield replace(hint, task=Task("hint3", labels), samples=[each for each in hint.samples if each.label != NO_LABEL])
    yield plain(folder / "banking77/test.jsonl", "banking77")
