"""What a reviewed rule is worth: F1 after so many decisions of a perfect reviewer, in the order of the queue, beside
random order and beside labelling as many samples instead.

The reviewer knows the labels of a pool of other samples: a rule that hits some of them and is right at least four
times in five is accepted, any other rejected. The system has the pool's samples without their labels. BANKING77:
learned from 5 samples a label, with its training samples as pool, measured on its test samples; the MIRE tasks: a
third each. Rules are mined once; with more labels they are mined again. `scripts/bench reviewing DATA`.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.sets import DataSet, mire, plain
from kdsl.arbiter.trained import TrainedTask
from kdsl.bitmaps import pack
from kdsl.data.duplicates import dialogue_words
from kdsl.data.splits import stratified_folds
from kdsl.embeddings.load import load_encoder
from kdsl.embeddings.sentence_vectors import SentenceVectors
from kdsl.evaluate.metrics import Outcome, Scores, scores
from kdsl.fields.table import FieldTable
from kdsl.mining.update import MinedRules
from kdsl.project.fitting import fit, mine_in_memory
from kdsl.project.task import TaskProject
from kdsl.review.value_of_looking import Precision, value_of_looking
from kdsl.rules.engine import Engine
from kdsl.rules.rule import Review, Rule
from kdsl.sample import Sample, label_indices

RIGHT = 0.8
"""What the reviewer accepts from."""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench reviewing", description=__doc__)
    parser.add_argument("data", type=Path, help="folder that holds mire and banking77")
    parser.add_argument("--decisions", default="25,50,100,300", help="after which to measure (default 25,50,100,300)")
    parser.add_argument("--sets", default="banking77,mire_scene,mire_intent", help="only these (default: all)")
    parser.add_argument("--seed", type=int, default=0, help="of thirds, random order and learning (default 0)")
    options = parser.parse_args(arguments)
    decisions = [int(number) for number in options.decisions.split(",")]
    vectors = SentenceVectors(load_encoder("use"))
    for world in _worlds(options.data, vectors, options.sets.split(","), options.seed):
        _measure(world, decisions)
    return 0


@dataclass(frozen=True)
class World:
    """What is learned from, what the reviewer knows besides, and what results are measured on."""

    learned: DataSet
    pool: list[Sample]
    test: list[Sample]
    vectors: SentenceVectors
    seed: int

    @cached_property
    def own(self) -> TaskProject:
        """The task as a new project has it, the pool being its unlabelled samples."""
        own = self.learned.learned_as_new_project(self.seed, self.vectors)
        known = {_content(sample) for sample in self.learned.samples}
        unlabelled = [replace(sample, label=None) for sample in self.pool if _content(sample) not in known]
        table = FieldTable(unlabelled, own.table.sidecars)
        return replace(own, unlabelled=lambda: table)

    @cached_property
    def mined(self) -> MinedRules:
        return mine_in_memory(self.own)

    @cached_property
    def right(self) -> NDArray[np.bool_]:
        """Which of the mined rules the reviewer accepts: [n_rules]."""
        labels = np.array(label_indices(self.pool, self.own.task), dtype=np.int64)
        hits = Engine(self.mined.rules).matrix(FieldTable(self.pool, self.own.table.sidecars))
        correct = (hits & (labels[:, None] == self.speaks_for)).sum(axis=0)
        return (correct > 0) & (correct >= RIGHT * hits.sum(axis=0))

    @cached_property
    def speaks_for(self) -> NDArray[np.int64]:
        names = self.own.task.label_names
        return np.array([names.index(rule.label) for rule in self.mined.rules], dtype=np.int64)

    def decided(self, looked_at: Sequence[int]) -> MinedRules:
        """The rules after the reviewer looked at those at these positions."""
        rules = list(self.mined.rules)
        for i in looked_at:
            rules[i] = _decided(rules[i], bool(self.right[i]))
        return replace(self.mined, rules=tuple(rules))

    def with_labels(self, count: int) -> TaskProject:
        """The task with so many samples of the pool labelled, at random."""
        chosen = np.random.default_rng(self.seed).permutation(len(self.pool))[:count]
        more = replace(self.learned, samples=[*self.learned.samples, *(self.pool[i] for i in chosen)])
        return more.learned_as_new_project(self.seed, self.vectors)

    def measured(self, trained: TrainedTask) -> Scores:
        """Of model and rules together, on the test samples."""
        truth = np.array(label_indices(self.test, self.own.task), dtype=np.int64)
        found = trained.predict(FieldTable(self.test, self.own.table.sidecars))[2]
        return scores(Outcome(truth, found.argmax(axis=1), found))

    def queue(self, untaught: TrainedTask, length: int) -> list[int]:
        """The first rules that the review page shows, one decision after the other; nobody trains in between."""
        own, rules, statistics = self.own, self.mined.rules, self.mined.statistics
        unlabelled = own.unlabelled()
        assert untaught.trained_on is not None
        probabilities = np.concatenate(
            [untaught.trained_on.probabilities, untaught.classifier.predict(unlabelled).probabilities]
        )
        truth = np.concatenate([own.labels, np.full(len(unlabelled), -1)])
        hits = pack(Engine(rules).matrix(own.table.joined(unlabelled)).T)
        entries = [statistics[rule.id, rule.when_hash] for rule in rules]
        held_out = [(0, 0) if e.held_out is None else (e.held_out.correct, e.held_out.hits) for e in entries]
        right, tried = np.array(held_out, dtype=np.int64).T
        precision = Precision.of(np.array([e.reliability or 0.0 for e in entries]), right, tried)
        precision = precision.heard(hits, self.speaks_for, probabilities, truth)
        looked_at: list[int] = []
        open_, accepted = np.ones(len(rules), dtype=bool), np.zeros(len(rules), dtype=bool)
        for _ in range(min(length, len(rules))):
            value = value_of_looking(hits, self.speaks_for, precision, probabilities, truth, accepted)
            best = int(np.where(open_, value, -1.0).argmax())
            open_[best], accepted[best] = False, self.right[best]
            looked_at.append(best)
        return looked_at


def _decided(rule: Rule, accepted: bool) -> Rule:
    review = Review(by="bench", at="2026-11-30T09:00", of=rule.when_hash)
    return rule.model_copy(update={"status": "accepted" if accepted else "rejected", "review": review})


def _content(sample: Sample) -> tuple[str, tuple[str, ...]]:
    return dialogue_words(sample), sample.images


def _measure(world: World, decisions: Sequence[int]) -> None:
    """Print the table of one set, and each line once it is known."""
    name, most = world.own.task.name, max(decisions)
    found: dict[tuple[str, int], tuple[Scores, str]] = {}

    def add(way: str, count: int, trained: TrainedTask) -> None:
        told = "" if trained.taught is None else trained.taught.told(name)
        found[way, count] = world.measured(trained), told
        print(f"  {name}, {way} {count}: F1 {100 * found[way, count][0].weighted_f1:.1f} {told}", flush=True)

    untaught = fit(world.own, world.mined)
    add("none", 0, untaught)
    orders: dict[str, Callable[[], list[int]]] = {
        "queue": lambda: world.queue(untaught, most),
        "random": lambda: np.random.default_rng(world.seed).permutation(len(world.mined.rules)).tolist(),
    }
    for way, order in orders.items():
        looked_at = order()
        for count in decisions:
            add(way, count, fit(world.own, world.decided(looked_at[:count])))
    for count in decisions:
        add("labels", count, fit(world.with_labels(count)))
    before = found["none", 0][0]
    title = (
        f"{name}: {len(world.learned.samples)} labelled samples, {len(world.mined.rules)} mined rules, of which the "
        f"reviewer accepts {int(world.right.sum())}; F1 {100 * before.weighted_f1:.1f} and accuracy "
        f"{100 * before.accuracy:.1f} of both before any decision; then, and what was gained"
    )
    table = Table(title=title, title_justify="left")
    for column in ("decisions", *(f"{way}: {of}" for way in (*orders, "labels") for of in ("F1", "accuracy"))):
        table.add_column(column, justify="right")
    for count in decisions:
        cells = []
        for way in (*orders, "labels"):
            now = found[way, count][0]
            for value, old in ((now.weighted_f1, before.weighted_f1), (now.accuracy, before.accuracy)):
                cells.append(f"{100 * value:.1f} ({100 * (value - old):+.1f})")
        table.add_row(str(count), *cells)
    Console(width=120).print(table)


def _worlds(folder: Path, vectors: SentenceVectors, wanted: Sequence[str], seed: int) -> Iterator[World]:
    if "banking77" in wanted:
        learned, pool, test = (
            plain(folder / "banking77" / f"{name}.jsonl", "banking77") for name in ("train_5shot", "train", "test")
        )
        yield World(learned, pool.samples, test.samples, vectors, seed)
    for data in mire(folder):
        if data.task.name in wanted:
            thirds = stratified_folds(np.array(label_indices(data.samples, data.task)), 3, seed)
            learned, pool, test = ([data.samples[i] for i in np.flatnonzero(thirds == third)] for third in range(3))
            yield World(replace(data, samples=learned), pool, test, vectors, seed)
