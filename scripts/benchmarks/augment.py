"""Augmentation on MIRE: time for 500 samples tenfold, what rules still see in the copies, copies across splits.

Limits: 120 s with images on two processes, 99 % of the copies' texts and pages hit by all rules for the label that hit
the original, no copy of a sample beyond its fold.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.sets import DataSet, mire
from kdsl.augmentation.augmenter import Augmenter
from kdsl.augmentation.rendered import render_pictures
from kdsl.augmentation.trainer import AugmentingTrainer
from kdsl.data.splits import stratified_folds
from kdsl.fields.table import FieldTable
from kdsl.mining.archive import mined_rules
from kdsl.mining.miner import MiningSettings
from kdsl.mining.run import mine_task
from kdsl.mining.search import SearchSettings
from kdsl.models.classifier import Classifier
from kdsl.models.linear import LinearTrainer
from kdsl.rules.engine import Engine
from kdsl.rules.rule import Rule
from kdsl.rules.rulebase import RuleBase
from kdsl.sample import label_indices

SAMPLES, COPIES, PROCESSES = 500, 10, 2
SECONDS, KEPT = 120.0, 0.99


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench augment", description=__doc__)
    parser.add_argument("data", type=Path, help="folder that holds mire/train.json, mire/ocr.jsonl and mire/images")
    parser.add_argument("--rules", type=Path, help="a rule base of these tasks, instead of mining one here")
    parser.add_argument("--iterations", type=int, default=200, help="of mining for every label (default 200)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    data = mire(options.data)
    failed = 0
    rules = {each.task.name: _rules(each, options.rules, options.iterations, options.seed) for each in data}
    failed += not _timed(data, rules, options.data / "mire" / "images", options.seed)
    for each in data:
        failed += not _kept(each, rules[each.task.name], options.seed)
        failed += not _no_leak(each, options.seed)
    return int(failed > 0)


def _rules(data: DataSet, folder: Path | None, iterations: int, seed: int) -> list[Rule]:
    if folder is not None:
        return RuleBase.load(folder, data.task.name).active()
    settings = MiningSettings(SearchSettings(iterations=iterations))
    table, labels = _labelled(data)
    return mined_rules(mine_task(data.task, table, labels, settings, seed), "", seed)[0]


def _timed(data: Sequence[DataSet], rules: dict[str, list[Rule]], images: Path, seed: int) -> bool:
    """The same share of both tasks, `SAMPLES` in all."""
    total = sum(len(each.samples) for each in data)
    with tempfile.TemporaryDirectory() as folder:
        begun, before = time.perf_counter(), os.times()
        samples, pictures, n = 0, {}, 0
        for each in data:
            table, labels = _labelled(each)
            rows = np.random.default_rng(seed).permutation(len(table))[: round(SAMPLES * len(table) / total)]
            copies = Augmenter(each.task, COPIES, seed, rules[each.task.name]).copies(table.select(rows), labels[rows])
            samples, n, pictures = samples + len(rows), n + len(copies), pictures | copies.pictures
        planned = time.perf_counter() - begun
        render_pictures(pictures, images, Path(folder), PROCESSES)
        seconds, after = time.perf_counter() - begun, os.times()
    processor = sum(after[:4]) - sum(before[:4])
    print(
        f"{samples} samples, {n} copies with {len(pictures)} images on {PROCESSES} processes: {seconds:.0f} s, "
        f"{planned:.0f} s of them texts and plans, {processor:.0f} s of processor time (limit {SECONDS:.0f} s)"
    )
    return seconds <= SECONDS


def _kept(data: DataSet, rules: Sequence[Rule], seed: int) -> bool:
    """Counted by the engine anew, on the finished copies: of those that any rule for their label hits, how many are
    still hit by all that hit the original; and how many would be without sparing."""
    table, labels = _labelled(data)
    names = data.task.label_names
    engine = Engine(rules)
    of_rule = np.array([names.index(rule.label) for rule in rules])
    shares = []
    for known in (rules, ()):
        copies = Augmenter(data.task, COPIES, seed, known).copies(table, labels)
        seen = engine.matrix(table)[copies.sources] & (of_rule == copies.labels[:, None])
        concerned = seen.any(axis=1)
        broken = (seen & ~engine.matrix(copies.table)).any(axis=1)
        shares.append(1 - broken[concerned].mean())
    print(
        f"{data.task.name}: {len(rules)} rules; {concerned.sum()} of {len(copies)} copies concerned, "
        f"{100 * shares[0]:.2f} % keep all that rules see (limit {100 * KEPT:.0f} %); "
        f"{100 * shares[1]:.1f} % if nothing were spared"
    )
    return shares[0] >= KEPT


def _no_leak(data: DataSet, seed: int) -> bool:
    """Whether a classifier of any fold is trained on a copy of a sample that the fold holds out."""
    table, labels = _labelled(data)
    ids = np.array([row.sample.id for row in table.rows])
    folds = stratified_folds(labels, 5, seed)
    leaks = copies = 0
    for fold in range(5):
        outside = np.flatnonzero(folds != fold)
        seen = _Seen()
        AugmentingTrainer(seen, Augmenter(data.task, 2, seed)).fit(
            table.select(outside), labels[outside], len(data.task.labels)
        )
        held_out = set(ids[folds == fold])
        copies += len(seen.ids) - len(outside)
        leaks += sum(identity in held_out for identity in seen.ids)
    print(f"{data.task.name}: {leaks} of {copies} copies cross a split, 5-fold")
    return leaks == 0


class _Seen:
    """A trainer that notes what it is given; implements `Trainer`."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        """Of a copy that of the sample it was made of."""

    def fit(self, table: FieldTable, labels: np.ndarray, n_labels: int) -> Classifier:
        self.ids = [row.sample.source for row in table.rows]
        return LinearTrainer().fit(table.select(range(1)), labels[:1], n_labels)


def _labelled(data: DataSet) -> tuple[FieldTable, np.ndarray]:
    return FieldTable(data.samples, data.sidecars), np.array(label_indices(data.samples, data.task), dtype=np.int64)
