"""A condition: one test on one field, or its negation."""

import json
import math
import operator
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_serializer, model_validator

from kdsl.fields import FIELDS, NUMBER_FIELDS, QUESTION_FIELD, TEXT_FIELDS
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


class Condition(BaseModel):
    """One test on one field: any of `terms` occurs, or `comparison` holds, or `question` is answered yes; or not.

    Written as a mapping with one key: `{last_user: ["亮度", "调光"]}`, `{image.aspect: ">1.8"}`, `{sees: "…？"}`,
    `{not: {…}}`. Terms are kept as written; they are compared in normalised form.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    field: str
    terms: Annotated[tuple[str, ...], Field(strict=False)] = ()
    comparison: Comparison | None = None
    question: str | None = None
    negated: bool = False

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
            if not normalise(term):
                raise ValueError(f"the term {term!r} is empty once normalised; write at least one visible character")
        return terms

    @model_serializer
    def mapping(self) -> dict[str, Any]:
        """The one-key mapping that stands in rule files."""
        test: Any = list(self.terms)
        if self.comparison is not None:
            test = str(self.comparison)
        elif self.question is not None:
            test = self.question
        return {"not": {self.field: test}} if self.negated else {self.field: test}

    @property
    def normalised_terms(self) -> frozenset[str]:
        return frozenset(normalise(term) for term in self.terms)

    def canonical(self) -> str:
        """A string equal for two conditions exactly when they test the same thing."""
        test: Any = sorted(self.normalised_terms)
        if self.comparison is not None:
            test = str(self.comparison)
        elif self.question is not None:
            test = self.question.strip()
        return json.dumps([self.negated, self.field, test], ensure_ascii=False)

    def __str__(self) -> str:
        """The condition in words, for tables: `last_user has 亮度|调光`, `not image.aspect >1.8`."""
        if self.comparison is not None:
            words = f"{self.field} {self.comparison}"
        elif self.question is not None:
            words = f"{self.field} {self.question}"
        else:
            words = f"{self.field} has {'|'.join(self.terms)}"
        return f"not {words}" if self.negated else words


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
        if isinstance(test, str) or not isinstance(test, (list, tuple)) or not test:
            raise ValueError(f'{key} takes a list of one or more terms in quotes, like ["亮度", "调光"], not {test!r}')
        wrong = next((term for term in test if not isinstance(term, str)), None)
        if wrong is not None:
            raise ValueError(f"{key}: the term {wrong!r} is not text; put it in double quotes")
        return {"field": key, "terms": tuple(test)}
    if key in NUMBER_FIELDS:
        match = _COMPARISON.fullmatch(test) if isinstance(test, str) else None
        if match is None:
            raise ValueError(f'{key} takes a comparison in quotes, like ">1.8" or "<=2", not {test!r}')
        value = float(match[2])
        if not math.isfinite(value):
            raise ValueError(f"{key}: a number of {len(match[2])} digits is too large to compare with")
        return {"field": key, "comparison": Comparison(op=match[1], value=value)}
    if not isinstance(test, str) or not test.strip():
        raise ValueError(f"{QUESTION_FIELD} takes a yes/no question in quotes, not {test!r}")
    return {"field": key, "question": test}
