"""Conditions as fields of a form: `field-0`, `not-0`, `test-0` (terms or wordings one a line, a comparison or a
question), and what only some fields take: `compared-0`, `at-0`, `encoder-0`, `kind-0`, `zone-0`, `colour-0`, …

A row holds the inputs of every kind of test, of which the page shows those of the chosen field, so that nothing is
lost by choosing another.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from kdsl.errors import KdslError
from kdsl.fields import (
    COLOUR_FIELD,
    COLOURS,
    FIELDS,
    KIND_FIELD,
    KINDS,
    MEANING_FIELD,
    NUMBER_FIELDS,
    QUESTION_FIELD,
    SIZE_FIELD,
    TEXT_FIELDS,
    ZONES,
)
from kdsl.review.form import Form, whole_number
from kdsl.review.page import translate
from kdsl.rules.condition import Condition
from kdsl.rules.wording import COLOUR_NAMES, FIELD_NAMES, KIND_NAMES, ZONE_NAMES, Language

MOST_CONDITIONS = 30
"""Conditions of one rule that a form may hold."""
LEAST_SIMILARITY = 0.1
"""Where the slider of a meaning begins: texts that are less alike have nothing to do with each other."""
_EXAMPLES = {"number": " >1.8"}
"""What stands behind the hint of some tests."""
_WITHOUT_TEXT = (KIND_FIELD, COLOUR_FIELD)
"""Fields whose tests are chosen, not written."""


@dataclass(frozen=True)
class Row:
    """One condition as it stands in the form; what another kind of test has is what a new one begins with."""

    number: str
    field: str = "last_user"
    test: str = ""
    negated: bool = False
    compared: str = "last_user"
    at: str = "0.6"
    encoder: str = ""
    """Empty where `at` is for the project's, whatever that is."""
    kind: str = "screenshot"
    zone: str = "top"
    colour: str = "orange"
    share: str = ">0.3"
    height: str = ">0.03"


def rows_of(conditions: Sequence[Condition], encoder: str = "") -> list[Row]:
    """`encoder` is the project's, for which the thresholds of new meanings are meant.

    Raises KdslError for terms with line breaks in them, which a form of one term a line cannot say.
    """
    return [_row(str(number), condition, encoder) for number, condition in enumerate(conditions)]


def _row(number: str, condition: Condition, encoder: str) -> Row:
    meaning, colour, size = condition.meaning, condition.colour, condition.size
    written = condition.sought if meaning is None else meaning.wordings
    if any("\n" in term or "\r" in term or term != term.strip() for term in written):
        raise KdslError(
            "a term of this rule begins or ends with a space or holds a line break; edit the rule's file instead"
        )
    known: dict[str, Any] = {"encoder": encoder}
    if meaning is not None:
        known = {"compared": meaning.field, "at": str(meaning.at), "encoder": meaning.encoder or ""}
    elif colour is not None:
        known |= {"zone": colour.zone, "colour": colour.colour, "share": str(colour.share)}
    elif size is not None:
        known |= {"height": str(size.height)}
    elif condition.image_kind is not None:
        known |= {"kind": condition.image_kind}
    test = "\n".join(written) or str(condition.comparison or condition.question or "")
    return Row(number, condition.field, test, condition.negated, **known)


@dataclass(frozen=True)
class Choice:
    """A field that can be chosen."""

    field: str
    name: str
    test: str
    """Which inputs of a row it takes: terms, number, question, kind, colour, size or meaning."""
    hint: str
    """What is to be written, in the language of the page."""


def choices(language: Language) -> list[Choice]:
    return [
        Choice(field, FIELD_NAMES[language][field], test, translate(hint, language) + _EXAMPLES.get(test, ""))
        for field in FIELDS
        for test, hint in [_test_of(field)]
    ]


def _test_of(field: str) -> tuple[str, str]:
    """The kind of test that a field takes, and what is written there."""
    if field in NUMBER_FIELDS:
        return "number", "a comparison, written like"
    return {
        KIND_FIELD: ("kind", ""),
        COLOUR_FIELD: ("colour", ""),
        SIZE_FIELD: ("size", "terms, one a line"),
        MEANING_FIELD: ("meaning", "sentences, one a line: near to any of them"),
        QUESTION_FIELD: ("question", "a question that is answered yes or no"),
    }.get(field, ("terms", "terms, one a line"))


def names(language: Language) -> dict[str, dict[str, str]]:
    """What else can be chosen in a row, by the input's name: value → words."""
    return {
        "compared": {field: FIELD_NAMES[language][field] for field in TEXT_FIELDS},
        "kind": {kind: KIND_NAMES[language][kind] for kind in KINDS},
        "zone": {zone: ZONE_NAMES[language][zone] for zone in ZONES},
        "colour": {colour: COLOUR_NAMES[language][colour] for colour in COLOURS},
    }


def conditions_of(form: Form) -> tuple[Condition, ...]:
    """The conditions in the form; rows without any text are left out. Raises KdslError for what is no condition."""
    found = sorted(number for name in form.all("field-") if (number := whole_number(name)) is not None)
    if len(found) > MOST_CONDITIONS:
        raise KdslError(f"the form has {len(found)} conditions; a rule may have {MOST_CONDITIONS}")
    conditions = []
    for place, number in enumerate(found, start=1):
        if not _is_written(form, number):
            continue
        mapping = {form[f"field-{number}"]: _test(form, number)}
        try:
            conditions.append(Condition.model_validate({"not": mapping} if form[f"not-{number}"] else mapping))
        except ValidationError as error:
            first = error.errors()[0]
            reason = first["ctx"]["error"] if "ctx" in first and "error" in first["ctx"] else first["msg"]
            raise KdslError(f"condition {place}: {reason}") from error
    if not conditions:
        raise KdslError("a rule needs at least one condition; write a term into one of the fields")
    return tuple(conditions)


def is_written(form: Form) -> bool:
    """Whether anything stands in the form that could be a condition."""
    return any(_is_written(form, number) for name in form.all("field-") if (number := whole_number(name)) is not None)


def _is_written(form: Form, number: int) -> bool:
    return form[f"field-{number}"] in _WITHOUT_TEXT or bool(form[f"test-{number}"].strip())


def _test(form: Form, number: int) -> Any:
    """What a rule file says beside the field's name."""
    field, test = form[f"field-{number}"], form[f"test-{number}"].replace("\r\n", "\n")
    lines = list(dict.fromkeys(line.strip() for line in test.split("\n") if line.strip()))
    if field in TEXT_FIELDS:
        return lines
    if field == KIND_FIELD:
        return form[f"kind-{number}"]
    if field == COLOUR_FIELD:
        return {part: form[f"{part}-{number}"].strip() for part in ("zone", "colour", "share")}
    if field == SIZE_FIELD:
        return {"terms": lines, "height": form[f"height-{number}"].strip()}
    if field == MEANING_FIELD:
        encoder = form[f"encoder-{number}"]
        known = {"encoder": encoder} if encoder else {}
        return {form[f"compared-{number}"]: lines, "at": _similarity(form[f"at-{number}"]), **known}
    return test.strip()


def _similarity(text: str) -> float | str:
    """The number, or the text where it is none, which the condition then refuses."""
    try:
        return float(text)
    except ValueError:
        return text
