"""The search finds rules that were planted in noise."""

import random

import numpy as np
import pytest
from planted import noise, table_of

from kdsl.bitmaps import count
from kdsl.mining.miner import mine_label, start_search
from kdsl.mining.problem import ALL_SAMPLES
from kdsl.mining.run import prepare
from kdsl.sample import Label, Task


def mined(task, settings, table, labels):
    """Rules of the first label: {in words: (hits, correct)}."""
    problem = prepare(task, table, np.array(labels), settings, seed=0)
    everyone = problem.members(ALL_SAMPLES)
    result = {}
    for rule in mine_label(problem, ALL_SAMPLES, 0, settings):
        shown = problem.shown(rule, everyone)
        conditions = sorted(map(str, rule.written(problem.vocabulary)))
        result[" and ".join(conditions)] = (shown.hits, shown.correct)
    return result


def sentences(groups, seed=0):
    """Samples of (label, words that occur, how many) groups, shuffled; each word stands in noise of its own."""
    filler = noise(seed)
    rows = [
        (label, "，".join(filler() + word for word in words) or filler())
        for label, words, n in groups
        for _ in range(n)
    ]
    random.Random(seed).shuffle(rows)
    return table_of([text for _, text in rows]), [label for label, _ in rows]


def test_a_single_term(task, settings):
    table, labels = sentences([(0, ["亮度"], 12), (1, [], 30)])
    assert mined(task, settings, table, labels)["text has 亮度"] == (12, 12)


def test_a_conjunction(task, settings):
    table, labels = sentences([(0, ["亮度", "遥控"], 12), (1, ["亮度"], 15), (1, ["遥控"], 15), (1, [], 10)])
    assert mined(task, settings, table, labels)["text has 亮度 and text has 遥控"] == (12, 12)


def test_a_negation(task, settings):
    table, labels = sentences([(0, ["亮度"], 14), (1, ["亮度", "手机"], 14), (1, [], 20)])
    found = mined(task, settings, table, labels)
    assert found["not text has 手机 and text has 亮度"] == (14, 14)


def test_one_of_two_terms(task, settings):
    table, labels = sentences([(0, ["亮度"], 8), (0, ["遥控"], 8), (1, [], 40)])
    found = mined(task, settings, table, labels)
    assert (16, 16) in [found.get("text has 亮度|遥控"), found.get("text has 遥控|亮度")]


def test_what_speaks_for_another_label_is_negated_first(task, settings):
    table, labels = sentences(
        [(0, ["亮度"], 12), (1, ["亮度", "手机"], 9), (1, ["今天"], 9), (2, ["今天"], 9), (2, [], 9)]
    )
    three = Task("t", (*task.labels, Label("丙")))
    problem = prepare(three, table, np.array(labels), settings, seed=0)
    literals = start_search(problem, ALL_SAMPLES, 0, settings).literals
    negated = [str(problem.vocabulary.conditions[i]) for i in literals.condition[literals.negated].tolist()]
    assert negated.index("text has 手机") < negated.index("text has 今天")


def test_what_a_label_is_called_counts_as_a_sample_of_it(settings):
    table, labels = sentences([(0, ["亮度"], 2), (0, ["遥控"], 2), (1, [], 40)])
    problem = prepare(Task("t", (Label("亮度"), Label("乙"))), table, np.array(labels), settings, seed=0)
    search = start_search(problem, ALL_SAMPLES, 0, settings)
    counts = {str(problem.vocabulary.conditions[i]): count(search.literals.bits[k] & search.positives)
              for k, i in enumerate(search.literals.condition.tolist()) if not search.literals.negated[k]}  # fmt: skip
    assert (counts["text has 亮度"], counts["text has 遥控"]) == (3, 2)


def test_a_number(task, settings):
    filler = noise(0)
    aspects = [2.1 if i % 3 == 0 else 0.6 + 0.01 * i for i in range(45)]
    table = table_of([filler() for _ in aspects], aspects)
    found = mined(task, settings, table, [0 if aspect > 2 else 1 for aspect in aspects])
    assert any(words.startswith("image.aspect >") and counts == (15, 15) for words, counts in found.items())


def test_conditions_that_do_not_help_are_pruned(task, settings):
    table, labels = sentences([(0, ["亮度", "遥控"], 12), (1, ["遥控"], 12), (1, [], 20)])
    found = mined(task, settings, table, labels)
    assert "text has 亮度" in found
    assert not [words for words in found if "亮度" in words and "遥控" in words]


@pytest.mark.parametrize("seed", [0, 7])
def test_the_same_seed_gives_the_same_rules(task, settings, seed):
    table, labels = sentences([(0, ["亮度"], 8), (0, ["遥控"], 8), (1, ["手机"], 9), (1, [], 20)], seed)
    assert mined(task, settings, table, labels) == mined(task, settings, table, labels)
