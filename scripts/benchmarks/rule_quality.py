"""What people would say about mined rules: how many they would sign, how many are copies, what the good ones cover.

Mined as in a project of `kdsl init` and judged on samples that mining never saw: test samples where a set has some,
else one of five folds in turn. A rule is acceptable that is right on at least 80 % of the kept samples it hits; a near
copy hits nearly the same samples (Jaccard over 0.7, training and kept samples together) as a better rule of its label.
With --unlabelled mining is given half of those samples without their labels, and judged on the other half.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.kept_back import Split, splits
from benchmarks.sets import DataSet, mire, plain
from kdsl.arbiter.evidence import overlap, rule_labels
from kdsl.embeddings.sentence_vectors import SentenceVectors
from kdsl.embeddings.use import UniversalSentenceEncoder
from kdsl.fields.table import FieldTable
from kdsl.mining.archive import mined_rules
from kdsl.project.mining import search
from kdsl.project.small_parts import meaning_parts
from kdsl.project.task import TaskProject
from kdsl.rules.engine import Engine
from kdsl.rules.rule import Rule
from kdsl.sample import label_indices

ACCEPTABLE = 0.8
COPY = 0.7
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Judged:
    """One mining run, judged on kept samples."""

    rules: int
    a_label: float
    """Median over the labels with a training sample."""
    hit: int
    """Rules that hit a kept sample."""
    acceptable: int
    copies: int
    characters: int
    """Rules with a term of one character."""
    distinct: int
    """Acceptable ones that are no copies."""
    covered: float
    """Share of the kept samples that an acceptable rule hits."""
    precision: float
    """Of all hits on kept samples."""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench rule_quality", description=__doc__)
    parser.add_argument("data", type=Path, help="folder that holds mire, enrico, hint3_sofmattress and banking77")
    parser.add_argument("--seeds", type=int, default=1, help="repetitions with other folds (default 1)")
    parser.add_argument("--sets", nargs="*", default=[], choices=NAMES, help="only these")
    parser.add_argument("--unlabelled", action="store_true", help="half of the kept samples are there, unlabelled")
    options = parser.parse_args(arguments)
    vectors = SentenceVectors(UniversalSentenceEncoder())
    table = Table(title="Mined rules on samples that mining never saw")
    for column in COLUMNS:
        table.add_column(column, justify="right" if column else "left")
    for data, test in _sets(options.data, options.sets):
        known = replace(data, sidecars=replace(data.sidecars, vectors=vectors))
        judged = [
            _judged(*_given(split, seed, options.unlabelled), seed)
            for seed in range(options.seeds)
            for split in splits(known, test, seed)
        ]
        table.add_row(data.task.name, *_figures(judged))
    Console(width=120).print(table)
    return 0


NAMES = ("mire_scene", "mire_intent", "enrico", "hint3", "banking77")
COLUMNS = (
    "", "rules", "a label", "acceptable", "near copies", "one character", "acceptable, distinct", "cover", "precision",
)  # fmt: skip


def _given(split: Split, seed: int, half: bool) -> tuple[Split, FieldTable]:
    """The split and no unlabelled sample; or with `half` of its kept samples, and the others without labels."""
    if not half:
        return split, FieldTable([], split.test.sidecars)
    order = np.random.default_rng(seed).permutation(len(split.test))
    unlabelled, judged = (split.test.select(np.sort(part)) for part in np.array_split(order, 2))
    samples = [replace(row.sample, label=None) for row in unlabelled.rows]
    return replace(split, test=judged), FieldTable(samples, split.test.sidecars)


def _sets(folder: Path, wanted: Sequence[str]) -> list[tuple[DataSet, Path | None]]:
    files = {"enrico": "enrico/train", "hint3": "hint3_sofmattress/train", "banking77": "banking77/train_10shot"}
    found: list[tuple[DataSet, Path | None]] = []
    if not wanted or {"mire_scene", "mire_intent"} & {*wanted}:
        found += [(data, None) for data in mire(folder) if not wanted or data.task.name in wanted]
    for name, file in files.items():
        if not wanted or name in wanted:
            path = folder / f"{file}.jsonl"
            found.append((plain(path, name), path.with_name("test.jsonl")))
    return found


def _judged(split: Split, unlabelled: FieldTable, seed: int) -> Judged:
    begun = time.process_time()
    task = split.data.task
    labels = np.array(label_indices([row.sample for row in split.train.rows], task))
    own = TaskProject(task, split.train, labels, seed=seed, small=meaning_parts, unlabelled=lambda: unlabelled)
    mined = search(own, own.opinion())
    rules, statistics = mined_rules(mined, "", seed)
    engine = Engine(rules)
    kept = engine.matrix(split.test)
    truth = np.array(label_indices([row.sample for row in split.test.rows], task))
    of = rule_labels(task, rules)
    reliability = np.array([entry.reliability or 0.0 for entry in statistics])
    copies = near_copies(of, np.concatenate([engine.matrix(split.train), kept]), reliability)
    hits, correct = kept.sum(axis=0), (kept & (truth[:, None] == of)).sum(axis=0)
    acceptable = (hits > 0) & (correct >= ACCEPTABLE * hits)
    a_label = np.bincount(of, minlength=len(task.labels))[np.unique(labels)]
    print(f"  {task.name}, seed {seed}: {time.process_time() - begun:.0f} s of this process", flush=True)
    return Judged(
        rules=len(rules),
        a_label=float(np.median(a_label)),
        hit=int((hits > 0).sum()),
        acceptable=int(acceptable.sum()),
        copies=int(copies.sum()),
        characters=sum(_has_character(rule) for rule in rules),
        distinct=int((acceptable & ~copies).sum()),
        covered=float(kept[:, acceptable].any(axis=1).mean()),
        precision=float(correct.sum() / max(hits.sum(), 1)),
    )


def near_copies(labels: NDArray[np.int64], hits: Flags, reliability: NDArray[np.float64]) -> Flags:
    """Which rules hit nearly the samples of a more reliable one of their label that is no copy itself: [n_rules].

    `hits` is [n_samples, n_rules].
    """
    shared = overlap(labels, hits)
    copies = np.zeros(len(labels), dtype=bool)
    before: list[int] = []
    for rule in np.argsort(-reliability, kind="stable").tolist():
        copies[rule] = bool((shared[rule, before] > COPY).any())
        if not copies[rule]:
            before.append(rule)
    return copies


def _has_character(rule: Rule) -> bool:
    return any(len(term) == 1 for condition in rule.conditions for term in condition.normalised_words)


def _figures(judged: list[Judged]) -> list[str]:
    """Means over the runs; shares are of the rules of all runs together."""
    total = {name: sum(getattr(each, name) for each in judged) for name in ("rules", "hit", "acceptable", "copies")}
    characters = sum(each.characters for each in judged)
    return [
        f"{total['rules'] / len(judged):.0f}",
        f"{np.median([each.a_label for each in judged]):.0f}",
        f"{total['acceptable'] / max(total['hit'], 1):.0%}",
        f"{total['copies'] / max(total['rules'], 1):.0%}",
        f"{characters / max(total['rules'], 1):.0%}",
        f"{np.mean([each.distinct for each in judged]):.0f}",
        f"{np.mean([each.covered for each in judged]):.0%}",
        f"{np.mean([each.precision for each in judged]):.0%}",
    ]
