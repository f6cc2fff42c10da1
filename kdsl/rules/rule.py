"""A rule: a label if all conditions hold, with where it came from, what people decided, and its tests."""

import hashlib
import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from kdsl.rules.condition import Condition

Status = Literal["proposed", "accepted", "rejected", "disabled"]
_ALPHABET = "23456789abcdefghjkmnpqrstvwxyz"
"""No characters that people mix up when reading an id aloud."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class When(_Part):
    """All of these conditions must hold."""

    all: Annotated[tuple[Condition, ...], Field(strict=False, min_length=1)]


class Provenance(_Part):
    source: str = ""
    proposer: str = ""
    run: str = ""
    seed: int | None = None


class Review(_Part):
    by: str = ""
    at: str = ""
    of: str = ""
    """Hash of the `when` that was reviewed: another hash means that the approval is stale."""


class Tests(_Part):
    """Ids of samples that the rule must hit and must not hit."""

    hit: list[str] = []
    miss: list[str] = []


class Rule(_Part):
    """`label` if every condition in `when` holds. Files: rules/<task>/<label>/<slug>--<id>.yaml."""

    schema_: Annotated[Literal[1], Field(alias="schema")] = 1
    id: str
    label: str
    status: Status = "proposed"
    when: When
    provenance: Provenance = Provenance()
    review: Review = Review()
    tests: Tests = Tests()
    notes: str = ""

    model_config = ConfigDict(extra="forbid", strict=True, populate_by_name=True)

    @field_validator("id")
    @classmethod
    def _id(cls, value: str) -> str:
        if not re.fullmatch(r"r-[0-9a-z]{4,16}", value):
            raise ValueError(f'the id {value!r} is not of the form "r-7f3k2m9q"')
        return value

    @property
    def conditions(self) -> tuple[Condition, ...]:
        return self.when.all

    @property
    def when_hash(self) -> str:
        """Changes exactly when what the rule tests changes (not its order, spacing or letter case). 16 hex digits."""
        return when_hash(self.conditions)

    @property
    def stale(self) -> bool:
        """Whether somebody reviewed another version of the conditions than the present one."""
        return bool(self.review.of) and self.review.of != self.when_hash

    @property
    def approved(self) -> bool:
        """Whether a person accepted the rule as it now stands."""
        return self.status == "accepted" and not self.stale

    def record(self) -> dict[str, Any]:
        """The mapping that stands in the rule file, keys in the design's order."""
        return self.model_dump(by_alias=True, mode="json")

    def __str__(self) -> str:
        return f"{' and '.join(str(condition) for condition in self.conditions)} → {self.label}"


def when_hash(conditions: tuple[Condition, ...]) -> str:
    """Hash of a set of conditions, the same in whatever order they stand. 16 hex digits."""
    canonical = "\n".join(sorted({condition.canonical() for condition in conditions}))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def rule_id(task: str, label: str, conditions: tuple[Condition, ...]) -> str:
    """The id a mined rule gets: the same rule found twice has the same id, so that mining again changes no file."""
    digest = hashlib.sha256(f"{task}\n{label}\n{when_hash(conditions)}".encode()).digest()
    number = int.from_bytes(digest[:8], "big")
    digits = []
    for _ in range(8):
        number, digit = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "r-" + "".join(digits)
