"""What judgements are worth inside the searches is learned on held-out samples."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from kdsl.mining.miner import MiningSettings
from kdsl.mining.problem import MiningProblem
from kdsl.mining.proposer import Judged
from kdsl.mining.run import prepare
from kdsl.mining.sense import fit_sense
from kdsl.sample import Task
from kdsl.vlm.usage import CallBudget

OWN = {0: ("亮度", "变暗", "灯光"), 1: ("棉麻", "面料", "材质"), 2: ("包邮", "谢谢", "在吗")}


@pytest.fixture
def problem(shop) -> MiningProblem:
    task, table, labels = shop
    return prepare(task, table, labels, MiningSettings(folds=3), 0)


@dataclass
class Judge:
    """Says `right` of a rule with a word of its label and `wrong` of others, or anything."""

    right: float = 0.9
    wrong: float = 0.1
    noise: bool = False
    choice: int = 36

    def judge(self, task: Task, rules: Sequence[Judged]) -> list[float | None]:
        if self.noise:
            return np.random.default_rng(0).choice([0.1, 0.9], len(rules)).tolist()
        own = [any(term in OWN[label] for c in conditions for term in c.terms) for label, conditions in rules]
        return [self.right if each else self.wrong for each in own]

    def within(self, budget: CallBudget) -> "Judge":
        return self


def test_a_judge_that_tells_has_weight_in_every_part(problem):
    sense = fit_sense(problem, Judge(), 1.28)
    assert len(sense.weights) == 4
    assert all(weight > 0.1 for weight, _ in sense.weights)


def test_a_judge_that_is_wrong_or_says_the_same_of_all_has_none(problem):
    for judge in (Judge(right=0.1, wrong=0.9), Judge(right=0.5, wrong=0.5)):
        assert all(weight == 0 for weight, _ in fit_sense(problem, judge, 1.28).weights)


def test_a_judge_that_guesses_has_next_to_none(problem):
    telling, guessing = (fit_sense(problem, judge, 1.28).weights for judge in (Judge(), Judge(noise=True)))
    assert max(weight for weight, _ in guessing) < 0.25 * min(weight for weight, _ in telling)


def test_what_was_judged_is_not_asked_again(problem):
    sense = fit_sense(problem, Judge(choice=12), 1.28)
    assert 0 < len(sense.judged) <= 3 * 3 * 6
    assert set(sense.judged.values()) <= {0.9, 0.1}
