"""Recorded reasons for MIRE samples: how many speak against their label, and how many are near-identical."""

import argparse
import random
from pathlib import Path

import numpy as np

from benchmarks.sets import mire
from kdsl.reasons.labels import LabelNames
from kdsl.reasons.reason_file import ReasonFile
from kdsl.reasons.thinning import SIMILAR, Thinning, shingles, similarity

PAIRS = 20_000


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench reasons", description=__doc__)
    parser.add_argument("data", type=Path, help="folder that holds mire/, with reasons.jsonl in it")
    options = parser.parse_args(arguments)
    sets = mire(options.data)
    names = {data.task.name: LabelNames(data.task) for data in sets}
    samples = {(sample.task, sample.id): sample for data in sets for sample in data.samples}
    file = ReasonFile.read(options.data / "mire" / "reasons.jsonl", [data.task for data in sets])
    rows, mistaken = [], 0
    for (task, identity), reason in file.matched(list(samples.values())).items():
        label = samples[task, identity].label or ""
        if names[task].mistaken(reason.text, label) is not None:
            mistaken += 1
        else:
            rows.append((task, label, names[task].masked(reason.text, label)))
    print(f"{len(rows) + mistaken} reasons, {mistaken} of them speak against their own label")
    for similar in (0.3, 0.4, SIMILAR, 0.6, 0.8):
        thinning = Thinning(similar)
        print(f"similarity {similar}: {sum(thinning.like(*row) for row in rows)} thinned")
    source = random.Random(0)
    pairs = (source.sample(rows, 2) for _ in range(PAIRS))
    across = [similarity(shingles(a[2]), shingles(b[2])) for a, b in pairs if a[0] == b[0] and a[1] != b[1]]
    print(f"reasons for different labels: {len(across)} pairs, similarity {np.max(across):.2f} at most")
    return 0
