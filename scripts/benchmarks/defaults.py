"""The classifier of `kdsl init` alone on mire, enrico, banking77 and hint3_sofmattress: what meaning and sight add."""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.sets import INITIAL, DataSet, mire, plain
from kdsl.data.splits import stratified_folds
from kdsl.embeddings.sentence_vectors import SentenceVectors
from kdsl.embeddings.use import UniversalSentenceEncoder
from kdsl.evaluate.bootstrap import difference_intervals, intervals
from kdsl.evaluate.calibration import expected_calibration_error
from kdsl.evaluate.metrics import Outcome, scores
from kdsl.fields.pictures import Pictures
from kdsl.fields.table import FieldTable
from kdsl.models.embedded import EmbeddedTrainer
from kdsl.models.out_of_fold import out_of_fold
from kdsl.sample import label_indices

STEPS = {"characters": (False, False), "+ meaning": (True, False), "+ sight": (False, True), "+ both": (True, True)}


@dataclass(frozen=True)
class Asked:
    """A set that is cross-validated, or learned from and asked about another."""

    name: str
    data: DataSet
    test: DataSet | None
    images: Path | None


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench defaults", description=__doc__)
    parser.add_argument("data", type=Path, help="folder that holds mire/, enrico/, banking77/ and hint3_sofmattress/")
    parser.add_argument("--seeds", type=int, default=1, help="repetitions with other folds (default 1)")
    parser.add_argument("--sets", help="only these, such as mire_scene,enrico")
    parser.add_argument("--steps", default=",".join(STEPS), help="only these (default: all)")
    options = parser.parse_args(arguments)
    table = Table(title="Model alone, in points; ± is half a 95 % interval", title_justify="left")
    for column in ("set", "step", "weighted F1", "accuracy", "against characters", "ECE"):
        table.add_column(column, justify="left" if column in ("set", "step") else "right")
    chosen = None if options.sets is None else options.sets.split(",")
    steps = options.steps.split(",")
    for asked in _sets(options.data):
        if chosen is not None and asked.name not in chosen:
            continue
        outcomes = {step: _outcomes(asked, *STEPS[step], options.seeds) for step in steps
                    if asked.images is not None or not STEPS[step][1]}  # fmt: skip
        for step, found in outcomes.items():
            cells = _cells(found, outcomes.get("characters"))
            table.add_row(asked.name, step, *cells)
            print(f"  {asked.name}, {step}: {cells[0]}", flush=True)
        table.add_section()
    Console(width=110).print(table)
    return 0


def _sets(folder: Path) -> Iterator[Asked]:
    for data in mire(folder):
        yield Asked(data.task.name, data, None, folder / "mire" / "images")
    enrico = plain(folder / "enrico" / "train.jsonl", "enrico")
    yield Asked("enrico", enrico, None, folder / "enrico")
    yield Asked("enrico test", enrico, plain(folder / "enrico" / "test.jsonl", "enrico"), folder / "enrico")
    banking = plain(folder / "banking77" / "test.jsonl", "banking77")
    for shots in (5, 10):
        learned = plain(folder / "banking77" / f"train_{shots}shot.jsonl", "banking77")
        yield Asked(f"banking77 {shots}-shot", learned, banking, None)
    hint3 = plain(folder / "hint3_sofmattress" / "train.jsonl", "hint3_sofmattress")
    yield Asked("hint3", hint3, None, None)
    yield Asked("hint3 test", hint3, plain(folder / "hint3_sofmattress" / "test.jsonl", "hint3_sofmattress"), None)


_VECTORS = SentenceVectors(UniversalSentenceEncoder())
_PICTURES: dict[Path, Pictures] = {}


def _outcomes(asked: Asked, meaning: bool, sight: bool, seeds: int) -> list[Outcome]:
    """One for each seed."""
    task = asked.data.task
    pictures = asked.data.sidecars.pictures
    if asked.images is not None:
        pictures = _PICTURES.setdefault(asked.images, Pictures(asked.images))
    sidecars = replace(
        asked.data.sidecars, vectors=_VECTORS if meaning else None, pictures=pictures if sight else None
    )
    table = FieldTable(asked.data.samples, sidecars)
    labels = np.array(label_indices(asked.data.samples, task), dtype=np.int64)
    outcomes = []
    for seed in range(1 if asked.test is not None else seeds):
        trainer = EmbeddedTrainer(task, INITIAL, seed)
        if asked.test is None:
            folds = stratified_folds(labels, 5, seed)
            found, truth = out_of_fold(trainer, table, labels, len(task.labels), folds), labels
        else:
            known = [sample for sample in asked.test.samples if sample.label in task.label_names]
            truth = np.array(label_indices(known, task), dtype=np.int64)
            classifier = trainer.fit(table, labels, len(task.labels))
            found = classifier.predict(FieldTable(known, sidecars)).probabilities
        outcomes.append(Outcome(truth, found.argmax(axis=1), found))
    return outcomes


def _cells(found: list[Outcome], before: list[Outcome] | None) -> list[str]:
    measured = [scores(outcome) for outcome in found]
    interval = intervals(found[0], 0).weighted_f1
    against = ""
    if before is not None and before is not found:
        gain = np.mean([new.weighted_f1 - scores(old).weighted_f1 for new, old in zip(measured, before, strict=True)])
        between = difference_intervals(found[0], before[0], 0).weighted_f1
        against = f"{100 * gain:+.1f} ({100 * between.low:+.1f} to {100 * between.high:+.1f})"
    return [
        f"{100 * np.mean([each.weighted_f1 for each in measured]):.1f} ± {50 * (interval.high - interval.low):.1f}",
        f"{100 * np.mean([each.accuracy for each in measured]):.1f}",
        against,
        f"{100 * np.mean([expected_calibration_error(outcome) for outcome in found]):.1f}",
    ]
