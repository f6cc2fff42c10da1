"""Cross-validation on MIRE: the linear classifier alone, the rules alone, and both together, on scenes and intents."""

import argparse
import resource
import sys
from pathlib import Path

from benchmarks.sets import figures, mean, mire, show, validated
from kdsl.embeddings.sentence_vectors import SentenceVectors
from kdsl.embeddings.use import UniversalSentenceEncoder


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench mire", description=__doc__)
    parser.add_argument("data", type=Path, help="folder that holds mire/train.json and mire/ocr.jsonl")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=1, help="repetitions with other folds (default 1)")
    parser.add_argument("--captions", action="store_true", help="mine and classify with recorded captions as well")
    parser.add_argument("--new", action="store_true", help="learn as in a project of `kdsl init`, with its encoder")
    options = parser.parse_args(arguments)
    vectors = SentenceVectors(UniversalSentenceEncoder()) if options.new else None
    rows = []
    means = []
    for data in mire(options.data, options.captions):
        results = [
            figures(validated(data, options.folds, seed, vectors=vectors), seed) for seed in range(options.seeds)
        ]
        rows += [(f"{data.task.name}, seed {seed}", row) for seed, row in enumerate(results)]
        means.append(mean(results))
        rows.append((f"{data.task.name}, mean", means[-1]))
    show(f"MIRE, {options.folds}-fold, weighted F1 in points; everything inside the folds", rows)
    print(f"Mean of the two tasks: model {mean(means)['model']:.1f}, both {mean(means)['both']:.1f}, "
          f"gain {mean(means)['gain']:+.1f}")  # fmt: skip
    print(f"Peak memory: main process {peak(resource.RUSAGE_SELF):.0f} MB, "
          f"largest of its mining processes {peak(resource.RUSAGE_CHILDREN):.0f} MB")  # fmt: skip
    return 0


def peak(who: int) -> float:
    """Largest resident memory so far, in megabytes: of this process, or of the largest child that has ended."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(who).ru_maxrss * unit / 1e6
