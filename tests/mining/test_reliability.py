"""The reliability map: its features in numbers, and its fit beside a slow one."""

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from kdsl.mining.reliability import FEATURES, Reliability, Shown, fit_reliability, log_odds


def shown(hits: int = 8, correct: int = 5, **more: float) -> Shown:
    rest = {"positives": 9, "conditions": 1, "negations": 0, "further_terms": 0, "described": 0.0} | more
    return Shown(hits=hits, correct=correct, **rest)


@pytest.mark.parametrize(
    ("probability", "odds"),
    [(0.5, 0), (0.8, 4), (0.2, 1 / 4), (0, 1 / 999), (0.001, 1 / 999), (1, 999), (0.9995, 999)],
)
def test_log_odds_of_probabilities_near_0_and_1_are_bounded(probability, odds):
    assert float(log_odds(probability)) == pytest.approx(np.log(odds) if odds else 0.0)


def test_the_features_in_numbers():
    rule = shown(8, 5, conditions=3, negations=1, further_terms=2, meanings=2, described=0.25, sense=0.8, expected=0.9)
    assert dict(zip(FEATURES, rule.features(), strict=True)) == {
        "log odds of correct to false hits": pytest.approx(np.log(5.5 / 3.5)),
        "log hits": pytest.approx(np.log(8.5)),
        "conditions": 2,
        "negations": 1,
        "further terms": 2,
        "meanings": 2,
        "in the label's description": 0.25,
        "makes sense": pytest.approx(np.log(4)),
        "expected on unlabelled samples": pytest.approx(np.log(9)),
    }


def test_a_rule_that_nobody_judged_has_the_sense_of_an_average_one():
    assert shown().features()[-2] == 0
    assert shown().features(1.5)[-2] == 1.5
    assert shown(sense=0.5).features(1.5)[-2] == 0


def test_a_rule_that_hits_no_unlabelled_sample_is_taken_for_an_average_one():
    assert shown().features()[-1] == 0
    assert shown().features(0.0, 1.5)[-1] == 1.5
    assert shown(expected=0.5).features(0.0, 1.5)[-1] == 0


def test_an_estimate_is_the_logistic_function_of_the_features():
    reliability = Reliability(-1.0, (0.5, 0.0, 0.25, 0.0, 0.0, 0.0, 0.0, 2.0, 3.0), unasked=0.75, unheard=0.5)
    assert reliability.estimate([shown(8, 8, conditions=2)]) < reliability.estimate([shown(9, 9, conditions=2)])
    total = -1 + 0.5 * np.log(8.5 / 0.5) + 0.25 + 2 * 0.75 + 3 * 0.5
    assert reliability.estimate([shown(8, 8, conditions=2)]) == pytest.approx([1 / (1 + np.exp(-total))])
    assert Reliability(0.0, (0.0,) * 8 + (1.0,)).estimate([shown()]) == pytest.approx([0.5])


def test_no_rule_is_promised_more_than_it_showed():
    certain = Reliability(5.0, (0.0,) * len(FEATURES))
    sure = 1 / (1 + np.exp(-5))
    estimates = certain.estimate([shown(8, 5), shown(10, 1), shown(2, 2), shown(0, 0)])
    assert estimates == pytest.approx([5.5 / 8.5, 1.5 / 10.5, sure, sure])


def test_no_rules_have_no_estimates():
    none = np.zeros(0, dtype=np.int64)
    assert fit_reliability([], none, none).estimate([]).shape == (0,)


def pooled(hits: list[int], correct: list[int], expected: float = 0.0) -> tuple[bool, bool]:
    """Whether all rules get one precision, and whether that is because they are no better than chance."""
    rules = [shown(8, 3 + i % 5) for i in range(len(hits))]
    fitted = fit_reliability(rules, np.array(hits), np.array(correct), expected)
    alike = not any(fitted.coefficients)
    if alike:
        assert fitted.estimate([shown(500, 500)]) == pytest.approx([(sum(correct) + 0.5) / (sum(hits) + 2)])
    return alike, fitted.chance


@pytest.mark.parametrize(
    ("hits", "correct", "expected", "alike", "chance"),
    [
        ([9, 10], [8, 1], 0, True, False),  # 19 held-out hits are too few to learn from
        ([10, 10], [8, 1], 0, False, False),
        ([10, 9], [1, 0], 18, True, False),  # too few also to call them chance
        ([10, 10], [1, 0], 18, True, True),
        ([20, 20], [20, 20], 0, True, False),  # nothing was wrong
        ([20, 20], [20, 19], 0, False, False),
        ([20, 20], [0, 0], 0, True, False),  # nothing was right
        ([20, 20], [1, 0], 0, False, False),
        ([20, 20], [12, 1], 10, True, True),  # chance is 1 to 3; 1.5 times that is 1 to 2; 13 of 40 are less
        ([20, 20], [12, 2], 10, False, False),
        ([25, 25], [24, 6], 25, False, False),  # 3 to 2 is just 1.5 times 1 to 1
        ([25, 25], [24, 5], 25, True, True),
    ],
)
def test_when_all_rules_get_the_pooled_precision(hits, correct, expected, alike, chance):
    assert pooled(hits, correct, expected) == (alike, chance)


def slow_estimates(rules: list[Shown], hits: list[int], correct: list[int], new: list[Shown]) -> list[float]:
    """Logistic regression of held-out hits on what rules showed, one rule after the other: each counts with the root
    of its hits, features are in standard deviations, and half the sum of squares of their coefficients is a loss."""
    judged = [float(log_odds(rule.sense)) for rule in rules if rule.sense is not None]
    average = sum(judged) / len(judged) if judged else 0.0
    told = [float(log_odds(rule.expected)) for rule in rules if rule.expected is not None]
    usual = sum(told) / len(told) if told else 0.0
    seen = [i for i in range(len(rules)) if hits[i] > 0]
    rows = [rules[i].features(average, usual) for i in seen]
    mean = [sum(column) / len(seen) for column in zip(*rows, strict=True)]
    spread = [
        (sum((value - middle) ** 2 for value in column) / len(seen)) ** 0.5
        for column, middle in zip(zip(*rows, strict=True), mean, strict=True)
    ]

    def total(weights: np.ndarray, row: tuple[float, ...]) -> float:
        scaled = [(x - m) / s if s > 1e-9 else 0.0 for x, m, s in zip(row, mean, spread, strict=True)]
        return weights[0] + sum(w * x for w, x in zip(weights[1:], scaled, strict=True))

    def loss(weights: np.ndarray) -> float:
        result = 0.5 * float((weights[1:] ** 2).sum())
        for i, row in zip(seen, rows, strict=True):
            score = total(weights, row)
            result += correct[i] / hits[i] ** 0.5 * np.logaddexp(0, -score)
            result += (hits[i] - correct[i]) / hits[i] ** 0.5 * np.logaddexp(0, score)
        return result

    weights = minimize(loss, np.zeros(len(FEATURES) + 1), method="BFGS", tol=1e-7).x
    return [1 / (1 + float(np.exp(-total(weights, rule.features(average, usual))))) for rule in new]


def rules_at_random(seed: int) -> tuple[list[Shown], list[int], list[int]]:
    source = np.random.default_rng(seed)
    asked, heard = source.random(2) < 0.5
    rules, hits, correct = [], [], []
    for _ in range(int(source.integers(8, 20))):
        n = int(source.integers(2, 12))
        rules.append(
            shown(
                n,
                int(source.integers(1, n + 1)),
                conditions=int(source.integers(1, 4)),
                negations=int(source.integers(0, 2)),
                further_terms=int(source.integers(0, 3)),
                described=float(source.choice([0.0, 0.0, 0.5, 1.0])),
                sense=float(source.uniform(0.05, 0.95)) if asked and source.random() < 0.7 else None,
                expected=float(source.uniform(0.05, 0.95)) if heard and source.random() < 0.7 else None,
            )
        )
        hits.append(int(source.integers(0, 9)))
        correct.append(int(source.binomial(hits[-1], rules[-1].correct / n * 0.9)))
    hits[0], correct[0], hits[1], correct[1] = 20, 15, 1, 1  # enough to learn from, and one that hit once
    return rules, hits, correct


@settings(max_examples=25, deadline=None, derandomize=True, phases=[Phase.generate])
@given(st.integers(0, 2**32 - 1))
def test_the_fit_is_that_of_the_slow_one(seed):
    rules, hits, correct = rules_at_random(seed)
    new = rules_at_random(seed + 1)[0]
    fitted = fit_reliability(rules, np.array(hits), np.array(correct))
    slow = [min(p, rule.best) for p, rule in zip(slow_estimates(rules, hits, correct, new), new, strict=True)]
    assert fitted.estimate(new) == pytest.approx(slow, abs=2e-3)
