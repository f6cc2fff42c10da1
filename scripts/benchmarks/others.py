"""Does the arbiter do harm elsewhere? Cross-validation on enrico, banking77 5-shot and hint3_sofmattress."""

import argparse
from pathlib import Path

from benchmarks.sets import figures, plain, show, validated
from kdsl.embeddings.sentence_vectors import SentenceVectors
from kdsl.embeddings.use import UniversalSentenceEncoder


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench others", description=__doc__)
    parser.add_argument("data", type=Path, help="folder that holds enrico/, banking77/ and hint3_sofmattress/")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--new", action="store_true", help="learn as in a project of `kdsl init`, with its encoder")
    options = parser.parse_args(arguments)
    vectors = SentenceVectors(UniversalSentenceEncoder()) if options.new else None
    sets = {
        "enrico": options.data / "enrico" / "train.jsonl",
        "banking77 5-shot": options.data / "banking77" / "train_5shot.jsonl",
        "hint3_sofmattress": options.data / "hint3_sofmattress" / "train.jsonl",
    }
    rows = []
    for name, file in sets.items():
        rows.append(
            (name, figures(validated(plain(file, name), options.folds, options.seed, vectors=vectors), options.seed))
        )
    show(f"{options.folds}-fold on the training parts, weighted F1 in points", rows)
    return 0
