"""Conditions on meaning: where they hold, what their evidence is, and when they cannot be told."""

import numpy as np
from concept_encoder import ConceptEncoder, concept_vectors
from hypothesis import given
from hypothesis import strategies as st

from kdsl.embeddings.sentence_vectors import SentenceVectors
from kdsl.fields.pieces import pieces
from kdsl.fields.sidecar import OcrLine, OcrPage, Sidecars
from kdsl.fields.table import FieldTable
from kdsl.rules.engine import BATCH, Engine
from kdsl.rules.rule import Rule
from kdsl.sample import Sample, Turn
from kdsl.text import normalise


def rule(*conditions):
    return Rule(id="r-0000", label="x", when={"all": list(conditions)})


def means(wording="退钱给我", at=0.9, field="last_user", **more):
    return {"means": {field: wording, "at": at, **more}}


def table(*dialogues, vectors=None, ocr=()):
    page = OcrPage("a.png", (9, 90), tuple(OcrLine(text, 1.0, (0, 0, 9, 5)) for text in ocr))
    samples = [
        Sample(str(i), "t", tuple(Turn(("user", "agent")[k % 2], text) for k, text in enumerate(turns)), ("a.png",))
        for i, turns in enumerate(dialogues)
    ]
    return FieldTable(samples, Sidecars({"a.png": page}, vectors=vectors))


def hits(rules, fields):
    return Engine(rules).matrix(fields).T.tolist()


def test_it_holds_where_a_turn_means_nearly_the_same():
    fields = table(["我要退款"], ["快递到哪了"], [], vectors=concept_vectors())
    assert hits([rule(means()), rule({"not": means()})], fields) == [[True, False, False], [False, True, True]]


def test_one_sentence_of_a_long_turn_is_enough():
    fields = table(["快递快递到了。退款吧。谢谢"], ["快递快递到了，退款吧，谢谢"], vectors=concept_vectors())
    assert hits([rule(means())], fields) == [[True, False]]


def test_any_wording_any_turn_and_any_line_will_do():
    fields = table(["退款", "好", "快递", "谢谢"], vectors=concept_vectors(), ocr=("亮度", "物流信息"))
    assert hits([rule(means(["灯", "快递"]))], fields) == [[True]]
    assert hits([rule(means(field="last_user"))], fields) == [[False]]
    assert hits([rule(means(field="user"))], fields) == [[True]]
    assert hits([rule(means("parcel", field="ocr"))], fields) == [[True]]
    assert hits([rule(means("thanks", field="agent"))], fields) == [[True]]


def test_the_threshold_itself_holds_and_a_text_is_as_near_as_one_to_itself():
    fields = table(["退款 快递"], vectors=concept_vectors())
    similarity = float(np.float32(1) / np.sqrt(np.float32(2)))
    rules = [rule(means("退钱", at=similarity)), rule(means("退钱", at=similarity + 1e-4)), rule(means("退款快递", 1))]
    assert hits(rules, fields) == [[True], [False], [True]]


def test_without_the_encoder_that_it_names_neither_a_meaning_nor_its_negation_holds():
    asked = [rule(means(encoder="concepts")), rule({"not": means("灯", encoder="concepts")}), rule({"turns": ">0"})]
    for vectors, told in ((concept_vectors(), True), (concept_vectors("other"), False), (None, False)):
        assert hits(asked, table(["退款"], vectors=vectors)) == [[told], [told], [True]]
    unnamed = [rule(means()), rule({"not": means("灯")})]
    assert hits(unnamed, table(["退款"], vectors=concept_vectors("other"))) == [[True], [True]]
    assert hits(unnamed, table(["退款"])) == [[False], [False]]


def test_of_a_text_without_a_vector_neither_a_meaning_nor_its_negation_holds():
    vectors = concept_vectors()
    kept = ["退款", "退钱给我", "灯", "谢谢。退款", "谢谢。"]
    vectors.of(list(map(normalise, kept)))  # all that is there when the package is gone
    vectors.encoder.lacks = "the package concepts"
    fields = table(["退款"], ["谢谢。快递"], ["谢谢。退款"], [], vectors=vectors)
    near, far = rule(means()), rule({"not": means("灯")})
    assert hits([near, far], fields) == [[True, False, True, False], [True, False, True, True]]
    assert hits([rule({"not": means("谢")})], fields) == [[False] * 4]


def test_evidence_is_the_sentence_its_similarity_and_the_nearest_wording():
    fields = table(["你好！", "在", "谢谢。我要 退款！"], vectors=concept_vectors())
    [[hit]] = Engine([rule(means(["灯", "退钱给我"], at=0.62), {"not": means("快递", at=0.5)})]).hits(fields)
    near, absent = hit.evidence
    assert near.record() == {
        "condition": 0, "field": "means", "turn": 2, "span": [3, 9], "similarity": 1.0, "wording": "退钱给我",
        "at": 0.62,
    }  # fmt: skip
    assert near.segment.text[3:9] == "我要 退款！"
    assert absent.record() == {
        "condition": 1, "field": "means", "negated": True, "similarity": 0.0, "wording": "快递", "at": 0.5,
    }  # fmt: skip


def test_evidence_on_a_page_is_the_line_and_its_box():
    fields = table(["看"], vectors=concept_vectors(), ocr=("首页", "物流 信息"))
    [[hit]] = Engine([rule(means("快递", field="ocr"))]).hits(fields)
    [evidence] = hit.evidence
    assert (evidence.image, evidence.line, evidence.span, evidence.box) == ("a.png", 1, (0, 5), (0, 0, 9, 5))


def test_each_text_and_each_wording_is_encoded_once_for_all_rules_and_batches():
    encoder = ConceptEncoder()
    fields = table(*[["退款"], ["灯"]] * BATCH, vectors=SentenceVectors(encoder))
    engine = Engine([rule(means(at=0.5)), rule(means(at=0.7)), rule(means("灯", at=0.5), means(at=0.5))])
    engine.hits(fields)
    assert sorted(encoder.encoded) == sorted(["退钱给我", "灯", "退款"])


def test_without_conditions_on_meaning_nothing_is_encoded():
    encoder = ConceptEncoder()
    Engine([rule({"user": ["退款"]})]).hits(table(["退款"], vectors=SentenceVectors(encoder)))
    assert encoder.encoded == []


phrases = st.text("退款快递灯谢 。，?", max_size=8)
meanings = st.builds(
    lambda field, wordings, at: means(wordings, at, field),
    st.sampled_from(["last_user", "user", "agent", "dialogue", "ocr"]),
    st.lists(phrases.filter(normalise), min_size=1, max_size=3),
    st.sampled_from([0.1, 0.3, 0.5, 0.62, 0.75, 0.9, 1]),
)
conditions = st.one_of(meanings, meanings.map(lambda test: {"not": test}), st.just({"turns": ">1"}))


def holds(condition, row, vectors):
    """The meaning of a condition, said plainly."""
    if condition.meaning is None:
        result = condition.comparison.holds(row.number(condition.field))
    else:
        found = [piece.text for piece in pieces(row.text(condition.meaning.field))]
        result = any(
            float(vectors.of([text])[0] @ vectors.of([normalise(wording)])[0]) >= condition.meaning.at - 1e-6
            for text in found
            for wording in condition.meaning.wordings
        )
    return result != condition.negated


@given(
    st.lists(st.lists(conditions, min_size=1, max_size=3).map(lambda tests: rule(*tests)), max_size=5),
    st.lists(st.lists(phrases, max_size=4), max_size=5),
    st.lists(phrases, max_size=3),
)
def test_the_engine_equals_the_plain_meaning_of_rules(rules, dialogues, lines):
    vectors = concept_vectors()
    fields = table(*dialogues, vectors=vectors, ocr=lines)
    expected = [[all(holds(c, row, vectors) for c in each.conditions) for row in fields.rows] for each in rules]
    assert Engine(rules).matrix(fields).T.tolist() == expected
    for found in Engine(rules).hits(fields):
        for hit in found:
            for condition, evidence in zip(hit.rule.conditions, hit.evidence, strict=True):
                if condition.meaning is not None and evidence.nearest is not None:
                    near = evidence.nearest.similarity >= condition.meaning.at - 1e-6
                    assert near != condition.negated
