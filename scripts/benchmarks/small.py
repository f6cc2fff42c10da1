"""`small: lexical` against `small: meaning`: how many of the mined rules hold on samples that mining never saw.

Between them stands the lexical proposer with an encoder, so with conditions on meaning. Precision is counted for rules
that hit at least one kept sample, and for those that hit several.
"""

import argparse
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.kept_back import Split, splits
from benchmarks.sets import DataSet, mire, plain
from kdsl.embeddings.sentence_vectors import SentenceVectors
from kdsl.embeddings.use import UniversalSentenceEncoder
from kdsl.mining.archive import mined_rules
from kdsl.mining.miner import MiningSettings
from kdsl.mining.run import mine_task
from kdsl.project.small_parts import SmallParts, meaning_parts
from kdsl.rules.engine import Engine
from kdsl.sample import label_indices

SEVERAL = 3
"""Hits on kept samples."""
PRECISION = 0.8


@dataclass(frozen=True)
class Kept:
    """What rules mined on some samples do on others."""

    hits: NDArray[np.int64]
    """[n_rules]"""
    correct: NDArray[np.int64]
    covered: int
    samples: int


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench small", description=__doc__)
    parser.add_argument("data", type=Path, help="folder that holds mire, hint3_sofmattress and banking77")
    parser.add_argument("--seeds", type=int, default=1, help="repetitions with other folds (default 1)")
    parser.add_argument("--sets", nargs="*", default=[], help="only these: mire_scene, mire_intent, hint3, banking77")
    options = parser.parse_args(arguments)
    vectors = SentenceVectors(UniversalSentenceEncoder())
    table = Table(
        title=f"Rules on kept samples, and which share of them is right on at least {PRECISION:.0%} of its hits"
    )
    for column in ("", "small", "rules", "hit", "share", f"{SEVERAL} hits", "share", "precision", "coverage"):
        table.add_column(column, justify="left" if column in ("", "small") else "right")
    for data, test in _sets(options.data):
        if options.sets and data.task.name not in options.sets:
            continue
        for small in ("lexical", "lexical, meanings", "meaning"):
            known = vectors if small != "lexical" else None
            kept = [
                _kept(split, small, seed)
                for seed in range(options.seeds)
                for split in splits(replace(data, sidecars=replace(data.sidecars, vectors=known)), test, seed)
            ]
            table.add_row(data.task.name, small, *_figures(kept))
    Console(width=110).print(table)
    return 0


def _sets(folder: Path) -> list[tuple[DataSet, Path | None]]:
    hint3, banking77 = folder / "hint3_sofmattress", folder / "banking77"
    return [
        *((data, None) for data in mire(folder)),
        (plain(hint3 / "train.jsonl", "hint3"), hint3 / "test.jsonl"),
        (plain(banking77 / "train_5shot.jsonl", "banking77"), banking77 / "test.jsonl"),
    ]


def _kept(split: Split, small: str, seed: int) -> Kept:
    begun = time.perf_counter()
    task = split.data.task
    labels = np.array(label_indices([row.sample for row in split.train.rows], task))
    parts = meaning_parts(split.train, labels) if small == "meaning" else SmallParts()
    mined = mine_task(
        task, split.train, labels, MiningSettings(), seed, proposer=parts.proposer, validator=parts.validator
    )
    rules, _ = mined_rules(mined, "", seed)
    hits = Engine(rules).matrix(split.test)
    truth = np.array(label_indices([row.sample for row in split.test.rows], task))
    right = hits & (truth[:, None] == [task.label_names.index(rule.label) for rule in rules])
    print(f"  {task.name}, {small}, seed {seed}: {time.perf_counter() - begun:.0f} s", flush=True)
    return Kept(hits.sum(axis=0), right.sum(axis=0), int(hits.any(axis=1).sum()), len(split.test))


def _figures(kept: list[Kept]) -> list[str]:
    hits, correct = (
        np.concatenate(found) for found in zip(*((each.hits, each.correct) for each in kept), strict=True)
    )
    shares = []
    for fewest in (1, SEVERAL):
        told = hits >= fewest
        share = np.mean(correct[told] >= PRECISION * hits[told])
        shares += [f"{told.sum() / len(kept):.0f}", f"{100 * share:.1f}"]
    coverage = sum(each.covered for each in kept) / sum(each.samples for each in kept)
    return [
        f"{len(hits) / len(kept):.0f}",
        *shares,
        f"{100 * correct.sum() / max(hits.sum(), 1):.1f}",
        f"{100 * coverage:.0f} %",
    ]
