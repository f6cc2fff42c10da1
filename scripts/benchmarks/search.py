"""The rule search against the truth where all rules can be enumerated, and against random, greedy and beam search.

Every problem is one label against the rest: MIRE scenes (OCR fields), MIRE intents (user turns) and BANKING77 10-shot.
Its literals are the conditions with the best rewards alone and their negations. Rewards are those of the training
samples: this measures how well the search finds what it looks for, not how well its rules classify.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks import search_rivals as rivals
from benchmarks.search_rivals import Problem
from benchmarks.sets import DataSet, mire, plain
from kdsl.bitmaps import SampleWeights, pack
from kdsl.fields.table import FieldTable
from kdsl.mining.literals import NEGATION_PRIOR, Literals
from kdsl.mining.proposer import LexicalProposer
from kdsl.mining.reward import Reward
from kdsl.mining.search import SearchSettings
from kdsl.mining.vocabulary import Vocabulary, build_vocabulary
from kdsl.rules.condition import Condition
from kdsl.sample import label_indices

SCENE_FIELDS, INTENT_FIELDS = ("ocr", "ocr.top", "ocr.bottom"), ("last_user", "user")
TOP = 20
"""The miner wants a set of rules: so many that hit different samples are compared."""
BEAM_SHARES = (0.25, 0.5, 0.75)
ENOUGH = 0.99
EXPLORATION = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)
Sets = dict[str, list[Problem]]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench search", description=__doc__)
    parser.add_argument("data", type=Path, help="folder that holds mire and banking77")
    parser.add_argument("--conditions", type=int, default=300, help="conditions a label (default 300)")
    parser.add_argument("--labels", type=int, default=20, help="the first so many labels of BANKING77 (default 20)")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--worlds", type=int, default=40, help="worlds with a planted rule (default 40)")
    options = parser.parse_args(arguments)
    scenes, intents = mire(options.data)
    banking = plain(options.data / "banking77" / "train_10shot.jsonl", "banking77")
    n = options.conditions
    sets = {
        "MIRE scenes": problems(scenes, SCENE_FIELDS, len(scenes.task.labels), n),
        "MIRE intents": problems(intents, INTENT_FIELDS, len(intents.task.labels), n),
        "BANKING77 10-shot": problems(banking, INTENT_FIELDS, options.labels, n),
    }
    console = Console(width=118)
    console.print(truth_table(sets, options.seeds))
    for passes in (10, 40):
        console.print(rival_table(sets, passes, options.seeds))
    console.print(exhaustive_table(sets["MIRE scenes"]))
    planted = {"planted": [decoyed(seed) for seed in range(options.worlds)]}
    for passes in (None, 40):
        console.print(exploration_table(sets | planted, passes))
    return 0


def problems(data: DataSet, fields: Sequence[str], n_labels: int, n_conditions: int) -> list[Problem]:
    """One problem for each of the first `n_labels` labels of the task that have samples."""
    table = FieldTable(data.samples, data.sidecars)
    vocabulary = build_vocabulary(table, fields)
    labels = np.array(label_indices(data.samples, data.task))
    samples, weights = pack(np.ones(len(labels), dtype=bool)), SampleWeights(np.ones(len(labels)))
    proposer = LexicalProposer()
    result = []
    for label in range(n_labels):
        if not (labels == label).any():
            continue
        positives = pack(labels == label)
        reward = Reward(float((labels == label).sum()))
        hits, correct = weights.count(vocabulary.coverage), weights.count(vocabulary.coverage & positives)
        best = np.lexsort((-hits, -reward(correct, hits)))[:n_conditions]
        prior = proposer.prior(data.task, label, vocabulary)[0, best]
        literals = Literals(
            vocabulary,
            np.concatenate([best, best]),
            np.repeat([False, True], len(best)),
            np.concatenate([vocabulary.coverage[best], samples & ~vocabulary.coverage[best]]),
            np.concatenate([prior, NEGATION_PRIOR * prior]),
        )
        result.append(Problem(data.task.label_names[label], literals, positives, samples, weights, reward))
    return result


def truth_table(sets: Sets, seeds: int) -> Table:
    table = _table(
        "(a) Length 2, all rules enumerated; the search gets less than a tenth of the evaluations",
        "labels", "rules each", "evaluations used", "≥ 99 % of the best", "optimum", "mean of the best", "worst",
    )  # fmt: skip
    everything: list[tuple[float, float]] = []
    for name, labels in sets.items():
        outcomes, rules = [], 0
        for problem in labels:
            best, rules = rivals.enumerated(problem, 2)
            for seed in range(seeds):
                search = problem.search(_endless(2), seed)
                found = search.run(rivals.within(rules // 10))
                outcomes.append((found[0].reward / best if found else 0.0, search.evaluations / rules))
        everything += outcomes
        table.add_row(name, *_truth_row(outcomes, len(labels), rules))
    table.add_row("all", *_truth_row(everything, sum(map(len, sets.values())), 0), style="bold")
    return table


def _truth_row(outcomes: list[tuple[float, float]], n_labels: int, rules: int) -> list[str]:
    ratio, used = np.array(outcomes).T
    return [
        str(n_labels),
        f"{rules:,}" if rules else "",
        f"{used.mean():.1%}",
        f"{(ratio >= ENOUGH).mean():.1%}",
        f"{(ratio >= 1 - 1e-9).mean():.1%}",
        f"{ratio.mean():.2%}",
        f"{ratio.min():.1%}",
    ]


def rival_table(sets: Sets, passes: int, seeds: int) -> Table:
    """Rewards as shares of the best that any method found; wins, ties and losses of the search by label and seed."""
    table = _table(
        f"(b) Length 3 at equal evaluations ({passes} passes of all literals), {seeds} seeds: best, mean of {TOP}",
        *(f"{name}{part}" for name in sets for part in (": best", f": top {TOP}")), "search wins", "ties", "loses",
    )  # fmt: skip
    values = {name: _rival_values(labels, passes, seeds) for name, labels in sets.items()}
    methods = list(next(iter(values.values())))
    for method in methods:
        row, against = [], []
        for of_set in values.values():
            top = np.max([of_set[each] for each in methods], axis=(0, 2))  # [n_labels, 2], over methods and seeds
            shares = of_set[method] / top[None].swapaxes(0, 1)
            row += [f"{shares[..., 0].mean():.2%}", f"{shares[..., 1].mean():.2%}"]
            against.append((of_set["search"] - of_set[method])[..., 0].ravel())
        difference = np.concatenate(against)
        counts = (difference > 1e-9).sum(), (abs(difference) <= 1e-9).sum(), (difference < -1e-9).sum()
        table.add_row(method, *row, *(("", "", "") if method == "search" else map(str, counts)))
    return table


def _rival_values(labels: list[Problem], passes: int, seeds: int) -> dict[str, np.ndarray]:
    """Method → reward of the best rule and mean of the best `TOP`: [n_labels, n_seeds, 2]."""
    rows: dict[str, list[list[tuple[float, float]]]] = {}
    for problem in labels:
        budget = passes * len(problem.literals)
        runs = {
            "search": [rivals.tree_search(problem, 3, budget, seed) for seed in range(seeds)],
            "random": [rivals.random_rules(problem, 3, budget, seed) for seed in range(seeds)],
            "greedy": [rivals.greedy(problem, 3, budget, seed) for seed in range(seeds)],
            **{f"beam {share:.0%}": [rivals.beam(problem, 3, budget, share)] * seeds for share in BEAM_SHARES},
        }
        for method, results in runs.items():
            rows.setdefault(method, []).append([_best_and_top(scored) for scored in results])
    return {method: np.array(of_labels) for method, of_labels in rows.items()}


def _best_and_top(scored: list[rivals.Scored]) -> tuple[float, float]:
    rewards = [max(reward, 0.0) for reward, _ in scored[:TOP]]
    return (rewards[0] if rewards else 0.0), sum(rewards) / TOP


def exhaustive_table(labels: list[Problem]) -> Table:
    """Where enumeration is enough: its rules and seconds beside a search that runs until it ends by itself."""
    defaults = SearchSettings()
    table = _table(
        "(c) Enumeration and the search left to end by itself (nothing left that could be among the best rules)",
        "rules", "enumeration, s", "search's passes", "its evaluations", "search, s", "ended", "exact",
    )  # fmt: skip
    few = labels[::4]
    for length, n_plain in ((2, 30), (2, 100), (2, 300), (3, 20), (3, 50), (3, 100)):
        if n_plain > min(problem.n_plain for problem in few):
            continue
        rows = [_exhaustive(problem.smaller(n_plain), length) for problem in few]
        rules, slow, passes, evaluations, fast, ended, exact = np.mean(rows, axis=0).tolist()
        table.add_row(
            f"{n_plain} conditions and negations, length {length}",
            f"{rules:,.0f}", f"{slow:.3f}", f"{passes:.0f}", f"{evaluations:,.0f}", f"{fast:.3f}",
            f"{ended:.0%}", f"{exact:.0%}",
        )  # fmt: skip
    table.caption = (
        f"Means of {len(few)} scene labels, at most {defaults.iterations} passes; ended: nothing was left; "
        "exact: the best rule is the best of all. Enumeration is enough where its seconds are few; the search gives "
        "the same rule there and ends, so that no second way is needed."
    )
    return table


def _exhaustive(problem: Problem, length: int) -> tuple[float, ...]:
    begun = time.perf_counter()
    best, rules = rivals.enumerated(problem, length)
    middle = time.perf_counter()
    search = problem.search(_endless(length, SearchSettings().iterations), 0)
    found = search.run()
    fast = time.perf_counter() - middle
    exact = found[0].reward >= best - 1e-9
    return rules, middle - begun, search.iterations, search.evaluations, fast, search.root.exhausted, exact


def exploration_table(sets: Sets, passes: int | None) -> Table:
    """The search as mining starts it, which ends by its patience, or with `passes` of all literals for each; rewards
    are shares of the best that any of them found, wins and losses of the best rule are against no exploration."""
    end = "ended by patience" if passes is None else f"{passes} passes of all literals"
    table = _table(
        f"(d) The constant of the exploration term, any-lists of {SearchSettings().max_terms} terms, {end}",
        *(f"{name}{part}" for name in sets for part in (": best", f": top {TOP}")), "passes", "wins", "losses",
    )  # fmt: skip
    values = {name: np.array([_explored(problem, passes) for problem in labels]) for name, labels in sets.items()}
    together = np.concatenate(list(values.values()))  # [n_problems, n_constants, 3]
    against = together[:, :, 0] - together[:, :1, 0]
    for index, constant in enumerate(EXPLORATION):
        row = []
        for of_set in values.values():
            shares = of_set[:, index, :2] / of_set[..., :2].max(axis=1)
            row += [f"{share:.1%}" for share in shares.mean(axis=0).tolist()]
        counts = (against[:, index] > 1e-9).sum(), (against[:, index] < -1e-9).sum()
        table.add_row(f"{constant:g}", *row, f"{together[:, index, 2].mean():.0f}", *map(str, counts))
    return table


def _explored(problem: Problem, passes: int | None) -> list[tuple[float, float, float]]:
    """For each of `EXPLORATION` the best reward, the mean of the best `TOP`, and the passes it took."""
    result = []
    for constant in EXPLORATION:
        endless = {} if passes is None else {"patience": 10**9, "iterations": 10**9}
        search = problem.search(SearchSettings(exploration=constant, **endless), 0)
        search.run(None if passes is None else rivals.within(passes * len(problem.literals)))
        scored = [(found.reward, found.bits.tobytes()) for found in search.best()]
        result.append((*_best_and_top(scored), search.evaluations / len(problem.literals)))
    return result


def decoyed(seed: int, n_samples: int = 240, n_positives: int = 24) -> Problem:
    """A planted pair of conditions: each holds on all positives and many others, both together on nothing else; beside
    decoys that hold on more than half of the positives and few others, and look better than either."""
    random = np.random.default_rng(seed)
    positive = np.arange(n_samples) < n_positives
    others = random.permutation(np.arange(n_positives, n_samples))
    rows = [
        positive | np.isin(np.arange(n_samples), half[: int(0.6 * len(half))]) for half in np.array_split(others, 2)
    ]
    for _ in range(15):
        few = random.choice(others, int(random.integers(2, 6)), replace=False)
        rows.append((positive & (random.random(n_samples) < 0.6)) | np.isin(np.arange(n_samples), few))
    rows += [random.random(n_samples) < random.uniform(0.1, 0.5) for _ in range(20)]
    bits, reward = pack(np.array(rows)), Reward(float(n_positives))
    conditions = tuple(Condition(field="user", terms=(f"c{i}",)) for i in range(len(rows)))
    literals = Literals(
        Vocabulary(conditions, bits, n_samples),
        np.arange(len(bits)),
        np.zeros(len(bits), dtype=bool),
        bits,
        np.ones(len(bits)),
    )
    samples, weights = pack(np.ones(n_samples, dtype=bool)), SampleWeights(np.ones(n_samples))
    return Problem(f"planted {seed}", literals, pack(positive), samples, weights, reward)


def _endless(length: int, iterations: int = 10**9) -> SearchSettings:
    return SearchSettings(max_conditions=length, max_terms=1, iterations=iterations, patience=10**9)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", caption_justify="left")
    table.add_column("")
    for column in columns:
        table.add_column(column, justify="right")
    return table
