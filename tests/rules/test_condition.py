import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from kdsl.rules.condition import Condition


@given(st.sampled_from(["turns", "image.aspect"]), st.sampled_from([">", ">=", "<", "<=", "="]),
       st.from_regex(r"-?[0-9]{1,25}(\.[0-9]{1,25})?", fullmatch=True))  # fmt: skip
def test_a_comparison_is_read_again_as_it_was_written(field, operator, number):
    condition = Condition.model_validate({field: f"{operator}{number}"})
    assert Condition.model_validate(condition.model_dump()) == condition


@pytest.mark.parametrize(
    ("written", "shown"), [(">1.80", ">1.8"), ("<= 100000", "<=100000"), (">=1234567", ">=1234567")]
)
def test_a_number_is_shown_without_an_exponent(written, shown):
    assert str(Condition.model_validate({"turns": written}).comparison) == shown


def test_a_number_too_large_to_compare_with_is_refused():
    with pytest.raises(ValidationError, match="a number of 400 digits is too large"):
        Condition.model_validate({"turns": f">{'9' * 400}"})
