"""Conditions as fields of a form: `field-0`, `test-0` (terms one a line, a comparison or a question), `not-0`, …"""

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from kdsl.errors import KdslError
from kdsl.fields import TEXT_FIELDS
from kdsl.review.form import Form, whole_number
from kdsl.rules.condition import Condition

MOST_CONDITIONS = 30
"""Conditions of one rule that a form may hold."""


@dataclass(frozen=True)
class Row:
    """One condition as it stands in the form."""

    number: int
    field: str
    test: str
    negated: bool


def rows_of(conditions: Sequence[Condition]) -> list[Row]:
    """Raises KdslError for terms with line breaks in them, which a form of one term a line cannot say."""
    rows = []
    for number, condition in enumerate(conditions):
        if any("\n" in term or "\r" in term or term != term.strip() for term in condition.terms):
            raise KdslError(
                "a term of this rule begins or ends with a space or holds a line break; edit the rule's file instead"
            )
        test = "\n".join(condition.terms) or str(condition.comparison or condition.question or "")
        rows.append(Row(number, condition.field, test, condition.negated))
    return rows


def conditions_of(form: Form) -> tuple[Condition, ...]:
    """The conditions in the form; rows without any text are left out. Raises KdslError for what is no condition."""
    found = sorted(number for name in form.all("field-") if (number := whole_number(name)) is not None)
    if len(found) > MOST_CONDITIONS:
        raise KdslError(f"the form has {len(found)} conditions; a rule may have {MOST_CONDITIONS}")
    conditions = []
    for place, number in enumerate(found, start=1):
        field, test = form[f"field-{number}"], form[f"test-{number}"].replace("\r\n", "\n")
        if not test.strip():
            continue
        terms = list(dict.fromkeys(line.strip() for line in test.split("\n") if line.strip()))
        mapping: dict[str, object] = {field: terms if field in TEXT_FIELDS else test.strip()}
        try:
            conditions.append(Condition.model_validate({"not": mapping} if form[f"not-{number}"] else mapping))
        except ValidationError as error:
            first = error.errors()[0]
            reason = first["ctx"]["error"] if "ctx" in first and "error" in first["ctx"] else first["msg"]
            raise KdslError(f"condition {place}: {reason}") from error
    if not conditions:
        raise KdslError("a rule needs at least one condition; write a term into one of the fields")
    return tuple(conditions)
