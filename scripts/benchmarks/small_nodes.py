"""The small model asked at nodes of the search against the root only: calls against rules found.

Without DATA: a planted world whose exceptions the samples cannot tell, with a tiny Qwen2-VL that was taught them. With
DATA: hint3, with the encoder as the small model.
"""

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.kept_back import Split, splits
from benchmarks.meaning_adviser import MeaningAdviser
from benchmarks.sets import plain
from kdsl.embeddings.sentence_vectors import SentenceVectors
from kdsl.embeddings.use import UniversalSentenceEncoder
from kdsl.mining.archive import mined_rules
from kdsl.mining.miner import MiningSettings
from kdsl.mining.run import mine_task
from kdsl.project.small_parts import meaning_parts
from kdsl.rules.engine import Engine
from kdsl.sample import label_indices
from kdsl.small.adviser import SmallAdviser
from kdsl.small.proposer import SmallProposer
from kdsl.small.validator import SmallValidator
from kdsl.vlm.cache import CachedModel
from kdsl.vlm.local import LocalModel
from kdsl.vlm.usage import CallBudget

TESTS = Path(__file__).resolve().parents[2] / "tests"
CALLS = (0, 50, 100, 200, 400, 800)
PRECISION = 0.8


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench small_nodes", description=__doc__)
    parser.add_argument("data", type=Path, nargs="?", help="folder that holds hint3_sofmattress")
    parser.add_argument("--seeds", type=int, default=2, help="repetitions (default 2)")
    options = parser.parse_args(arguments)
    Console(width=110).print(_planted(options.seeds))
    if options.data is not None:
        Console(width=110).print(_meaning(options.data, options.seeds))
    return 0


def _planted(seeds: int) -> Table:
    sys.path.append(str(TESTS))  # the world is that of the tests
    import planted_exceptions as world
    import tiny_qwen2vl
    import torch

    torch.set_num_threads(1)
    wishes = len(world.TAKEN_BACK)
    table = Table(title=f"Planted exceptions found, of {wishes}, mean of {seeds} seeds")
    for column in ("calls allowed", "asked at", "asked", "in the list", "right on new samples"):
        table.add_column(column, justify="left" if column == "asked at" else "right")
    new, truth = world.new_samples()
    with tempfile.TemporaryDirectory() as folder:
        trained = LocalModel.load(str(world.teach(Path(folder) / "model")), tiny_qwen2vl.BUDGET)
        for calls in CALLS:
            for nodes in (False, True):
                rows = []
                for seed in range(seeds):
                    model = CachedModel(trained, Path(folder) / f"{calls}-{nodes}-{seed}.jsonl")
                    train, labels = world.training(seed)
                    budget = CallBudget(calls)
                    mined = mine_task(
                        world.TASK,
                        train,
                        labels,
                        MiningSettings(folds=3),
                        seed,
                        proposer=SmallProposer(model, "tiny", train, labels, None, budget),
                        validator=SmallValidator(model, budget),
                        adviser=SmallAdviser(model, "tiny", train, None, budget) if nodes else None,
                        budget=budget,
                        workers=1,
                    )
                    own = [rule for rule in mined_rules(mined, "", seed)[0] if rule.label != world.OTHER]
                    found = sum(world.is_planted(world.TASK.label_names.index(r.label), r.conditions) for r in own)
                    hits = Engine(own).matrix(new)
                    right = hits & (truth[:, None] == [world.TASK.label_names.index(rule.label) for rule in own])
                    rows.append((model.asked, found, 100 * right.sum() / max(hits.sum(), 1)))
                asked, found, precision = np.mean(rows, axis=0)
                place = "root and nodes" if nodes else "root only"
                table.add_row(str(calls), place, f"{asked:.0f}", f"{found:.1f}", f"{precision:.1f} %")
    return table


def _meaning(folder: Path, seeds: int) -> Table:
    hint3 = folder / "hint3_sofmattress"
    data = plain(hint3 / "train.jsonl", "hint3")
    data = replace(data, sidecars=replace(data.sidecars, vectors=SentenceVectors(UniversalSentenceEncoder())))
    [split] = splits(data, hint3 / "test.jsonl", 0)
    table = Table(title=f"hint3, the encoder as the small model, mean of {seeds} seeds")
    for column in ("asked at", "rules", f"right {PRECISION:.0%} of the time", "precision", "coverage"):
        table.add_column(column, justify="left" if column == "asked at" else "right")
    for nodes in (False, True):
        rules, good, precision, covered = np.mean([_figures(split, nodes, seed) for seed in range(seeds)], axis=0)
        place = "root and nodes" if nodes else "root only"
        table.add_row(place, f"{rules:.0f}", f"{good:.1f} %", f"{precision:.1f} %", f"{covered:.1f} %")
    return table


def _figures(split: Split, nodes: bool, seed: int) -> tuple[float, float, float, float]:
    task = split.data.task
    labels = np.array(label_indices([row.sample for row in split.train.rows], task))
    parts = meaning_parts(split.train, labels)
    vectors = split.train.sentence_vectors
    mined = mine_task(
        task,
        split.train,
        labels,
        MiningSettings(),
        seed,
        proposer=parts.proposer,
        validator=parts.validator,
        adviser=MeaningAdviser(vectors, split.train) if nodes and vectors is not None else None,
        workers=1,
    )
    rules, _ = mined_rules(mined, "", seed)
    hits = Engine(rules).matrix(split.test)
    truth = np.array(label_indices([row.sample for row in split.test.rows], task))
    right = (hits & (truth[:, None] == [task.label_names.index(rule.label) for rule in rules])).sum(axis=0)
    each = hits.sum(axis=0)
    good = np.mean(right[each > 0] >= PRECISION * each[each > 0])
    return len(rules), 100 * good, 100 * right.sum() / max(each.sum(), 1), 100 * hits.any(axis=1).mean()
