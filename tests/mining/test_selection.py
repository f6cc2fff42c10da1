"""Which of many rules of a label are kept, by what is known of their reliability."""

from dataclasses import replace

import numpy as np
import pytest

from kdsl.mining.archive import mined_rules
from kdsl.mining.miner import ALL_SAMPLES
from kdsl.mining.run import mine_task
from kdsl.mining.selection import COVERED_DISCOUNT, UNSEEN, select_reliable


def covers(*places, n=6):
    return [np.isin(np.arange(n), each) for each in places]


def test_the_most_reliable_come_first_and_no_more_than_wanted():
    assert select_reliable(np.array([0.5, 0.9, 0.7]), covers([0], [1], [2]), 2) == [1, 2]
    assert select_reliable(np.array([0.5, 0.9]), covers([0], [1]), 5) == [1, 0]
    assert select_reliable(np.zeros(0), [], 3) == []


def test_what_chosen_rules_cover_counts_less():
    just_less = 0.9 * COVERED_DISCOUNT + 0.01
    assert select_reliable(np.array([0.9, 0.9, just_less]), covers([0, 1], [0, 1], [2]), 3) == [0, 2, 1]
    assert select_reliable(np.array([0.9, 0.9, just_less - 0.02]), covers([0, 1], [0, 1], [2]), 3) == [0, 1, 2]
    half = 0.9 * (1 + COVERED_DISCOUNT) / 2
    assert select_reliable(np.array([0.9, 0.9, half - 0.01]), covers([0, 1], [1, 2], [3]), 3) == [0, 1, 2]


def test_a_rule_that_no_positive_speaks_for_counts_for_its_words_alone():
    assert select_reliable(np.array([0.8, 0.8 * UNSEEN + 0.01]), covers([], [0]), 2) == [1, 0]
    assert select_reliable(np.array([0.8, 0.8 * UNSEEN - 0.01]), covers([], [0]), 2) == [0, 1]


class Judge:
    """Finds sense in what holds one term, and knows nothing else."""

    def __init__(self, term: str, choice: int) -> None:
        self.term, self.choice = term, choice
        self.asked = 0

    def judge(self, task, rules):
        self.asked += len(rules)
        return [0.9 if any(self.term in c.terms for c in when) else 0.1 for _, when in rules]


@pytest.mark.parametrize("choice", [1, 4])
def test_a_validator_with_a_choice_is_shown_more_rules_than_are_kept(shop, settings, choice):
    one = replace(settings, rules_per_label=2)
    judge = Judge("亮度", choice)
    mined = mine_task(*shop, one, seed=0, validator=judge, workers=0)
    plain = mine_task(*shop, one, seed=0, workers=0)
    counts = np.bincount([rule.label for rule in mined.rules])
    if choice == 1:
        assert mined.rules == plain.rules
    else:
        assert counts.max() == 2
        assert all(len([r for r in part.rules if r.label == 0]) <= 2 for part in mined.held_out)
        assert judge.asked > len(plain.rules) + sum(len(part.rules) for part in plain.held_out)
        assert mined_rules(mined, "", 0)[0]
    assert {part.fold for part in mined.held_out} == {0, 1, 2} and ALL_SAMPLES == -1
