"""Which conditions on meaning samples give, and how the search uses them."""

from dataclasses import replace

import numpy as np
import pytest
from concept_encoder import ConceptEncoder, concept_vectors
from hypothesis import given
from hypothesis import strategies as st
from planted import table_of

from kdsl.bitmaps import unpack
from kdsl.fields.sidecar import OcrLine, OcrPage, Sidecars
from kdsl.fields.table import FieldTable
from kdsl.mining.archive import archive_of
from kdsl.mining.informative import read_field
from kdsl.mining.literals import MAX_MEANT, THRESHOLDS
from kdsl.mining.meanings import MOST_CHARACTERS, MOST_WORDS, label_sentences, meaning_conditions, representatives
from kdsl.mining.miner import mine_label, start_search
from kdsl.mining.problem import ALL_SAMPLES
from kdsl.mining.proposer import described
from kdsl.mining.run import mine_task, prepare
from kdsl.mining.vocabulary import build_vocabulary, mined_fields
from kdsl.rules.engine import Engine
from kdsl.rules.rule import Rule, When
from kdsl.sample import Label, Sample, Task, Turn

PAID = ("我要退款", "退钱给我", "refund please", "给我退钱")
SENT = ("快递呢", "物流到哪了", "my parcel", "查快递")
"""The words differ, what they mean does not."""
UNRELATED = ["灯", "谢谢", "你好"]
"""Nothing of these is near to anything else."""


def of(table, said=(), fields=None, least=2, most=100.0):
    """field → wording → [(threshold, samples that are near enough)]"""
    found: dict[str, dict[str, list]] = {}
    for condition, flags, _ in meaning_conditions(table, fields or mined_fields(table), said, least, most):
        meaning = condition.meaning
        assert meaning.encoder == "concepts"
        [wording] = meaning.wordings
        found.setdefault(meaning.field, {}).setdefault(wording, []).append(
            (meaning.at, np.flatnonzero(flags).tolist())
        )
    return found


def test_what_samples_say_is_compared_with_what_others_say():
    found = of(table_of([*PAID, *SENT], vectors=concept_vectors()))
    assert found.keys() == {"text"}
    assert sorted(places for [(_, places)] in found["text"].values()) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert all(at == 1.0 for [(at, _)] in found["text"].values())


def test_without_vectors_there_are_none():
    assert of(table_of(PAID)) == {}
    assert all(condition.meaning is None for condition in build_vocabulary(table_of(PAID)).conditions)


def test_sentences_of_labels_are_compared_with_every_field():
    samples = [Sample(str(i), "t", (Turn("user", "灯"), Turn("agent", text))) for i, text in enumerate(PAID)]
    found = of(FieldTable(samples, Sidecars(vectors=concept_vectors())), ["退款"])
    assert found["last_agent"]["退款"] == [(1.0, [0, 1, 2, 3])]
    assert {field for field, wordings in found.items() if "退款" in wordings} == {"last_agent"}
    assert of(FieldTable(samples, Sidecars(vectors=concept_vectors())), ["退款"], fields=("last_user",)).keys() <= {
        "last_user"
    }


def test_names_and_sentences_of_descriptions_are_what_labels_say():
    task = Task("t", (Label("ask_refund", "想要退款。问多久到账"), Label("其他"), Label("ask_refund")))
    assert label_sentences(task) == ["ask refund", "想要退款", "问多久到账", "其他"]


def test_the_same_words_with_another_end_are_one_wording():
    found = of(table_of(["退款", "退款!", "退款。。", "?", "退款 "], vectors=concept_vectors()))
    assert found["text"].keys() == {"退款"}


def test_long_texts_are_no_wordings_but_their_sentences_are():
    long = "灯" * (MOST_CHARACTERS + 1)
    words = " ".join(["lamp"] * (MOST_WORDS + 1))
    texts = [f"退款。{long}", f"退款。{long}", words, words]
    assert of(table_of(texts, vectors=concept_vectors()), [long]).get("text", {}).keys() == {"退款"}
    fits = " ".join(["lamp"] * MOST_WORDS)
    assert fits in of(table_of([fits, words], vectors=concept_vectors()))["text"]


def test_of_pages_lines_of_several_samples_are_wordings():
    lines = ["退款详情", "退款详情", "物流", "快递 1", "亮度"]
    pages = {f"{i}": OcrPage(f"{i}", (9, 100), (OcrLine(text, 1, (0, 2, 9, 5)),)) for i, text in enumerate(lines)}
    samples = [Sample(f"s{i}", "t", (), (f"{i}",)) for i in range(len(lines))]
    found = of(FieldTable(samples, Sidecars(ocr=pages, vectors=concept_vectors())))
    assert found == {"ocr.top": {"退款详情": [(1.0, [0, 1])]}, "ocr": {"退款详情": [(1.0, [0, 1])]}}


def test_thresholds_are_few_round_and_let_in_between_the_least_and_the_most():
    texts = ["退款"] * 2 + ["退款退款快递"] * 4 + ["退款快递"] * 12 + ["快递"] * 6 + UNRELATED
    found = of(table_of(texts, vectors=concept_vectors()), least=2, most=18)
    assert [(at, len(places)) for at, places in found["text"]["退款"]] == [(1.0, 2), (0.89, 6), (0.7, 18)]
    assert [len(places) for _, places in of(table_of(texts, vectors=concept_vectors()), most=17)["text"]["退款"]] == [
        2,
        6,
    ]


def test_what_most_texts_are_as_near_to_as_to_each_other_is_no_meaning():
    texts = ["退款"] * 2 + ["退款快递"] * 4 + ["退款灯", "快递灯"]
    assert [at for at, _ in of(table_of(texts, vectors=concept_vectors()))["text"]["退款"]] == [1.0]
    apart = of(table_of([*texts, "谢谢", "你好"], vectors=concept_vectors()))["text"]["退款"]
    assert [at for at, _ in apart] == [1.0, 0.7]


def test_representatives_cover_most_first_and_nothing_is_said_twice():
    vectors = ConceptEncoder().encode(["退款", "退款快递", "快递", "灯", "退款"])
    assert representatives(vectors, np.ones(5), 2) == [1, 3]
    assert representatives(vectors, np.array([9, 1, 1, 1, 9]), 1) == [0]
    assert sorted(representatives(vectors, np.ones(5), 9)) == [0, 1, 2, 3]
    assert representatives(vectors[:0], np.ones(0), 3) == []


def test_a_meaning_that_covers_what_words_cover_is_left_out():
    vocabulary = build_vocabulary(table_of(["退款吧", "退款呢", "快递", "物流"], vectors=concept_vectors()))
    covered = {
        tuple(np.flatnonzero(flags).tolist()): condition
        for condition, flags in zip(vocabulary.conditions, unpack(vocabulary.coverage, 4), strict=True)
    }
    assert covered[0, 1].terms and covered[2, 3].meaning is not None


@given(st.lists(st.text("退款快递灯 ，。", max_size=8), min_size=2, max_size=20))
def test_coverage_is_what_the_engine_finds(texts):
    table = table_of(texts, vectors=concept_vectors())
    vocabulary = build_vocabulary(table, said_of_labels=["退款"])
    rules = [Rule(id="r-0000", label="甲", when=When(all=(condition,))) for condition in vocabulary.conditions]
    assert (Engine(rules).matrix(table) == unpack(vocabulary.coverage, len(texts)).T).all()
    rows = vocabulary.coverage.tolist()
    assert len({(c.field, *row) for c, row in zip(vocabulary.conditions, rows, strict=True)}) == len(vocabulary)


@pytest.fixture
def shop():
    """Two labels that no word tells apart and every meaning does."""
    task = Task("shop", (Label("退钱"), Label("物流")))
    texts = [each + "。" * (i // 4) for i in range(24) for each in (PAID[i % 4], SENT[i % 4])]
    return task, table_of(texts, vectors=concept_vectors()), np.arange(48) % 2


def test_the_search_finds_the_meaning_and_rules_hold_it(shop, settings):
    problem = prepare(*shop, settings, seed=0)
    for label in (0, 1):
        found = [rule.written(problem.vocabulary) for rule in mine_label(problem, ALL_SAMPLES, label, settings)]
        best = next(when for when in found if when[0].meaning is not None)
        hits = Engine([Rule(id="r-0000", label="甲", when=When(all=best))]).matrix(shop[1])[:, 0]
        assert (hits == (shop[2] == label)).all()
        assert all(len(c.meaning.wordings) == 1 for when in found for c in when if c.meaning is not None)


def test_few_meanings_and_few_thresholds_of_one_stand_beside_the_words(shop, settings):
    task, table, labels = shop
    said = [f"{text} {'灯' * i}" for text in (*PAID, *SENT) for i in range(1, 12)]
    samples = [
        *(row.sample for row in table.rows),
        *(Sample(f"m{i}", "t", (Turn("user", text),)) for i, text in enumerate(said)),
    ]
    table = FieldTable(samples, table.rows[0].sidecars)
    problem = prepare(task, table, np.concatenate([labels, np.arange(len(said)) * 2 // len(said)]), settings, seed=0)
    literals = start_search(problem, ALL_SAMPLES, 0, settings).literals
    meant = problem.vocabulary.meant[literals.condition[~literals.negated]]
    numbers, counts = np.unique(meant[meant >= 0], return_counts=True)
    assert 0 < (meant >= 0).sum() <= MAX_MEANT and counts.max() <= THRESHOLDS and len(numbers) > 1
    assert (meant < 0).any()


def test_the_sample_that_gave_a_wording_says_nothing_about_how_it_fares(settings):
    texts = ["退款", "退款。", "退款快递！", "快递", "快递", *UNRELATED]
    gave = {
        condition.meaning.wordings[0]: (np.flatnonzero(giver).tolist(), giver[flags].sum())
        for condition, flags, giver in meaning_conditions(
            table_of(texts, vectors=concept_vectors()), ("text",), (), 2, 9
        )
    }
    assert gave == {"退款": ([], 0), "退款快递": ([2], 1), "快递": ([], 0)}
    task = Task("shop", (Label("甲"), Label("乙")))
    said = [f"{each[i % 4]}{end}" for i, end in enumerate("春夏秋冬东南西北金木水火") for each in (PAID, SENT)]
    labels, folds = np.arange(24) % 2, np.arange(24) // 2 % 2
    mined = mine_task(task, table_of(said, vectors=concept_vectors()), labels, settings, 0, folds=folds, workers=0)
    vocabulary = mined.problem.vocabulary
    for part in mined.held_out:
        for rule, hits in zip(part.rules, unpack(part.bits, vocabulary.n_samples), strict=True):
            giving = unpack(vocabulary.giving(rule.conditions), 24)
            assert (hits == (unpack(rule.bits(vocabulary), 24) & (folds == part.fold) & ~giving)).all()
    ids = [f"s{i}" for i in range(24)]
    for part, kept in zip(mined.held_out, archive_of(mined, ids).held_out, strict=True):
        for rule, entry in zip(part.rules, kept, strict=False):
            giving = unpack(vocabulary.giving(rule.conditions), 24) & (folds == part.fold)
            assert entry.gave == tuple(ids[i] for i in np.flatnonzero(giving))
    assert any(entry.gave for kept in archive_of(mined, ids).held_out for entry in kept)
    assert any(vocabulary.giving(rule.conditions).any() for part in mined.held_out for rule in part.rules)
    assert build_vocabulary(table_of(texts)).giving([(0,)]).tolist() == [0]


def test_conditions_on_meaning_are_counted_as_such(shop, settings):
    mined = mine_task(*shop, settings, seed=0, workers=0)
    for rule, shown in zip(mined.rules, mined.shown, strict=True):
        written = rule.written(mined.problem.vocabulary)
        assert shown.meanings == sum(condition.meaning is not None for condition in written)
    assert any(shown.meanings for shown in mined.shown)


def test_a_wording_of_the_label_itself_is_described(shop):
    task, table, _ = shop
    vocabulary = build_vocabulary(table, said_of_labels=label_sentences(task))
    [index] = [i for i, c in enumerate(vocabulary.conditions) if c.meaning and c.meaning.wordings == ("退钱",)]
    assert described(task, vocabulary)[:, index].tolist() == [1.0, 0.0]
    assert read_field(vocabulary.conditions[index]) == "means text"
    assert read_field(vocabulary.conditions[0]) == vocabulary.conditions[0].field


def test_without_vectors_mining_is_what_it_was(shop, settings):
    task, table, labels = shop
    bare = FieldTable([row.sample for row in table.rows], Sidecars())
    mined = mine_task(task, bare, labels, replace(settings, folds=2), seed=0, workers=0)
    assert all(c.meaning is None for rule in mined.rules for c in rule.written(mined.problem.vocabulary))


@pytest.mark.parametrize(("text", "is_wording"), [("-10", False), ("0", False), ("a1", False), ("亮度", True)])
def test_numbers_and_marks_are_no_wordings(text, is_wording):
    found = of(table_of([text, "退款", "refund"], vectors=concept_vectors()), ["12", "退款吗"], least=1)
    assert (text in found["text"]) == is_wording
    assert "12" not in found["text"] and "退款吗" in found["text"]


@pytest.mark.parametrize(
    ("text", "is_wording"),
    [
        ("I’d like to have a refund for my café", True),
        ("refund " * 13, False),
        ("我要退款" * 8, False),
        ("用户 要求 退款 " * 4, False),
    ],
)
def test_a_wording_is_short_in_words_of_english_and_in_characters_of_chinese(text, is_wording):
    found = of(table_of(["退款", "refund"], vectors=concept_vectors()), [text])
    assert (text in found["text"]) == is_wording
