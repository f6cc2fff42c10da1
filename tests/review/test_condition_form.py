import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdsl.errors import KdslError
from kdsl.fields import COLOURS, FIELDS, KINDS, NUMBER_FIELDS, TEXT_FIELDS, ZONES
from kdsl.review.condition_form import Row, choices, conditions_of, is_written, rows_of
from kdsl.review.form import Form
from kdsl.rules.condition import Condition
from kdsl.text import normalise

WORDS = st.text(st.sampled_from("退款 refund5,，。|:=\"'"), min_size=1, max_size=8).filter(
    lambda text: normalise(text) != "" and text == text.strip()
)
SEVERAL = st.lists(WORDS, min_size=1, max_size=3, unique=True)
COMPARISON = st.builds(
    lambda op, number: f"{op}{number}", st.sampled_from([">", ">=", "<", "<=", "="]), st.integers(-3, 3)
)
TESTS = st.one_of(
    st.tuples(st.sampled_from(TEXT_FIELDS), SEVERAL),
    st.tuples(st.sampled_from(NUMBER_FIELDS), COMPARISON),
    st.tuples(st.just("image.kind"), st.sampled_from(KINDS)),
    st.tuples(
        st.just("image.colour"),
        st.fixed_dictionaries(
            {"zone": st.sampled_from(list(ZONES)), "colour": st.sampled_from(COLOURS), "share": COMPARISON}
        ),
    ),
    st.tuples(st.just("ocr.size"), st.fixed_dictionaries({"terms": SEVERAL, "height": COMPARISON})),
    st.tuples(
        st.just("means"),
        st.builds(
            lambda field, wordings, at, known: {field: wordings, "at": at, **known},
            st.sampled_from(TEXT_FIELDS), SEVERAL, st.floats(0.001, 1), st.sampled_from([{}, {"encoder": "use"}]),
        ),
    ),
    st.tuples(st.just("sees"), WORDS),
)  # fmt: skip
CONDITION = st.builds(
    lambda test, negated: Condition.model_validate(
        {"not": {test[0]: test[1]}} if negated else {test[0]: test[1]}
    ), TESTS, st.booleans(),
)  # fmt: skip


def sent(*rows: Row) -> Form:
    """What a browser sends of these rows: all inputs, those too that are not shown."""
    values = {}
    for row in rows:
        inputs = {
            "field": row.field, "test": row.test.replace("\n", "\r\n"), "compared": row.compared, "at": row.at,
            "encoder": row.encoder, "kind": row.kind, "zone": row.zone, "colour": row.colour, "share": row.share,
            "height": row.height, **({"not": "1"} if row.negated else {}),
        }  # fmt: skip
        values |= {f"{name}-{row.number}": value for name, value in inputs.items()}
    return Form(values)


@given(st.lists(CONDITION, min_size=1, max_size=4))
def test_every_condition_comes_back_from_the_form_as_it_went_in(conditions):
    assert conditions_of(sent(*rows_of(conditions, encoder="other"))) == tuple(conditions)


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        (Row("0", "means", "退钱", at="viel"), "condition 1: means: at is the least similarity, a number above 0"),
        (Row("0", "means", "退钱", at="0"), "condition 1: means: at is the least similarity, a number above 0"),
        (Row("0", "means", "退钱", at="nan"), "condition 1: means: at is the least similarity"),
        (Row("0", "means", "退钱", at=""), "condition 1: means: at is the least similarity"),
        (Row("0", "means", "退钱", compared="turns"), "condition 1: means takes one field (text, last_user, "),
        (Row("0", "image.colour", share="0.3"), 'condition 1: image.colour: share takes a comparison in quotes'),
        (Row("0", "image.colour", zone="middle"), "condition 1: image.colour: there is no zone 'middle'; choose from"),
        (Row("0", "image.colour", colour="beige"), "condition 1: image.colour: there is no colour 'beige'"),
        (Row("0", "image.kind", kind="video"), "condition 1: image.kind: there is no kind 'video'; choose from"),
        (Row("0", "ocr.size", "退款", height="groß"), "condition 1: ocr.size: height takes a comparison"),
        (Row("0", "image.text_area", "much"), "condition 1: image.text_area takes a comparison in quotes"),
        (Row("0", "nonsense", "退款"), "condition 1: unknown field 'nonsense'"),
        (Row("0", "means", " "), "a rule needs at least one condition"),
    ],
)  # fmt: skip
def test_what_is_no_condition_is_told_in_a_sentence(row, sentence):
    with pytest.raises(KdslError, match=f"^{re.escape(sentence)}"):
        conditions_of(sent(row))


def test_the_inputs_of_other_fields_do_not_count():
    row = Row("0", "last_user", "退钱", at="viel", share="viel", height="viel", zone="", kind="")
    assert conditions_of(sent(row)) == (Condition.model_validate({"last_user": ["退钱"]}),)


def test_what_is_chosen_needs_no_text_and_what_is_written_does():
    assert is_written(sent(Row("0", "image.kind"))) and is_written(sent(Row("0", "image.colour")))
    assert not is_written(sent(Row("0", "means"), Row("1", "ocr.size", " \n"), Row("2", "last_user")))


def test_a_new_meaning_is_for_the_encoder_of_the_project_and_one_that_is_there_for_its_own():
    conditions = [
        {"user": ["退"]},
        {"means": {"user": "退", "at": 0.5}},
        {"means": {"user": "退", "at": 0.5, "encoder": "use"}},
    ]
    rows = rows_of([Condition.model_validate(each) for each in conditions], encoder="bge-m3")
    assert [row.encoder for row in rows] == ["bge-m3", "", "use"]


@pytest.mark.parametrize("words", ["退\n钱", " 退钱", "退钱\r"])
def test_a_wording_that_one_line_cannot_say_is_left_to_the_file(words):
    for condition in ({"means": {"user": words, "at": 0.5}}, {"ocr.size": {"terms": [words], "height": ">0"}}):
        with pytest.raises(KdslError, match="edit the rule's file instead"):
            rows_of([Condition.model_validate(condition)])


def test_every_field_can_be_chosen_in_both_languages():
    english, chinese = choices("en"), choices("zh")
    assert [each.field for each in english] == [each.field for each in chinese] == list(FIELDS)
    hints = {each.field: each.hint for each in chinese}
    assert hints["turns"] == "比较，写法如 >1.8" and hints["image.kind"] == ""
    assert [each.hint for each in english if each.hint and each.hint in hints.values()] == []
