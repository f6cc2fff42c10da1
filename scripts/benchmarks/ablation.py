"""What augmentation, OCR cleaning, retrieval and rules bring the embedded classifier on MIRE, cross-validated."""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from rich.console import Console
from rich.table import Table

from kdsl.config import load_config
from kdsl.project.ablation import Ablation, ablate_project, parse_steps
from kdsl.project.project import Project


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench ablation", description=__doc__)
    parser.add_argument("data", type=Path, help="folder that holds mire/train.json, mire/ocr.jsonl and mire/images")
    parser.add_argument("--steps", default="augment,ocr,retrieval,rules", help="default %(default)s")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=1, help="repetitions with other folds (default 1)")
    parser.add_argument("settings", nargs="*", metavar="KEY=VALUE", help="changes to the project, as for kdsl")
    options = parser.parse_intermixed_args(arguments)
    found = [_measured(options, seed) for seed in range(options.seeds)]
    _show(found)
    return 0


def _measured(options: argparse.Namespace, seed: int) -> Ablation:
    mire = options.data.absolute() / "mire"
    with TemporaryDirectory() as folder:
        file = Path(folder) / "kdsl.yaml"
        file.write_text(
            f"tasks: [mire_scene, mire_intent]\nseed: {seed}\ndata:\n  train: {mire / 'train.json'}\n"
            f"  images: {mire / 'images'}\n  ocr: {mire / 'ocr.jsonl'}\n",
            encoding="utf-8",
        )
        project = Project(load_config(file, options.settings))
        return ablate_project(project, parse_steps(options.steps), options.folds)


def _show(found: list[Ablation]) -> None:
    first = found[0]
    title = (
        f"{first.folds}-fold, {len(found)} seeds, {first.samples} samples, weighted F1 in points; mean over the seeds"
    )
    table = Table(title=title, title_justify="left")
    for column in ("steps", *first.tasks, "pooled", "gain", "95 % interval, mean of seeds", "gain of every seed"):
        table.add_column(column, justify="left" if column == "steps" else "right")
    for number, row in enumerate(first.rows):
        of_seeds = [ablation.rows[number] for ablation in found]
        f1 = 100 * np.mean([one.f1 for one in of_seeds], axis=0)
        gains = [100 * one.gain for one in of_seeds]
        low = 100 * np.mean([one.gain_interval.low for one in of_seeds])
        high = 100 * np.mean([one.gain_interval.high for one in of_seeds])
        table.add_row(
            " + ".join(row.steps) or "none",
            *(f"{value:.1f}" for value in f1),
            f"{100 * np.mean([one.pooled for one in of_seeds]):.1f}",
            *(
                (f"{np.mean(gains):+.1f}", f"{low:+.1f} to {high:+.1f}", " ".join(f"{gain:+.1f}" for gain in gains))
                if row.steps
                else ("", "", "")
            ),
        )
    Console(width=130).print(table)
    for step, why in first.left_out.items():
        print(f"{step}: n/a, {why}")
