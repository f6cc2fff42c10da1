"""Where the benchmarks find their data sets in a folder given as argument, and how they run one."""

import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from kdsl.data.readers import read_samples
from kdsl.embeddings.sentence_vectors import SentenceVectors
from kdsl.evaluate.bootstrap import difference_intervals
from kdsl.evaluate.metrics import scores
from kdsl.evaluate.report import TaskResult
from kdsl.fields.pictures import Pictures
from kdsl.fields.sidecar import Sidecars, read_captions, read_ocr
from kdsl.fields.table import FieldTable
from kdsl.models.classifier import Trainer
from kdsl.models.embedded import Embedded, EmbeddedTrainer
from kdsl.models.linear import LinearTrainer
from kdsl.project.cross_validation import cross_validate
from kdsl.project.small_parts import meaning_parts
from kdsl.project.task import TaskProject
from kdsl.sample import Label, Sample, Task, label_indices
from kdsl.tasks import load_task

INITIAL = Embedded(("linear", "described", "cold_start"), cleaned=True)
"""The classifier of a project that `kdsl init` made."""


@dataclass(frozen=True)
class DataSet:
    task: Task
    samples: list[Sample]
    sidecars: Sidecars

    def learned(self, seed: int, trainer: Trainer | None = None) -> TaskProject:
        """All samples, learned by `trainer`, the plain linear one by default."""
        labels = np.array(label_indices(self.samples, self.task), dtype=np.int64)
        learner = trainer or LinearTrainer(seed)
        return TaskProject(
            self.task, FieldTable(self.samples, self.sidecars), labels, seed=seed, learn=lambda rules: learner
        )

    def learned_as_new_project(self, seed: int, vectors: SentenceVectors) -> TaskProject:
        """All samples, learned as in a project of `kdsl init`: with an encoder, `small: meaning` and pictures."""
        data = replace(self, sidecars=replace(self.sidecars, vectors=vectors))
        return replace(data.learned(seed, EmbeddedTrainer(self.task, INITIAL, seed)), small=meaning_parts)


def mire(folder: Path, captions: bool = False) -> list[DataSet]:
    """The two MIRE tasks."""
    tasks = [load_task(name, Path()) for name in ("mire_scene", "mire_intent")]
    samples = read_samples(folder / "mire" / "train.json", tasks)
    sidecars = Sidecars(
        ocr=read_ocr(folder / "mire" / "ocr.jsonl"),
        captions=read_captions(folder / "mire" / "captions.jsonl") if captions else {},
        pictures=Pictures(folder / "mire" / "images"),
    )
    return [DataSet(task, [sample for sample in samples if sample.task == task.name], sidecars) for task in tasks]


def plain(file: Path, name: str) -> DataSet:
    """A JSONL file with `text` and `label`, its images beside it; its labels become a task without descriptions."""
    unknown = Task(name, (Label("?"),))
    samples = read_samples(file, [unknown])
    labels = sorted({sample.label for sample in samples if sample.label is not None})
    task = Task(name, tuple(Label(label) for label in labels))
    return DataSet(task, samples, Sidecars(pictures=Pictures(file.parent)))


def validated(
    data: DataSet, folds: int, seed: int, trainer: Trainer | None = None, vectors: SentenceVectors | None = None
) -> TaskResult:
    """Cross-validation of everything, with progress on stderr; with `vectors` as a new project has it."""
    begun = time.perf_counter()
    own = data.learned(seed, trainer) if vectors is None else data.learned_as_new_project(seed, vectors)
    result = cross_validate(own, folds)
    print(f"  {data.task.name}, seed {seed}: {time.perf_counter() - begun:.0f} s", flush=True)
    return result


def figures(result: TaskResult, seed: int) -> dict[str, float]:
    """Weighted F1 in points of model, rules and both, the difference with its interval, coverage and precision."""
    model, rules, both = (scores(outcome) for outcome in (result.model, result.rules, result.both))
    interval = difference_intervals(result.both, result.model, seed).weighted_f1
    return {
        "model": 100 * model.weighted_f1,
        "rules": 100 * rules.weighted_f1,
        "both": 100 * both.weighted_f1,
        "gain": 100 * (both.weighted_f1 - model.weighted_f1),
        "low": 100 * interval.low,
        "high": 100 * interval.high,
        "coverage": 100 * rules.coverage,
        "precision": 100 * (rules.covered_precision or 0.0),
    }


def mean(rows: list[dict[str, float]]) -> dict[str, float]:
    return {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}


def show(title: str, rows: list[tuple[str, dict[str, float]]]) -> None:
    """Print one table of `figures`."""
    table = Table(title=title, title_justify="left")
    for column in ("", "model alone", "rules alone", "both", "gain", "95 % interval", "coverage", "precision there"):
        table.add_column(column, justify="left" if not column else "right")
    for name, row in rows:
        interval = f"{row['low']:+.1f} to {row['high']:+.1f}"
        numbers = [f"{row[key]:.1f}" for key in ("model", "rules", "both")]
        shares = [f"{row[key]:.0f} %" for key in ("coverage", "precision")]
        table.add_row(name, *numbers, f"{row['gain']:+.1f}", interval, *shares)
    Console(width=110).print(table)
