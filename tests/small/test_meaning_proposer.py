"""`small: meaning`: what lies near a label in meaning is worth trying, and makes sense."""

import numpy as np
import pytest
from concept_encoder import concept_vectors

from kdsl.bitmaps import pack
from kdsl.embeddings.sentence_vectors import SentenceVectors
from kdsl.embeddings.use import UniversalSentenceEncoder
from kdsl.fields.sidecar import OcrLine, OcrPage, Sidecars
from kdsl.fields.table import FieldTable
from kdsl.mining.proposer import BOOST, SHARE, LexicalProposer
from kdsl.mining.vocabulary import Vocabulary
from kdsl.rules.condition import Condition
from kdsl.sample import Label, Sample, Task, Turn
from kdsl.small.meaning import MeaningProposer, MeaningValidator, shares

TASK = Task("shop", (Label("甲", "退款"), Label("乙", "物流"), Label("丙")))
"""The third label says nothing: only its samples do."""
TEXTS = ["退钱", "退款", "快递", "物流", "灯", "亮度"]
LABELS = np.array([0, 0, 1, 1, 2, 2])
CONDITIONS = tuple(
    Condition.model_validate(test)
    for test in (
        {"last_user": ["退钱"]},
        {"last_user": ["快递", "parcel"]},
        {"means": {"last_user": "lamp", "at": 0.5}},
        {"turns": ">1"},
        {"last_user": ["退款"]},
    )
)
VOCABULARY = Vocabulary(CONDITIONS, pack(np.zeros((5, 6), dtype=bool)), 6)
ALL = np.ones((1, 6), dtype=bool)


def table(texts=TEXTS, vectors=None):
    samples = [Sample(f"s{i}", "shop", (Turn("user", text),)) for i, text in enumerate(texts)]
    return FieldTable(samples, Sidecars(vectors=vectors or concept_vectors()))


def proposer(fields=None, labels=LABELS):
    fields = fields or table()
    return MeaningProposer(fields.sentence_vectors, fields, labels)


def best(prior):
    return [CONDITIONS[i].test for i in np.flatnonzero(prior == prior.max())]


def test_conditions_near_to_the_label_and_its_samples_come_first():
    prior = [proposer().prior(TASK, label, VOCABULARY, ALL)[0] for label in range(3)]
    assert best(prior[0]) == [["退款"]]  # in the description itself, so the lexical prior adds
    assert prior[0][0] > prior[0][1]
    assert best(prior[1]) == [["快递", "parcel"]]
    assert best(prior[2])[0]["last_user"] == "lamp"


def test_it_is_half_the_lexical_prior_and_at_most_the_boost():
    lexical = LexicalProposer().prior(TASK, 0, VOCABULARY)[0]
    added = proposer().prior(TASK, 0, VOCABULARY, ALL)[0] - (1 - SHARE) * lexical
    assert added.max() == pytest.approx(SHARE * BOOST) and added.min() >= SHARE


def test_only_the_samples_of_a_part_are_looked_at():
    parts = np.array([[True] * 6, [True] * 4 + [False] * 2])
    prior = proposer().prior(TASK, 2, VOCABULARY, parts)
    assert prior.shape == (2, 5)
    assert best(prior[0]) != best(prior[1])
    swapped = np.array([0, 0, 1, 1, 1, 0])
    assert (proposer(labels=swapped).prior(TASK, 2, VOCABULARY, parts)[1] == prior[1]).all()


def test_pages_without_dialogue_speak_through_their_text():
    pages = {f"{i}": OcrPage(f"{i}", (9, 90), (OcrLine(text, 1, (0, 0, 9, 9)),)) for i, text in enumerate(TEXTS)}
    samples = [Sample(f"s{i}", "shop", (), (f"{i}",)) for i in range(6)]
    fields = FieldTable(samples, Sidecars(pages, vectors=concept_vectors()))
    assert best(proposer(fields).prior(TASK, 2, VOCABULARY, ALL)[0])[0]["last_user"] == "lamp"


def test_terms_are_those_of_the_lexical_proposer_and_the_name_stands_in_provenance():
    assert list(proposer().terms(TASK)) == list(LexicalProposer().terms(TASK))
    assert proposer().name == "meaning"


def judged(*rules, task=TASK, vectors=None):
    when = [(label, tuple(map(Condition.model_validate, tests))) for label, tests in rules]
    return MeaningValidator(vectors or concept_vectors()).judge(task, when)


def test_a_rule_makes_sense_for_the_label_that_its_words_are_nearest_to():
    near, far, other = judged((0, [{"user": ["refund"]}]), (1, [{"user": ["refund"]}]), (1, [{"user": ["parcel"]}]))
    assert 0 < far < near < 1 and other > far


def test_meanings_and_large_type_count_as_words_and_negations_and_numbers_do_not():
    [plain] = judged((0, [{"user": ["refund"]}]))
    means = {"means": {"user": "refund", "at": 0.5}}
    assert judged((0, [means, {"turns": ">1"}, {"not": {"user": ["parcel"]}}])) == [plain]
    assert judged((0, [{"ocr.size": {"terms": ["refund"], "height": ">0.03"}}])) == [plain]
    assert judged((0, [{"turns": ">1"}]), (0, [{"not": {"user": ["退款"]}}, {"turns": ">1"}])) == [None, None]
    assert judged() == []


def test_what_is_said_of_a_rule_does_not_depend_on_the_others():
    rules = [(0, [{"user": ["refund"]}]), (1, [{"user": ["lamp"]}]), (1, [{"user": ["parcel"]}])]
    assert judged(*rules) == [judged(rule)[0] for rule in rules]


def test_shares_are_those_of_the_nearness_beyond_what_is_usual():
    usual = np.array([[0.9, 0.6], [0.7, 0.4]])
    assert shares(usual, usual) == pytest.approx(0.5)  # all are nearer to the first label: that says nothing
    found = shares(np.array([[0.8, 0.6], [0.9, 0.5]]), usual)
    assert found.sum(axis=1) == pytest.approx(1)
    assert found[0] == pytest.approx([1 / (1 + np.e), np.e / (1 + np.e)])
    assert shares(usual / 10 + 0.8, usual / 10 + 0.8) == pytest.approx(shares(usual, usual))
    assert np.isfinite(shares(np.ones((1, 2)), np.ones((1, 2)))).all()


def test_the_embedded_encoder_finds_sense_across_words():
    vectors = SentenceVectors(UniversalSentenceEncoder())
    task = Task("shop", (Label("退款", "用户想要退款"), Label("物流", "查询快递到哪了")))
    rules = [(0, [{"user": ["退钱"]}]), (0, [{"user": ["包裹"]}]), (1, [{"user": ["包裹"]}])]
    money, wrong, parcel = judged(*rules, task=task, vectors=vectors)
    assert money > wrong and parcel > wrong
