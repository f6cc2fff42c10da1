"""A condition: one test on one field, or its negation."""

import json
import math
import operator
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_serializer, model_validator

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
from kdsl.text import normalise

_COMPARISON = re.compile(r"\s*(>=|<=|>|<|=)\s*(-?\d+(?:\.\d+)?)\s*")
_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
}


class Comparison(BaseModel):
    """A number compared with a threshold, written like ">1.8"."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    op: Literal[">", ">=", "<", "<=", "="]
    value: float

    def holds(self, number: float | None) -> bool:
        """False for a missing number."""
        return number is not None and _OPERATORS[self.op](number, self.value)

    def __str__(self) -> str:
        """All digits and no exponent, so that it is read as the same comparison again."""
        return f"{self.op}{Decimal(repr(self.value)):f}".removesuffix(".0")


class Meaning(BaseModel):
    """A piece of a field (a turn, one of its sentences, an OCR line) is near in meaning to any of some wordings."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    field: str
    """The text field whose pieces are compared."""
    wordings: Annotated[tuple[str, ...], Field(strict=False)]
    """As written; they are compared in normalised form."""
    at: float
    """The least cosine of the two sentence vectors, in (0, 1]."""
    encoder: str | None = None
    """The encoder that `at` is meant for, as `kdsl.embeddings.encoder.Encoder.name` says it; None: the project's."""

    def mapping(self) -> dict[str, Any]:
        """As it stands in a rule file."""
        wordings = self.wordings[0] if len(self.wordings) == 1 else list(self.wordings)
        known = {} if self.encoder is None else {"encoder": self.encoder}
        return {self.field: wordings, "at": self.at, **known}

    def __str__(self) -> str:
        return f"{self.field} means {'|'.join(self.wordings)} (at {self.at:g})"


class Colour(BaseModel):
    """A zone of the first image holds more, or less, of a colour than a share of its area."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    zone: str
    """One of `kdsl.fields.ZONES`."""
    colour: str
    """One of `kdsl.fields.COLOURS`."""
    share: Comparison

    def mapping(self) -> dict[str, Any]:
        """As it stands in a rule file."""
        return {"zone": self.zone, "colour": self.colour, "share": str(self.share)}

    def __str__(self) -> str:
        return f"{self.zone} {self.colour} {self.share}"


class LargeType(BaseModel):
    """Any of some terms stands in an OCR line of a certain height."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    terms: Annotated[tuple[str, ...], Field(strict=False)]
    """As written; they are compared in normalised form."""
    height: Comparison
    """The line's height as a share of the image's height."""

    def mapping(self) -> dict[str, Any]:
        """As it stands in a rule file."""
        return {"terms": list(self.terms), "height": str(self.height)}

    def __str__(self) -> str:
        return f"has {'|'.join(self.terms)} in lines {self.height}"


class Condition(BaseModel):
    """One test on one field, or its negation.

    Written as a mapping with one key:

    - any of some terms occurs, compared in normalised form: `{last_user: ["亮度", "调光"]}`
    - a number compares: `{image.aspect: ">1.8"}`
    - the first image is of a kind: `{image.kind: screenshot}`
    - a zone of it has a colour: `{image.colour: {zone: top, colour: orange, share: ">0.3"}}`
    - terms stand in large type: `{ocr.size: {terms: ["退款成功"], height: ">0.03"}}`
    - something means nearly this: `{means: {last_user: "退钱给我", at: 0.62}}`
    - a visual question is answered yes: `{sees: "…？"}`
    - none of it: `{not: {…}}`
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    field: str
    terms: Annotated[tuple[str, ...], Field(strict=False)] = ()
    comparison: Comparison | None = None
    question: str | None = None
    image_kind: str | None = None
    """One of `kdsl.fields.KINDS`."""
    colour: Colour | None = None
    size: LargeType | None = None
    meaning: Meaning | None = None
    negated: bool = False

    @property
    def reads(self) -> str:
        """The field whose content decides: of a meaning the text field that is compared."""
        return self.field if self.meaning is None else self.meaning.field

    @model_validator(mode="before")
    @classmethod
    def _from_mapping(cls, value: Any) -> Any:
        if isinstance(value, dict) and "field" not in value:
            return _parse(value)
        return value

    @field_validator("terms")
    @classmethod
    def _terms(cls, terms: tuple[str, ...]) -> tuple[str, ...]:
        for term in terms:
            _require_visible(term)
        return terms

    @model_serializer
    def mapping(self) -> dict[str, Any]:
        """The one-key mapping that stands in rule files."""
        return {"not": {self.field: self.test}} if self.negated else {self.field: self.test}

    @property
    def test(self) -> Any:
        """What stands beside the field's name in rule files."""
        if self.comparison is not None:
            return str(self.comparison)
        if self.question is not None or self.image_kind is not None:
            return self.question or self.image_kind
        structured = self._structured
        return list(self.terms) if structured is None else structured.mapping()

    @property
    def _structured(self) -> "Colour | LargeType | Meaning | None":
        return self.colour or self.size or self.meaning

    @property
    def sought(self) -> tuple[str, ...]:
        """The terms of a test on terms, anywhere in a field or in large type, as written."""
        return self.terms if self.size is None else self.size.terms

    @property
    def normalised_terms(self) -> frozenset[str]:
        """`sought`, normalised."""
        return frozenset(normalise(term) for term in self.sought)

    @property
    def compared(self) -> Comparison | None:
        """What a number, a colour's share or a line's height must be."""
        if self.colour is not None:
            return self.colour.share
        return self.comparison if self.size is None else self.size.height

    @property
    def normalised_words(self) -> frozenset[str]:
        """The terms, or the wordings of a meaning."""
        return self.normalised_terms if self.meaning is None else frozenset(map(normalise, self.meaning.wordings))

    def canonical(self) -> str:
        """A string equal for two conditions exactly when they test the same thing."""
        test: Any = self.test
        if self.question is not None:
            test = self.question.strip()
        elif self.size is not None:
            test = [_normal_forms(self.size.terms), str(self.size.height)]
        elif self.meaning is not None:
            meaning = self.meaning
            test = [meaning.field, _normal_forms(meaning.wordings), meaning.at, meaning.encoder]
        elif self.terms:
            test = _normal_forms(self.terms)
        return json.dumps([self.negated, self.field, test], ensure_ascii=False)

    def __str__(self) -> str:
        """The condition in words, for tables: `last_user has 亮度|调光`, `not image.aspect >1.8`."""
        structured = self._structured
        if isinstance(structured, Meaning):
            words = str(structured)
        elif structured is not None:
            words = f"{self.field} {structured}"
        elif self.terms:
            words = f"{self.field} has {'|'.join(self.terms)}"
        else:
            words = f"{self.field} {self.test}"
        return f"not {words}" if self.negated else words


def _normal_forms(texts: tuple[str, ...]) -> list[str]:
    return sorted({normalise(text) for text in texts})


def _require_visible(text: str, what: str = "term") -> None:
    if not normalise(text):
        raise ValueError(f"the {what} {text!r} is empty once normalised; write at least one visible character")


def _parse(mapping: dict[Any, Any]) -> dict[str, Any]:
    if len(mapping) != 1:
        raise ValueError(
            f"a condition has exactly one field, not {len(mapping)}: write one list item for each condition"
        )
    [(key, test)] = mapping.items()
    if key == "not":
        if not isinstance(test, dict):
            raise ValueError(f"`not` takes a condition such as {{last_user: […]}}, not {test!r}")
        inner = _parse(test)
        if inner.get("negated"):
            raise ValueError("`not` inside `not` is the condition itself: write it without either")
        return {**inner, "negated": True}
    if not isinstance(key, str) or key not in FIELDS:
        raise ValueError(f"unknown field {key!r}; fields are {', '.join(FIELDS)}")
    if key in TEXT_FIELDS:
        return {
            "field": key,
            "terms": _texts(key, test, 'a list of one or more terms in quotes, like ["亮度", "调光"]'),
        }
    if key in NUMBER_FIELDS:
        return {"field": key, "comparison": _comparison(key, test)}
    if key == KIND_FIELD:
        return {"field": key, "image_kind": _one_of(key, "kind", test, KINDS)}
    if key == COLOUR_FIELD:
        return {"field": key, "colour": _colour(test)}
    if key == SIZE_FIELD:
        return {"field": key, "size": _size(test)}
    if key == MEANING_FIELD:
        return {"field": key, "meaning": _meaning(test)}
    if not isinstance(test, str) or not test.strip():
        raise ValueError(f"{QUESTION_FIELD} takes a yes/no question in quotes, not {test!r}")
    return {"field": key, "question": test}


def _texts(key: str, test: Any, expected: str) -> tuple[str, ...]:
    if isinstance(test, str) or not isinstance(test, (list, tuple)) or not test:
        raise ValueError(f"{key} takes {expected}, not {test!r}")
    wrong = next((term for term in test if not isinstance(term, str)), None)
    if wrong is not None:
        raise ValueError(f"{key}: the term {wrong!r} is not text; put it in double quotes")
    return tuple(test)


def _comparison(key: str, test: Any, example: str = '">1.8" or "<=2"') -> Comparison:
    match = _COMPARISON.fullmatch(test) if isinstance(test, str) else None
    if match is None:
        raise ValueError(f"{key} takes a comparison in quotes, like {example}, not {test!r}")
    value = float(match[2])
    if not math.isfinite(value):
        raise ValueError(f"{key}: a number of {len(match[2])} digits is too large to compare with")
    return Comparison.model_validate({"op": match[1], "value": value})


def _one_of(key: str, what: str, value: Any, known: tuple[str, ...]) -> str:
    if not isinstance(value, str) or value not in known:
        raise ValueError(f"{key}: there is no {what} {value!r}; choose from {', '.join(known)}")
    return value


def _parts(key: str, test: Any, keys: tuple[str, ...], example: str) -> dict[str, Any]:
    if not isinstance(test, dict) or set(test) != set(keys):
        raise ValueError(f"{key} takes {', '.join(keys)}, like {example}, not {test!r}")
    return test


def _colour(test: Any) -> Colour:
    parts = _parts(COLOUR_FIELD, test, ("zone", "colour", "share"), '{zone: top, colour: orange, share: ">0.3"}')
    return Colour(
        zone=_one_of(COLOUR_FIELD, "zone", parts["zone"], tuple(ZONES)),
        colour=_one_of(COLOUR_FIELD, "colour", parts["colour"], COLOURS),
        share=_comparison(f"{COLOUR_FIELD}: share", parts["share"], '">0.3"'),
    )


def _size(test: Any) -> LargeType:
    parts = _parts(SIZE_FIELD, test, ("terms", "height"), '{terms: ["退款成功"], height: ">0.03"}')
    terms = _texts(f"{SIZE_FIELD}: terms", parts["terms"], 'a list of one or more terms in quotes, like ["退款成功"]')
    for term in terms:
        _require_visible(term)
    return LargeType(terms=terms, height=_comparison(f"{SIZE_FIELD}: height", parts["height"], '">0.03"'))


def _meaning(test: Any) -> Meaning:
    example = '{last_user: "退钱给我", at: 0.62}'
    compared = [key for key in test if key in TEXT_FIELDS] if isinstance(test, dict) else []
    if not isinstance(test, dict) or len(compared) != 1 or not {"at"} <= set(test) <= {"at", "encoder", *compared}:
        fields = ", ".join(TEXT_FIELDS)
        raise ValueError(f"{MEANING_FIELD} takes one field ({fields}) and `at`, like {example}, not {test!r}")
    [field] = compared
    written = [test[field]] if isinstance(test[field], str) else test[field]
    wordings = _texts(f"{MEANING_FIELD}: {field}", written, f"one or more sentences in quotes, like {example}")
    for wording in wordings:
        _require_visible(wording, "wording")
    at, encoder = test["at"], test.get("encoder")
    if isinstance(at, bool) or not isinstance(at, int | float) or not 0 < at <= 1:
        raise ValueError(f"{MEANING_FIELD}: at is the least similarity, a number above 0 and at most 1, not {at!r}")
    if encoder is not None and (not isinstance(encoder, str) or not encoder.strip()):
        raise ValueError(f"{MEANING_FIELD}: encoder is the name of an encoder in quotes, not {encoder!r}")
    return Meaning(field=field, wordings=wordings, at=float(at), encoder=encoder)
