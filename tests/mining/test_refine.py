"""Refining a draft: what is found in planted data, what it costs, and that the counts told are honest."""

import random

import numpy as np
import pytest
from concept_encoder import concept_vectors
from planted import noise, table_of

from kdsl.errors import KdslError
from kdsl.mining.edits import edit_words
from kdsl.mining.miner import MiningSettings
from kdsl.mining.refine import MOST_EDITS, WANTED, Refinement, refine
from kdsl.mining.reward import Reward
from kdsl.mining.run import prepare
from kdsl.rules.condition import Condition
from kdsl.rules.engine import Engine
from kdsl.rules.rule import Rule, When
from kdsl.sample import Label, Task

TASK = Task("t", (Label("甲"), Label("乙")))


def refined(said: list[tuple[str, int]], *draft: dict, aspects=(), vectors=None, label: int = 0) -> Refinement:
    """Variants of a draft for a label, on samples of (text, label)."""
    table = table_of([text for text, _ in said], aspects, vectors)
    problem = prepare(TASK, table, np.array([label for _, label in said]), MiningSettings(), seed=0)
    return refine(problem, table, label, [Condition.model_validate(each) for each in draft])


def with_noise(counts: list[tuple[str, int, int]]) -> list[tuple[str, int]]:
    """(text, label, how many): samples that say so among characters that mean nothing, shuffled."""
    filler, source = noise(3, 5), random.Random(0)
    samples = [(f"{filler()}，{text}", label) for text, label, n in counts for _ in range(n)]
    source.shuffle(samples)
    return samples


WORDS = with_noise([("退款", 0, 10), ("退钱", 0, 10), ("退款政策", 1, 6), ("尺码", 1, 20)])


def lines(found: Refinement) -> list[list[str]]:
    return [edit_words(each.edits) for each in found.variants]


def test_a_term_that_means_the_same_and_an_exception_are_found():
    found = refined(WORDS, {"text": ["退款"]})
    assert (found.training.correct, found.training.hits, found.training.positives) == (10, 16, 20)
    best = found.variants[0]
    assert set(lines(found)[0]) == {'+ "退钱" (text)', "+ text does not contain 政策"}
    assert (best.training.correct, best.training.hits) == (20, 20)
    assert (best.held_out.correct, best.held_out.hits) == (20, 20)
    assert 1 <= len(found.variants) <= WANTED


def test_counts_are_those_of_the_engine_on_all_samples():
    table = table_of([text for text, _ in WORDS])
    truth = np.array([label == 0 for _, label in WORDS])
    for each in refined(WORDS, {"text": ["退款"]}).variants:
        hits = Engine([Rule(id="r-0000", label="甲", when=When(all=each.conditions))]).matrix(table)[:, 0]
        assert (each.training.hits, each.training.correct) == (hits.sum(), (hits & truth).sum())


def test_a_term_that_only_brings_wrong_hits_is_dropped():
    found = refined(WORDS, {"text": ["退款", "退钱", "尺码"]}, {"not": {"text": ["政策"]}})
    assert lines(found)[0] == ['- "尺码" (text)']


def test_a_condition_that_only_loses_right_hits_is_dropped_whatever_it_tests():
    aspects = [2.0 if index % 2 else 1.0 for index in range(len(WORDS))]
    draft = [{"text": ["退款", "退钱"]}, {"not": {"text": ["政策"]}}, {"image.aspect": ">1.5"}]
    found = refined(WORDS, *draft, aspects=aspects)
    assert lines(found)[0] == ["- image height / width >1.5"]


def test_a_term_with_no_hit_stays_it_may_occur_tomorrow():
    found = refined(WORDS, {"text": ["退款", "返还货款"]})
    assert all("返还货款" in each.conditions[0].terms for each in found.variants)


def test_the_threshold_of_a_number_is_moved_along_the_data():
    said = [("你好", 0)] * 12 + [("你好", 1)] * 12
    aspects = [2.0 + index / 100 for index in range(12)] + [1.0 + index / 20 for index in range(12)]
    found = refined(said, {"image.aspect": ">1.2"}, aspects=aspects)
    [best, *_] = found.variants
    assert best.conditions[0].comparison.op == ">" and 1.55 <= best.conditions[0].comparison.value < 2.0
    assert lines(found)[0] == ["image height / width >1.2 → image height / width >1.77"]


def test_the_threshold_of_a_meaning_is_moved():
    # 退款快递 is near to 退款 as 0.71, and near to 快递 as well: only the stricter threshold keeps it out.
    said = [("退款", 0)] * 10 + [("退款快递", 1)] * 8 + [("谢谢", 1)] * 8
    found = refined(said, {"means": {"text": "退钱", "at": 0.68}}, vectors=concept_vectors())
    assert any(
        each.conditions[0].meaning is not None and each.conditions[0].meaning.at >= 0.71 for each in found.variants
    )
    assert (found.variants[0].training.correct, found.variants[0].training.hits) == (10, 10)


def test_a_draft_on_another_field_that_says_the_same_gets_terms_in_its_own_field():
    """On single turns the vocabulary knows `text` alone."""
    found = refined(WORDS, {"user": ["退款"]}, {"not": {"user": ["政策"]}})
    assert found.variants[0].conditions[0] == Condition(field="user", terms=("退款", "退钱"))


def test_a_term_that_holds_another_one_gives_way_to_it():
    found = refined(WORDS, {"text": ["要退钱", "退款"]}, {"not": {"text": ["政策"]}})
    assert found.variants[0].conditions[0].terms == ("退款", "退钱")
    assert lines(found)[0] == ['- "要退钱" (text)', '+ "退钱" (text)']


def test_variants_keep_something_of_the_draft_and_add_three_conditions_at_most():
    draft = [{"text": ["尺码"]}]
    for each in refined(WORDS, *draft).variants:
        assert any("尺码" in condition.terms and not condition.negated for condition in each.conditions)
    for each in refined(WORDS, {"text": ["款"]}).variants:
        assert len(each.conditions) <= 1 + MOST_EDITS


def test_no_term_of_one_character_of_grammar_or_cut_out_of_words():
    said = with_noise([("锈了的吗", 0, 8), ("这个锈", 0, 8), ("这个好", 1, 16)])
    found = refined(said, {"text": ["锈了"]})
    new = {term for each in found.variants for condition in each.conditions for term in condition.terms} - {"锈了"}
    assert not {"锈", "的", "吗", "这个", "个锈"} & new


def test_a_letter_is_no_word_either():
    said = with_noise([("plan x", 0, 8), ("plan old x", 0, 8), ("plan y", 1, 16)])
    found = refined(said, {"text": ["old x"]})
    assert not any("x" in condition.terms for each in found.variants for condition in each.conditions)


def test_an_exception_must_spare_more_wrong_hits_than_it_costs():
    """Two samples may lack anything by chance."""
    few = with_noise([("退款", 0, 12), ("退款政策", 1, 2), ("政策", 1, 6), ("尺码", 1, 12)])
    many = with_noise([("退款", 0, 12), ("退款政策", 1, 5), ("政策", 1, 6), ("尺码", 1, 12)])
    exception = ["+ text does not contain 政策"]
    assert exception not in lines(refined(few, {"text": ["退款"]}))
    assert exception in lines(refined(many, {"text": ["退款"]}))


def test_a_rule_that_no_edit_helps_has_no_variant():
    found = refined(WORDS, {"text": ["退款", "退钱"]}, {"not": {"text": ["政策"]}})
    assert found.variants == () and found.training.hits == 20


def test_a_label_without_samples_has_no_variant():
    found = refined([("退款", 0), ("退钱", 0), ("尺码", 1)] * 3, {"text": ["退款"]}, label=0)
    task = Task("t", (*TASK.labels, Label("丙")))
    table = table_of(["退款", "尺码"] * 4)
    problem = prepare(task, table, np.array([0, 1] * 4), MiningSettings(), seed=0)
    assert refine(problem, table, 2, [Condition(field="user", terms=("退款",))]).variants == ()
    assert found.training.positives == 6


def test_the_same_samples_give_the_same_variants():
    assert refined(WORDS, {"text": ["退款"]}) == refined(WORDS, {"text": ["退款"]})


def value(judge: Reward, counts) -> float:
    return float(judge(np.array([float(counts.correct)]), np.array([float(counts.hits)]))[0])


def test_held_out_counts_promise_nothing_where_labels_are_chance():
    """Whatever helps in training is chance here, and chosen without a fold it does not help on the fold."""
    training, held_out = np.zeros(2), np.zeros(2)
    for seed in range(12):
        source, filler = random.Random(seed), noise(seed, 12)
        said = [(filler(), source.randrange(2)) for _ in range(60)]
        draft = {"text": source.sample("春夏秋冬东南西北金木水火", 3)}
        found = refined(said, draft)
        assert len(found.variants) <= 3
        judge = Reward(float(found.training.positives))
        for each in found.variants:
            assert value(judge, each.held_out) > value(judge, found.training)  # or nobody would want it
            training += each.training.correct, each.training.hits
            held_out += each.held_out.correct, each.held_out.hits
    assert training[0] / training[1] > 0.55  # half of all samples have the label
    assert held_out[0] / held_out[1] < 0.53


def test_a_meaning_of_another_encoder_is_refused():
    draft = {"means": {"text": "退钱", "at": 0.6, "encoder": "another"}}
    with pytest.raises(KdslError, match="compares meanings by another encoder than the project has; set `encoder:`"):
        refined(WORDS, draft, vectors=concept_vectors())
