"""A recorded zero-shot model on MIRE scenes: its answers calibrated, and merged with rules, cross-validated."""

import argparse
from pathlib import Path

from benchmarks.sets import DataSet, figures, mean, mire, show, validated
from kdsl.models.recorded import RecordedTrainer, read_recorded


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench recorded", description=__doc__)
    parser.add_argument("data", type=Path, help="folder that holds mire/, with zero_shot.jsonl in it")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=1, help="repetitions with other folds (default 1)")
    options = parser.parse_args(arguments)
    scenes = mire(options.data)[0]
    recorded = read_recorded(options.data / "mire" / "zero_shot.jsonl", scenes.task)
    covered = [sample for sample in scenes.samples if sample.id in recorded.answers]
    names = scenes.task.label_names
    right = sum(names[recorded.answers[sample.id]] == sample.label for sample in covered)
    share = right / len(covered)
    print(f"{len(covered)} of {len(scenes.samples)} scenes have a recorded answer, {share:.1%} of them right")
    data = DataSet(scenes.task, covered, scenes.sidecars)
    results = [
        figures(validated(data, options.folds, seed, RecordedTrainer(recorded)), seed) for seed in range(options.seeds)
    ]
    rows = [(f"seed {seed}", row) for seed, row in enumerate(results)]
    show("Recorded model after calibration, weighted F1 in points", [*rows, ("mean", mean(results))])
    return 0
