"""The decision on one sample: its label, who decided, the label without rules, and why, in one sentence."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from kdsl.arbiter.arbiter import Arbiter, RuleJudge
from kdsl.arbiter.evidence import Floats, RuleEvidence
from kdsl.arbiter.scope import Belief, Scope
from kdsl.fields.table import FieldTable
from kdsl.models.classifier import Classifier
from kdsl.rules.evidence import Evidence, Hit
from kdsl.rules.rule import Rule
from kdsl.sample import Sample
from kdsl.vlm.usage import Cost

_NAMED = 2
"""Rules that a reason names; the others are counted."""
_DIGITS = 6


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


@dataclass(frozen=True, repr=False)
class Decision:
    """What the arbiter says about one sample. Probabilities are in the order of `labels` and sum to 1."""

    sample: Sample
    labels: tuple[str, ...]
    model: Floats
    """The model alone, with its temperature. [n_labels]"""
    merged: Floats
    """[n_labels]"""
    rules: tuple[WeighedHit, ...]
    """The rules that hold on the sample, with their evidence, the heaviest first."""
    listens_to: str
    """Which rules the arbiter listens to: see `Arbiter.listens_to`."""
    answered: bool = True
    """False where a model that answers with labels gave none: `model` is then the share of each label in training."""
    cost: Cost | None = None
    """Model calls and output tokens of a large model that was asked; None for the other classifiers."""
    model_reason: str | None = None
    """What a model that reasons wrote before its label."""
    cold: bool = False
    """Whether no labelled sample was there to learn from: the model goes by the labels' names and descriptions."""
    other: str | None = None
    """The label of what belongs to none of the others, where something looked whether the sample does."""
    below: float = 0.0
    """The probability of the likeliest label under which the decision is handed to a person."""

    @property
    def label(self) -> str | None:
        """The likeliest, with the rules; None where the decision is handed to a person."""
        return None if self.abstained else self.likeliest

    @property
    def abstained(self) -> bool:
        """Whether the decision is handed to a person."""
        return bool(self.merged.max() < self.below)

    @property
    def likeliest(self) -> str:
        """The label, or what it would be where the decision is handed to a person."""
        return self.labels[int(self.merged.argmax())]

    @property
    def likeliest_belonging(self) -> str:
        """The likeliest label but `other`: what the sample would have if it belonged to any."""
        order = np.argsort(-self.merged, kind="stable")
        return next(self.labels[i] for i in order if self.labels[i] != self.other)

    @property
    def probabilities(self) -> dict[str, float]:
        """By label, with the rules; they sum to 1."""
        return dict(zip(self.labels, map(float, self.merged), strict=True))

    @property
    def model_label(self) -> str:
        return self.labels[int(self.model.argmax())]

    @property
    def by(self) -> Literal["model", "rules", "other", "abstained"]:
        """ "abstained" where the decision is handed to a person, and "other" where the sample belongs to no label.

        Else "rules" when they changed the label, or when the model had no answer and they had one, or "model".
        """
        return "abstained" if self.abstained else self._by

    @property
    def _by(self) -> Literal["model", "rules", "other"]:
        """By whom, if it is decided."""
        label = self.likeliest
        speaking = bool(self._speaking(label))
        if label == self.other and not speaking:
            return "other"
        if self.answered:
            return "model" if label == self.model_label else "rules"
        return "rules" if speaking else "model"

    def _speaking(self, label: str) -> list[WeighedHit]:
        if self.listens_to == "none":
            return []
        return [hit for hit in self.rules if hit.rule.label == label and hit.weight > 0]

    @property
    def reason(self) -> str:
        """Why this label, or none, in one sentence for a person."""
        if not self.abstained:
            return self._reason
        sure = " is under ".join(_told_apart(float(self.merged.max()), self.below))
        return f"handed to a person, as {self.likeliest} is not sure enough ({sure}); {self._reason}"

    @property
    def _reason(self) -> str:
        """Why the likeliest label is that."""
        label, by = self.likeliest, self._by
        if by == "other":
            instead = self.likeliest_belonging
            share = _share(self.merged[self.labels.index(instead)])
            holds = "" if self.rules else "; no rule holds"
            return (
                f"it belongs to none of the labels ({_share(self.merged.max())}): the likeliest of them, {instead}, "
                f"is not likely enough ({share}){holds}"
            )
        if by == "rules":
            speaking = f"{_named(self._speaking(label))} for {label}"
            if not self.answered:
                return f"{speaking} ({_share(self.merged.max())}); the model has no answer"
            rivals = f"{_share(self.merged.max())} against {_share(self.merged[self.model.argmax()])}"
            taught = ", which no labelled sample has taught" if self.cold else ""
            return f"{speaking} ({rivals} for the model's {self.model_label}{taught})"
        own = f"the model says {label} ({_share(self.model.max())})"
        if self.cold:
            own = f"{own} by the labels' names and descriptions alone, as no labelled sample was there to learn from"
        if not self.answered:
            own = f"the model has no answer; {label} is the likeliest without one"
        if not self.rules:
            return f"{own}; no rule holds"
        counted = [hit for hit in self.rules if hit.weight > 0]
        if (silent := self._silent()) is not None:
            return f"{own}; {_counted(self.rules)}{silent}"
        agree = self._speaking(label)
        against = [hit for hit in counted if hit.rule.label != label]
        parts = [own]
        if agree:
            parts.append(f"{_named(agree)} for it too")
        if against:
            others = ", ".join(dict.fromkeys(hit.rule.label for hit in against))
            parts.append(f"{_named(against)} for {others}, which is not enough")
        if not counted:
            parts.append("the rules that hold add nothing to what the model says")
        return "; ".join(parts)

    def _silent(self) -> str | None:
        """Why no rule that holds counts, where that is so because of the part they are of; else None."""
        if self.listens_to == "none":
            return ": rules do not count, as they did not help in training"
        if self.listens_to == "accepted" and not any(hit.rule.approved for hit in self.rules):
            why = "nothing has shown yet that such rules help" if self.cold else "such rules did not help in training"
            return f" that nobody has accepted: {why}"
        if self.listens_to == "proposed" and all(hit.rule.approved for hit in self.rules):
            return " that people accepted: accepted rules did harm in training"
        return None

    def record(self) -> dict[str, Any]:
        """The JSON object that stands in a prediction file: docs/prediction.md."""
        return {
            "id": self.sample.id,
            "task": self.sample.task,
            "label": self.label,
            "probabilities": self._distribution(self.merged),
            "model": {
                "label": self.model_label,
                "probability": round(float(self.model.max()), _DIGITS),
                "probabilities": self._distribution(self.model),
                **({} if self.model_reason is None else {"reason": self.model_reason}),
            },
            "rules": [
                {
                    "id": hit.rule.id,
                    "label": hit.rule.label,
                    "reliability": round(hit.reliability, 4),
                    "evidence": [evidence.record() for evidence in hit.evidence],
                }
                for hit in self.rules
            ],
            "decision": {
                "by": self.by,
                "label_without_rules": self.model_label,
                "reason": self.reason,
                **self._instead(),
            },
            **({} if self.cost is None else {"cost": asdict(self.cost)}),
        }

    def _instead(self) -> dict[str, str]:
        """What the label would have been, had it not been handed over or taken for one that belongs to none."""
        if self.abstained:
            return {"label_if_decided": self.likeliest}
        return {"label_if_belonging": self.likeliest_belonging} if self.by == "other" else {}

    @property
    def by_whom(self) -> str:
        """`by` as the end of a sentence that begins with "decided"."""
        match self.by:
            case "abstained":
                return "by nobody yet"
            case "other":
                return f"as one of {self.other}"
            case by:
                return f"by the {by}"

    def __repr__(self) -> str:
        return f"Decision({self.sample.id!r}: {self.label!r} {_share(self.merged.max())}, {self.by_whom})"

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from kdsl.arbiter.html import decision_html

        return decision_html(self)

    def _distribution(self, probabilities: Floats) -> dict[str, float]:
        return {
            label: round(float(probability), _DIGITS)
            for label, probability in zip(self.labels, probabilities, strict=True)
        }


def decide(
    arbiter: Arbiter, classifier: Classifier, judge: RuleJudge, table: FieldTable, scope: Scope | None = None
) -> list[Decision]:
    """One decision for every sample of `table`, in its order; `scope` says whether it belongs to any label."""
    said = classifier.predict(table)
    model = said.probabilities
    hits, evidence = judge.evidence(table)
    nothing = RuleEvidence.none(*model.shape)
    if scope is None:
        alone = arbiter.model_alone.probabilities(model, nothing)
        merged = arbiter.pool.probabilities(model, evidence)
    else:
        near = scope.near(table)
        alone = scope.merged(arbiter.model_alone, Belief(model, nothing, near))
        merged = scope.merged(arbiter.pool, Belief(model, evidence, near))
    other = None if scope is None else arbiter.labels[scope.other]
    below = 0.0 if arbiter.abstention is None else arbiter.abstention.below
    decisions = []
    for row, found in enumerate(hits):
        weighed = []
        for hit in found:
            position = judge.position(hit.rule)
            reliability, weight = judge.weighed.reliability[position], judge.weighed.weights[position]
            weighed.append(WeighedHit(hit, float(reliability), float(weight)))
        weighed.sort(key=lambda each: -each.weight)
        decisions.append(
            Decision(
                table.rows[row].sample,
                arbiter.labels,
                alone[row],
                merged[row],
                tuple(weighed),
                arbiter.listens_to,
                said.answered is None or bool(said.answered[row]),
                None if said.costs is None else said.costs[row],
                None if said.reasons is None else said.reasons[row],
                arbiter.cold,
                other,
                below,
            )
        )
    return decisions


def _named(hits: Sequence[WeighedHit]) -> str:
    """`rule r-1 (last_user has 调光) speaks`, `rules r-1 (…), r-2 (…) and 3 more speak`."""
    names = [f"{hit.rule.id} ({_conditions(hit.hit)})" for hit in hits[:_NAMED]]
    if len(hits) > _NAMED:
        names.append(f"{len(hits) - _NAMED} more")
    if len(hits) == 1:
        return f"rule {names[0]} speaks"
    return f"rules {', '.join(names[:-1])} and {names[-1]} speak"


def _counted(hits: Sequence[WeighedHit]) -> str:
    return "1 rule holds" if len(hits) == 1 else f"{len(hits)} rules hold"


def _conditions(hit: Hit) -> str:
    """The rule's conditions, of an any-list only the term that was found."""
    return " and ".join(str(evidence.as_found) for evidence in hit.evidence)


def _told_apart(one: float, another: float) -> tuple[str, str]:
    """Both numbers with as many digits as it takes to see which is larger, two at least."""
    for digits in range(2, _DIGITS):
        if f"{one:.{digits}f}" != f"{another:.{digits}f}":
            break
    return f"{one:.{digits}f}", f"{another:.{digits}f}"


def _share(probability: float) -> str:
    return f"{probability:.2f}"
