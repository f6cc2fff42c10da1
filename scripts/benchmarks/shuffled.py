"""How many rules are accepted when the labels are shuffled, and how many with the true ones (MIRE, both tasks)."""

import argparse
from pathlib import Path

import numpy as np

from benchmarks.sets import mire
from kdsl.fields.table import FieldTable
from kdsl.mining.archive import mined_rules
from kdsl.mining.miner import MiningSettings
from kdsl.mining.run import mine_task
from kdsl.sample import label_indices


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench shuffled", description=__doc__)
    parser.add_argument("data", type=Path, help="folder that holds mire/train.json and mire/ocr.jsonl")
    parser.add_argument("--seeds", type=int, default=3, help="shuffles of each task (default 3)")
    options = parser.parse_args(arguments)
    settings = MiningSettings()
    for data in mire(options.data):
        table = FieldTable(data.samples, data.sidecars)
        labels = np.array(label_indices(data.samples, data.task), dtype=np.int64)

        def accepted(of: np.ndarray, seed: int, table: FieldTable = table, task=data.task) -> int:
            return len(mined_rules(mine_task(task, table, of, settings, seed), "", seed)[0])

        true = accepted(labels, 0)
        shuffled = [accepted(np.random.default_rng(seed).permutation(labels), seed) for seed in range(options.seeds)]
        share = float(np.mean(shuffled)) / max(true, 1)
        print(
            f"{data.task.name}: {true} rules with true labels, {shuffled} with shuffled ones: {share:.1%}", flush=True
        )
    return 0
