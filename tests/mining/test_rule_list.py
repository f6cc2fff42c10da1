"""A list of few rules a label: what each adds, near copies, and what a validator is asked about."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdsl.bitmaps import pack
from kdsl.mining.miner import MOST_TERMS, MiningSettings, assemble, listed
from kdsl.mining.problem import ALL_SAMPLES, FoundRule, jobs, mining_problem
from kdsl.mining.proposer import LexicalProposer
from kdsl.mining.reliability import FEATURES, Reliability, Shown
from kdsl.mining.rule_list import COPY, LEAST_GAIN, REPEAT_DISCOUNT, rule_list
from kdsl.mining.run import mine_task, prepare
from kdsl.mining.vocabulary import Vocabulary
from kdsl.rules.condition import Condition
from kdsl.small.meaning import MeaningValidator
from kdsl.small.validator import SmallValidator


def flags(*places, n=10):
    return np.isin(np.arange(n), places)


EVERY = np.ones(10, dtype=bool)


def chosen(reliability, hits, positives=EVERY, least=0.6, most=8):
    return [rule for rule, _ in rule_list(np.array(reliability), hits, positives, least, most)]


def test_the_surest_of_equal_coverage_comes_first_and_none_below_the_least():
    hits = [flags(0, 1), flags(2, 3), flags(4, 5)]
    assert chosen([0.7, 0.9, 0.59], hits) == [1, 0]
    assert chosen([0.7, 0.9, 0.61], hits, most=1) == [1]
    assert chosen([], []) == []


def test_a_rule_of_just_the_least_reliability_gains_nothing():
    assert chosen([0.6], [EVERY]) == []
    assert chosen([0.62], [EVERY]) == [0]


def test_the_gain_is_in_sure_samples():
    # (0.7 - 0.6) / 0.4 * 5 is more than (0.9 - 0.6) / 0.4 * 1, and less than that times 2
    assert chosen([0.7, 0.9], [flags(0, 1, 2, 3, 4), flags(5)]) == [0, 1]
    assert chosen([0.7, 0.9], [flags(0, 1, 2, 3, 4), flags(5, 6)]) == [1, 0]


def test_what_rules_before_hit_counts_less():
    first, again = flags(0, 1, 2, 3), flags(0, 1, 2, 5, 6, 7)  # Jaccard 3 of 7
    gain = (3 * REPEAT_DISCOUNT + 3) / 6
    near = 0.6 + 0.4 * 0.5
    assert chosen([0.95, near, near], [first, again, flags(4, 8, 9)]) == [0, 1, 2]
    assert 3 < gain * 6 < 6 and REPEAT_DISCOUNT == 0.8


def test_a_rule_must_add_a_share_of_the_label():
    one, positives = [np.arange(100) == 0], np.arange(100) < 20  # 3 % of these are 0.6 sure samples
    assert chosen([0.6 + 0.4 * 20 * LEAST_GAIN + 0.001], one, positives) == [0]
    assert chosen([0.6 + 0.4 * 20 * LEAST_GAIN - 0.001], one, positives) == []
    assert LEAST_GAIN == 0.03


def test_only_positives_count():
    assert chosen([0.9, 0.8], [flags(0, 1, 2), flags(5, 6)], positives=flags(5, 6, 7)) == [1]


def test_near_copies_are_told_of_and_take_no_place():
    hits = [flags(0, 1, 2, 3), flags(0, 1, 2), flags(0, 8, 9), flags(0, 1, 2, 3, 4)]
    assert rule_list(np.array([0.9, 0.7, 0.7, 0.8]), hits, EVERY, 0.6, 8) == [(0, (3, 1)), (2, ())]
    assert COPY == 0.6


def test_what_two_rules_hit_overlaps_more_than_that_where_they_are_copies():
    three_of_five = [flags(0, 1, 2, 3), flags(0, 1, 2, 4)]
    assert chosen([0.9, 0.8], three_of_five) == [0, 1]
    seven_of_eleven = [np.arange(20) < 9, (np.arange(20) > 1) & (np.arange(20) < 11)]
    assert chosen([0.9, 0.8], seven_of_eleven, positives=np.ones(20, dtype=bool)) == [0]


def test_lists_with_a_word_in_common_say_the_same():
    hits, reliability = [flags(0, 1), flags(2, 3), flags(4, 5)], np.array([0.9, 0.8, 0.85])
    words = [frozenset({1, 2}), frozenset({2, 3}), frozenset()]
    assert rule_list(reliability, hits, EVERY, 0.6, 8, words) == [(0, (1,)), (2, ())]
    assert rule_list(reliability, hits, EVERY, 0.6, 8, [frozenset()] * 3) == [(0, ()), (2, ()), (1, ())]


def test_of_equal_gains_the_first_rule_is_chosen_however_numbers_are_rounded():
    hits, positives = [flags(5), flags(1, 5, 6), flags(1, 6)], flags(1, 5, 6)
    reliability = np.array([0.97, 0.7, 0.74])
    # Behind rule 0: 0.25 (1 + 1 + 0.8) = 0.35 (1 + 1) = 0.7, which are two numbers to a computer.
    assert chosen(reliability, hits, positives) == [0, 1]


def slow_list(reliability, hits, positives, least, most, words):
    """Plain reference: rule by rule, sample by sample."""
    left, result, covered = {i for i, r in enumerate(reliability) if r >= least}, [], [0] * len(positives)
    while left and len(result) < most:
        gains = {}
        for rule in left:
            worth = sum(0.8 ** covered[i] for i in range(len(positives)) if hits[rule][i] and positives[i])
            gains[rule] = (reliability[rule] - least) / (1 - least) * worth
        best = min(left, key=lambda rule: (-round(gains[rule], 12), rule))
        if gains[best] < max(0.03 * sum(positives), 1e-9):
            break
        left.remove(best)
        copies = []
        for other in left:
            both = sum(a and b for a, b in zip(hits[best], hits[other], strict=True))
            either = sum(a or b for a, b in zip(hits[best], hits[other], strict=True))
            if both / max(either, 1) > 0.6 or any(word in words[other] for word in words[best]):
                copies.append(other)
        left -= {*copies}
        result.append((best, tuple(sorted(copies, key=lambda copy: (-reliability[copy], copy)))))
        for i in range(len(positives)):
            covered[i] += hits[best][i] and positives[i]
    return result


@given(st.data())
def test_the_list_is_the_slow_one(data):
    n = data.draw(st.integers(1, 8))
    row = st.lists(st.booleans(), min_size=n, max_size=n)
    hits = data.draw(st.lists(row, max_size=6))
    tenths = st.sampled_from([0.35, 0.6, 0.7, 0.74, 0.85, 0.97])
    reliability = data.draw(st.lists(tenths, min_size=len(hits), max_size=len(hits)))
    positives, most = data.draw(row), data.draw(st.integers(1, 5))
    some = st.frozensets(st.integers(0, 9), max_size=2)
    words = data.draw(st.lists(some, min_size=len(hits), max_size=len(hits)))
    fast = rule_list(
        np.array(reliability), [np.array(each, dtype=bool) for each in hits], np.array(positives), 0.6, most, words
    )
    assert fast == slow_list(reliability, hits, positives, 0.6, most, words)


SURE = Reliability(3.0, (0.0,) * len(FEATURES))
"""Every rule is as reliable as it shows."""


def of_terms(problem, label, *terms, negated=False):
    known = {condition.terms[0]: i for i, condition in enumerate(problem.vocabulary.conditions) if condition.terms}
    return FoundRule(label, (tuple(known[term] for term in terms),), (negated,), 1)


def listed_of(problem, *rules, judge=SURE, **settings):
    shown = [problem.shown(rule, problem.members(ALL_SAMPLES)) for rule in rules]
    return listed(problem, ALL_SAMPLES, rules, shown, judge, MiningSettings(**settings))


@pytest.fixture
def problem(shop, settings):
    return prepare(*shop, settings, 0)


def test_no_two_labels_get_the_same_conditions(problem):
    label = int(problem.labels[0])
    word = next(
        condition.terms[0]
        for i, condition in enumerate(problem.vocabulary.conditions)
        if condition.terms and problem.shown(FoundRule(label, ((i,),), (False,), 1), problem.members(-1)).correct > 5
    )
    right, wrong = of_terms(problem, label, word), of_terms(problem, (label + 1) % 3, word)
    assert listed_of(problem, wrong, right, least_precision=0.0) == [right]
    assert listed_of(problem, right, wrong, least_precision=0.0) == [right]


def of_hits(task, *hits, fields=None, right=20):
    """40 samples, the first `right` of label 0; condition i holds on `hits[i]` and reads `fields[i]`."""
    fields = fields or ["last_user"] * len(hits)
    conditions = tuple(Condition(field=field, terms=(f"词{i}",)) for i, field in enumerate(fields))
    coverage = pack(np.array([flags(*places, n=40) for places in hits]))
    labels = np.repeat([0, 1], [right, 40 - right])
    return mining_problem(task, Vocabulary(conditions, coverage, 40), labels, None, LexicalProposer(), 2, 0)


def any_of(*indices, negated=False):
    return FoundRule(0, (indices,), (negated,), 1)


@pytest.mark.parametrize(
    ("conditions", "negated", "turned", "turned_negated", "same"),
    [
        (((0, 1),), (False,), ((1, 0),), (False,), True),
        (((0,), (1,)), (False, False), ((1,), (0,)), (False, False), True),
        (((0,), (2,)), (False, True), ((2,), (0,)), (True, False), True),
        (((0,), (2,)), (False, True), ((0,), (2,)), (False, False), False),
        (((0, 1),), (False,), ((0,), (1,)), (False, False), False),
    ],
)
def test_the_order_of_words_and_conditions_makes_no_other_conditions(
    task, conditions, negated, turned, turned_negated, same
):
    half = [*range(4), *range(20, 24)]
    problem = of_hits(task, half, [*range(2, 6), *range(22, 26)], [2, 3, 22, 23])
    one, other = FoundRule(0, conditions, negated, 1), FoundRule(1, turned, turned_negated, 1)
    assert listed_of(problem, one, other, least_precision=0.0) == ([one] if same else [one, other])


def test_a_near_copy_lends_terms_that_are_right_on_two_samples_more(task):
    problem = of_hits(task, range(10), range(2, 12))
    assert listed_of(problem, any_of(0), any_of(1)) == [any_of(0, 1)]


def test_terms_that_are_right_on_one_sample_more_do_not_matter(task):
    problem = of_hits(task, range(10), range(1, 11))
    assert listed_of(problem, any_of(0), any_of(1)) == [any_of(0)]


def test_terms_that_bring_a_wrong_hit_are_not_joined(task):
    problem = of_hits(task, range(10), [*range(2, 12), 20])
    modest = Reliability(1.0, (0.0,) * len(FEATURES))  # promises so little that one wrong hit costs nothing
    assert listed_of(problem, any_of(0), any_of(1), judge=modest) == [any_of(0)]


def test_terms_are_joined_only_where_the_rule_stays_as_reliable(task):
    problem = of_hits(task, range(10), range(2, 12))
    doubts = tuple(-0.5 * (name == "further terms") for name in FEATURES)
    assert listed_of(problem, any_of(0), any_of(1), judge=Reliability(3.0, doubts)) == [any_of(0)]


def test_a_rule_takes_terms_of_several_copies_up_to_the_most(task):
    more = [[*range(2, 10), 10 + 2 * i, 11 + 2 * i] for i in range(5)]
    problem = of_hits(task, range(10), *more)
    rules = [any_of(i) for i in range(6)]
    assert listed_of(problem, *rules, most_rules=1) == [any_of(0, 1, 2, 3)]
    assert listed_of(problem, any_of(0, 1, 2), any_of(2, 3), most_rules=1) == [any_of(0, 1, 2, 3)]
    assert listed_of(problem, any_of(0, 1, 2), any_of(3, 4), most_rules=1) == [any_of(0, 1, 2)]


def test_what_is_no_copy_lends_nothing(task):
    problem = of_hits(task, range(8), range(6, 14))
    assert listed_of(problem, any_of(0), any_of(1)) == [any_of(0), any_of(1)]


def test_lists_that_share_a_word_become_one_or_the_better_of_them(task):
    problem = of_hits(task, range(8), range(8, 12), range(12, 14))  # no sample in common
    assert listed_of(problem, any_of(0, 1), any_of(1, 2)) == [any_of(0, 1, 2)]
    wrong = of_hits(task, range(8), range(8, 12), [12, 13, 20])
    modest = Reliability(1.0, (0.0,) * len(FEATURES))
    assert listed_of(wrong, any_of(0, 1), any_of(1, 2), judge=modest) == [any_of(0, 1)]


@pytest.mark.parametrize(("other", "alike"), [(any_of(1, negated=True), False), (any_of(1), True)])
def test_only_a_list_of_words_alone_shares_one(task, other, alike):
    problem = of_hits(task, range(8), range(8, 12), range(12, 14), right=40)
    assert len(listed_of(problem, any_of(0, 1), other)) == (1 if alike else 2)
    both = FoundRule(0, ((1,), (2,)), (False, False), 1)
    apart = of_hits(task, range(8), range(8, 14), range(10, 16))
    assert listed_of(apart, any_of(0), both) == [any_of(0), both]


def test_words_that_hit_nothing_of_their_own_are_left_out(task):
    problem = of_hits(task, range(8), range(2, 6), range(8, 12), [])
    assert listed_of(problem, any_of(0, 1, 2)) == [any_of(0, 2)]
    assert listed_of(problem, any_of(1, 2)) == [any_of(1, 2)]
    twice = of_hits(task, range(8), range(8))
    assert listed_of(twice, any_of(0, 1)) == [any_of(0)], "the first of two that say the same stays"
    described = any_of(0, 3)
    assert listed_of(problem, described) == [described], "a word that no sample has is for samples to come"


def test_a_word_is_left_out_of_a_condition_beside_others_too(task):
    problem = of_hits(task, range(8), range(2, 6), range(6))
    rule = FoundRule(0, ((0, 1), (2,)), (False, False), 1)
    assert listed_of(problem, rule) == [FoundRule(0, ((0,), (2,)), (False, False), 1)]
    unlike = FoundRule(0, ((2,), (0, 1)), (False, True), 1)
    problem = of_hits(task, range(30, 38), range(32, 36), range(10))
    assert listed_of(problem, unlike) == [FoundRule(0, ((2,), (0,)), (False, True), 1)]


def test_terms_of_two_fields_are_not_joined(task):
    problem = of_hits(task, range(10), range(2, 12), fields=["last_user", "dialogue"])
    assert listed_of(problem, any_of(0), any_of(1)) == [any_of(0)]


def test_the_terms_of_a_negation_are_not_joined(task):
    # A label of most samples: what holds where the negation does not is right on two samples more.
    problem = of_hits(task, range(28), range(24, 30), right=30)
    assert listed_of(problem, any_of(0), any_of(1, negated=True)) == [any_of(0)]


def test_rules_of_two_conditions_are_not_joined(task):
    problem = of_hits(task, range(10), range(2, 12), range(20))
    two = FoundRule(0, ((1,), (2,)), (False, False), 1)
    assert listed_of(problem, any_of(0), two) == [any_of(0)]
    assert listed_of(problem, two, any_of(0)) == [two]


def test_no_rule_is_promised_more_than_it_showed():
    rule = Shown(hits=8, correct=6, positives=20, conditions=1, negations=0, further_terms=0, described=0.0)
    assert rule.best == pytest.approx(6.5 / 8.5)
    bold, modest = (Reliability(bias, (0.0,) * len(FEATURES)) for bias in (5.0, 0.0))
    assert bold.estimate([rule]) == pytest.approx([6.5 / 8.5])
    assert modest.estimate([rule]) == pytest.approx([0.5])


class Judge:
    """Finds sense in what holds one term, and knows nothing else."""

    def __init__(self, term: str, choice: int) -> None:
        self.term, self.choice = term, choice
        self.asked = 0

    def judge(self, task, rules):
        self.asked += len(rules)
        return [0.9 if any(self.term in c.terms for c in when) else 0.1 for _, when in rules]


@pytest.mark.parametrize("choice", [1, 4])
def test_a_validator_is_asked_about_its_choice_of_candidates(shop, settings, choice):
    few = replace(settings, most_rules=2)
    judge = Judge("亮度", choice)
    mined = mine_task(*shop, few, seed=0, validator=judge, workers=0)
    searches = len(jobs(mined.problem))
    assert 0 < judge.asked <= choice * searches
    assert np.bincount([rule.label for rule in mined.rules]).max() <= 2
    assert all(shown.sense in (0.1, 0.9) for shown in mined.shown)


def test_a_validator_that_costs_nothing_is_asked_about_every_candidate(shop, settings):
    judge = Judge("亮度", settings.candidates)
    mine_task(*shop, settings, seed=0, validator=judge, workers=0)
    few = Judge("亮度", 2)
    mine_task(*shop, settings, seed=0, validator=few, workers=0)
    assert judge.asked > few.asked


def test_what_judges_does_not_decide_what_is_found_where_it_says_the_same_of_all(shop, settings):
    class Even(Judge):
        def judge(self, task, rules):
            return [0.5] * len(rules)

    judged = mine_task(*shop, settings, seed=0, validator=Even("", settings.candidates), workers=0)
    plain = mine_task(*shop, settings, seed=0, workers=0)
    assert [rule.conditions for rule in judged.rules] == [rule.conditions for rule in plain.rules]


def test_the_least_precision_thins_the_list(shop, settings):
    counts = [
        len(mine_task(*shop, replace(settings, least_precision=least), seed=0, workers=0).rules)
        for least in (0.0, 0.6, 0.99)
    ]
    assert counts[0] >= counts[1] > counts[2]


def test_defaults():
    assert (MiningSettings().most_rules, MiningSettings().least_precision, MOST_TERMS) == (8, 0.6, 4)
    assert MiningSettings().candidates == 36 and assemble.__name__ == "assemble"


def test_a_model_that_costs_calls_is_asked_about_twelve_candidates_and_meaning_about_all():
    assert SmallValidator.choice == 12
    assert MeaningValidator.choice == MiningSettings().candidates
