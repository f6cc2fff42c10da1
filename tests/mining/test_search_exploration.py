"""The exploration term of the selection, where the best rule hides behind better looking ones."""

import re
from pathlib import Path

import numpy as np
import pytest

from kdsl.bitmaps import SampleWeights, pack
from kdsl.mining.literals import Literals
from kdsl.mining.reward import Reward
from kdsl.mining.search import Search, SearchSettings
from kdsl.mining.vocabulary import Vocabulary
from kdsl.rules.condition import Condition

N_SAMPLES, N_POSITIVES, N_DECOYS, N_NOISE = 240, 24, 15, 20
SEEDS = range(10)


def decoyed(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two conditions that hold on all positives, and together on nothing else, but each on many others too; and
    conditions on more than half of the positives and few others, each of which has a larger reward than either."""
    random = np.random.default_rng(seed)
    positive = np.arange(N_SAMPLES) < N_POSITIVES
    others = random.permutation(np.arange(N_POSITIVES, N_SAMPLES))
    rows = []
    for half in np.array_split(others, 2):
        rows.append(positive | np.isin(np.arange(N_SAMPLES), half[: int(0.6 * len(half))]))
    for _ in range(N_DECOYS):
        few = random.choice(others, int(random.integers(2, 6)), replace=False)
        rows.append((positive & (random.random(N_SAMPLES) < 0.6)) | np.isin(np.arange(N_SAMPLES), few))
    for _ in range(N_NOISE):
        rows.append(random.random(N_SAMPLES) < random.uniform(0.1, 0.5))
    return np.array(rows), positive


def finds_the_pair(seed: int, **options: float) -> bool:
    holds, positive = decoyed(seed)
    reward = Reward(float(N_POSITIVES))
    alone = reward((holds & positive).sum(axis=1).astype(float), holds.sum(axis=1).astype(float))
    best_first = np.argsort(-alone, kind="stable")
    bits = pack(holds[best_first])
    assert {0, 1}.isdisjoint(best_first[:N_DECOYS].tolist())
    conditions = tuple(Condition(field="user", terms=(f"词{i}",)) for i in best_first)
    n = len(bits)
    literals = Literals(
        Vocabulary(conditions, bits, N_SAMPLES), np.arange(n), np.zeros(n, dtype=bool), bits, np.ones(n)
    )
    search = Search(
        literals, pack(positive), pack(np.ones(N_SAMPLES, dtype=bool)), SampleWeights(np.ones(N_SAMPLES)), reward,
        SearchSettings(**options), seed,
    )  # fmt: skip
    pair = tuple(sorted((int(np.flatnonzero(best_first == i)[0]),) for i in (0, 1)))
    return search.run()[0].key == pair


def found(**options: float) -> float:
    return sum(finds_the_pair(seed, **options) for seed in SEEDS) / len(SEEDS)


def test_the_best_rule_behind_better_looking_ones_is_found_in_most_worlds():
    assert found() >= 0.6


@pytest.mark.parametrize("exploration", [0.0, 1.0])
def test_without_exploration_or_with_half_of_it_it_is_found_in_none(exploration):
    assert found(exploration=exploration) <= 0.1


def test_the_settings_are_those_of_the_docs():
    page = (Path(__file__).parents[2] / "docs" / "mining.md").read_text("utf-8")
    settings = SearchSettings()
    table = dict(re.findall(r"^\| `(?:mining\.)?(\w+)` \| (\d+) \|", page, re.MULTILINE))
    assert table == {
        name: str(getattr(settings, name))
        for name in ("max_conditions", "iterations", "max_terms", "patience", "pool")
    }
    for sentence, value in {
        r"Q \+ ([\d.]+) · prior · √\(N \+ 1\) / \(1 \+ n\)": settings.exploration,
        r"\s([\d.]+) · √\(N \+ 1\) \+ 1 children are open": settings.widening,
        r"keeps up to (\d+)": settings.max_children,
        r"a softmax, at temperature ([\d.]+)": settings.temperature,
        r"Q = ([\d.]+) · best": settings.max_mix,
        r"`cost` is ([\d.]+) false hits": settings.cost,
        r"beyond the first, and ([\d.]+) for a negation:": settings.cost * settings.negation_cost,
    }.items():
        assert [float(each) for each in re.findall(sentence, page)] == [value], sentence
