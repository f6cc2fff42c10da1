"""A rule that holds on a sample with what it is worth, and how reasons name such rules."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kdsl.rules.evidence import Evidence, Hit
from kdsl.rules.rule import Rule

_NAMED = 2
"""Rules that a reason names; the others are counted."""


@dataclass(frozen=True)
class WeighedHit:
    """A rule that holds on the sample, and what it is worth."""

    hit: Hit
    reliability: float
    """Estimated precision on new samples, 0 to 1."""
    weight: float
    """What it adds to the log odds of its label beside the model, before `b`; 0 where it does not count."""

    @property
    def rule(self) -> Rule:
        return self.hit.rule

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """What each condition of the rule found in the sample, in their order."""
        return self.hit.evidence

    def record(self) -> dict[str, Any]:
        """As it stands in a prediction file: docs/prediction.md."""
        return {
            "id": self.rule.id,
            "label": self.rule.label,
            "reliability": round(self.reliability, 4),
            "evidence": [evidence.record() for evidence in self.evidence],
        }


def named(hits: Sequence[WeighedHit]) -> str:
    """`rule r-1 (last_user has 调光) speaks`, `rules r-1 (…), r-2 (…) and 3 more speak`."""
    names = [f"{hit.rule.id} ({_conditions(hit.hit)})" for hit in hits[:_NAMED]]
    if len(hits) > _NAMED:
        names.append(f"{len(hits) - _NAMED} more")
    if len(hits) == 1:
        return f"rule {names[0]} speaks"
    return f"rules {', '.join(names[:-1])} and {names[-1]} speak"


def counted(hits: Sequence[WeighedHit]) -> str:
    """`1 rule holds`, `3 rules hold`."""
    return "1 rule holds" if len(hits) == 1 else f"{len(hits)} rules hold"


def why_silent(hits: Sequence[WeighedHit], listens_to: str, cold: bool = False) -> str | None:
    """Why no rule that holds counts, where that is so because of the part they are of; else None.

    `listens_to` and `cold` are those of the arbiter.
    """
    if listens_to == "none":
        return ": rules do not count, as they did not help in training"
    if listens_to == "accepted" and not any(hit.rule.approved for hit in hits):
        why = "nothing has shown yet that such rules help" if cold else "such rules did not help in training"
        return f" that nobody has accepted: {why}"
    if listens_to == "proposed" and all(hit.rule.approved for hit in hits):
        return " that people accepted: accepted rules did harm in training"
    return None


def _conditions(hit: Hit) -> str:
    """The rule's conditions, of an any-list only the term that was found."""
    return " and ".join(evidence.words for evidence in hit.evidence)
