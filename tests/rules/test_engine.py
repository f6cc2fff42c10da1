"""The engine finds exactly the rules that hold, and says why."""

import re
from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kdsl.audio.transcript import Transcript, Word
from kdsl.fields.sidecar import OcrLine, OcrPage, Sidecars
from kdsl.fields.table import FieldTable, SampleFields
from kdsl.rules.condition import Condition
from kdsl.rules.engine import BATCH, Engine
from kdsl.rules.rule import Rule
from kdsl.sample import Sample, Turn
from kdsl.text import normalise

QUESTION = "图中有快递吗？"


def rule(*conditions, id="r-0000", label="x"):
    return Rule(id=id, label=label, when={"all": list(conditions)})


def sample(*turns, id="1", images=()):
    roles = ("user", "agent")
    return Sample(id, "t", tuple(Turn(roles[i % 2], text) for i, text in enumerate(turns)), tuple(images))


def spoken_in(sample: Sample, turn: int) -> Sample:
    """With a sound in one of its turns, in none where there is no such turn, and without one where it is -1."""
    turns = tuple(replace(each, audio=("a.wav",)) if i == turn else each for i, each in enumerate(sample.turns))
    return replace(sample, turns=turns, audio=() if turn < 0 else ("a.wav",))


def fields(*samples, sidecars=None):
    return FieldTable(samples, sidecars or Sidecars())


def occurs(term: str, line: str) -> bool:
    """Anywhere, but an ASCII letter or digit at an end of the term does not stand beside another."""
    before = r"(?<![a-z0-9])" if re.match("[a-z0-9]", term) else ""
    after = r"(?![a-z0-9])" if re.match("[a-z0-9]", term[-1]) else ""
    return re.search(before + re.escape(term) + after, line) is not None


def holds(condition: Condition, row: SampleFields) -> bool:
    """The meaning of a condition, said plainly."""
    if condition.terms:
        lines = row.text(condition.field).text.split("\n")
        result = any(occurs(normalise(term), line) for term in condition.terms for line in lines)
    elif condition.comparison is not None:
        result = condition.comparison.holds(row.number(condition.field))
    else:
        result = (row.answer(condition.question) or 0) >= 0.5
    return result != condition.negated


letters = st.text("亮度调光Aａ b，。", min_size=1, max_size=3).filter(normalise)
positive = st.one_of(
    st.builds(
        lambda field, terms: {field: terms},
        st.sampled_from(["last_user", "user", "agent", "dialogue", "voice", "ocr", "ocr.top"]),
        st.lists(letters, min_size=1, max_size=3),
    ),
    st.builds(
        lambda field, op, value: {field: f"{op}{value}"},
        st.sampled_from(["image.aspect", "image.count", "audio.seconds", "audio.count", "turns"]),
        st.sampled_from([">", ">=", "<", "<=", "="]),
        st.integers(0, 3),
    ),
    st.just({"sees": QUESTION}),
)
conditions = st.one_of(positive, positive.map(lambda test: {"not": test}))
rules = st.lists(
    st.lists(conditions, min_size=1, max_size=3).map(lambda tests: rule(*tests)),
    max_size=8,
)
texts = st.text("亮度调光Aａ b，。\n", max_size=12)
samples = st.lists(
    st.builds(
        lambda turns, image, spoken: spoken_in(sample(*turns, images=["a.png"] if image else []), spoken),
        st.lists(texts, max_size=4),
        st.booleans(),
        st.integers(-1, 4),
    ),
    max_size=6,
)
sidecars = st.builds(
    lambda lines, yes, said: Sidecars(
        ocr={
            "a.png": OcrPage(
                "a.png", (10, 20), tuple(OcrLine(t, 1.0, (0, 6 * i, 9, 6 * i + 4)) for i, t in enumerate(lines))
            )
        },
        answers={} if yes is None else {"a.png": {QUESTION: yes}},
        transcripts={} if said is None else {"a.wav": Transcript("a.wav", 2.0, said)},
    ),
    st.lists(texts, max_size=3),
    st.sampled_from([None, 0.0, 0.49, 0.5, 1.0]),
    st.none() | texts,
)


@given(rules, samples, sidecars)
def test_engine_equals_the_plain_meaning_of_rules(rules, samples, sidecars):
    table = FieldTable(samples, sidecars)
    engine = Engine(rules)
    expected = np.array(
        [[all(holds(condition, row) for condition in rule.conditions) for rule in rules] for row in table.rows],
        dtype=bool,
    ).reshape(len(samples), len(rules))
    assert np.array_equal(engine.matrix(table), expected)
    found = engine.hits(table)
    assert [[hit.rule for hit in hits] for hits in found] == [
        [rule for rule, hit in zip(rules, row, strict=True) if hit] for row in expected
    ]
    for hits in found:
        for hit in hits:
            for condition, evidence in zip(hit.rule.conditions, hit.evidence, strict=True):
                if condition.terms and not condition.negated:
                    # The original text of the span is the term, but for normalisation.
                    first, last = evidence.span
                    assert normalise(evidence.segment.text[first:last]) == normalise(evidence.term)
                    assert evidence.term in condition.terms
                assert evidence.record()["field"] == condition.field


def test_evidence_of_terms_is_the_first_occurrence_in_the_original_text():
    table = fields(sample("你好", "在的", "这个ＬＥＤ灯 能 调光 吗，LED"))
    [[hit]] = Engine([rule({"dialogue": ["能调光", "led", "LED灯"]})]).hits(table)
    assert hit.evidence[0].record() == {
        "condition": 0,
        "field": "dialogue",
        "term": "LED灯",
        "turn": 2,
        "span": [2, 6],
    }


def test_evidence_on_a_screenshot_has_image_line_and_box():
    page = OcrPage(
        "a.png", (100, 200), (OcrLine("首页", 1.0, (0, 0, 9, 9)), OcrLine("立即购买", 1.0, (1, 180, 9, 195)))
    )
    table = fields(sample(images=["a.png"]), sidecars=Sidecars({"a.png": page}))
    [[hit]] = Engine([rule({"ocr.bottom": ["购买"]}, {"image.aspect": ">1.8"})]).hits(table)
    assert [evidence.record() for evidence in hit.evidence] == [
        {
            "condition": 0,
            "field": "ocr.bottom",
            "term": "购买",
            "image": "a.png",
            "line": 1,
            "box": [1, 180, 9, 195],
            "span": [2, 4],
        },
        {"condition": 1, "field": "image.aspect", "comparison": ">1.8", "value": 2.0},
    ]


def test_evidence_in_what_is_said_has_the_turn_the_sound_the_span_and_the_time():
    words = (Word("我要", 0.25, 0.75), Word("退款", 1.004, 1.9), Word("快", 2.5, 2.75))
    spoken = Sample(
        "1", "t", (Turn("agent", "您好"), Turn("user", "在吗", audio=("v.amr",))), audio=("v.amr",)
    )  # fmt: skip
    known = Sidecars(transcripts={"v.amr": Transcript("v.amr", 3.0, "我要 ，退 款！快", words)})
    [[hit]] = Engine([rule({"last_user": ["退款"]}, {"voice": ["我要"]}, {"audio.seconds": ">2"})]).hits(
        fields(spoken, sidecars=known)
    )
    first, second, third = hit.evidence
    assert first.record() == {
        "condition": 0, "field": "last_user", "term": "退款", "turn": 1, "audio": "v.amr", "span": [4, 7],
    }  # fmt: skip
    assert second.record() == {
        "condition": 1, "field": "voice", "term": "我要", "turn": 1, "audio": "v.amr", "span": [0, 2],
        "seconds": [0.25, 0.75],
    }  # fmt: skip
    assert third.record() == {"condition": 2, "field": "audio.seconds", "comparison": ">2", "value": 3.0}
    assert (first.detail, second.detail, third.detail) == ("v.amr", "0:00 in v.amr", None)


def test_what_is_said_in_a_sound_of_no_turn_has_no_turn():
    bare = Sample("1", "t", audio=("v.amr",))
    known = Sidecars(
        transcripts={"v.amr": Transcript("v.amr", 80.0, "i want a refund", (Word("refund", 64.0, 65.0),))}
    )
    [[hit]] = Engine([rule({"text": ["refund"]})]).hits(fields(bare, sidecars=known))
    assert hit.evidence[0].record() == {
        "condition": 0, "field": "text", "term": "refund", "audio": "v.amr", "span": [9, 15], "seconds": [64.0, 65.0],
    }  # fmt: skip
    assert hit.evidence[0].said == "1:04 in v.amr"


def test_no_term_matches_across_a_turn_and_what_is_said_in_it():
    spoken = Sample("1", "t", (Turn("user", "退", audio=("v.amr",)),), audio=("v.amr",))
    known = Sidecars(transcripts={"v.amr": Transcript("v.amr", 1.0, "款")})
    assert Engine([rule({"text": ["退款"]})]).hits(fields(spoken, sidecars=known)) == [[]]


def test_evidence_of_negations_and_questions():
    table = fields(sample("亮度", images=["a.png"]), sidecars=Sidecars(answers={"a.png": {QUESTION: 0.9}}))
    [[hit]] = Engine([rule({"sees": QUESTION}, {"not": {"user": ["手机"]}}, {"not": {"image.aspect": "<1"}})]).hits(
        table
    )
    assert [evidence.record() for evidence in hit.evidence] == [
        {"condition": 0, "field": "sees", "question": QUESTION, "probability": 0.9},
        {"condition": 1, "field": "user", "negated": True, "absent": ["手机"]},
        {"condition": 2, "field": "image.aspect", "negated": True, "comparison": "<1"},
    ]


def test_no_term_matches_across_two_turns():
    table = fields(sample("亮", "", "度"))
    assert Engine([rule({"dialogue": ["亮度"]}), rule({"user": ["亮度"]})]).hits(table) == [[]]


def test_a_missing_number_fails_every_comparison():
    table = fields(sample("无图"))
    engine = Engine([rule({"image.aspect": ">=0"}), rule({"not": {"image.aspect": ">=0"}})])
    assert engine.matrix(table).tolist() == [[False, True]]


def test_rules_of_negations_only():
    engine = Engine([rule({"not": {"user": ["亮"]}}, {"not": {"user": ["暗"]}})])
    assert engine.matrix(fields(sample("中"), sample("亮"), sample())).tolist() == [[True], [False], [True]]


def test_nothing_to_decide():
    assert Engine([]).hits(fields(sample("亮"))) == [[]]
    assert Engine([]).matrix(fields(sample("亮"))).shape == (1, 0)
    assert Engine([rule({"user": ["亮"]})]).hits(fields()) == []
    assert Engine([rule({"user": ["亮"]})]).matrix(fields()).shape == (0, 1)


def test_a_stream_is_decided_in_batches_and_stays_in_order():
    count = 2 * BATCH + 7
    rows = (SampleFields(sample("亮" if i % 3 == 0 else "暗", id=str(i)), Sidecars()) for i in range(count))
    found = [bool(hits) for hits in Engine([rule({"user": ["亮"]})]).stream(rows)]
    assert found == [i % 3 == 0 for i in range(count)]


def test_a_very_long_text_and_lone_surrogates():
    text = "\ud800" + "光" * 100_000 + "调光"
    [[hit]] = Engine([rule({"user": ["调光"]})]).hits(fields(sample(text)))
    assert hit.evidence[0].span == (100_001, 100_003)


def test_a_term_of_letters_or_digits_matches_whole_words_only():
    table = fields(sample("message about 15g"), sample("my age, 5g"), sample("能用5G吗"))
    for term, expected in [("age", [False, True, False]), ("5g", [False, True, True])]:
        assert Engine([rule({"user": [term]})]).matrix(table)[:, 0].tolist() == expected


def test_evidence_is_the_first_whole_word():
    [[hit]] = Engine([rule({"user": ["age"]})]).hits(fields(sample("the message: age")))
    assert hit.evidence[0].span == (13, 16)
