"""The decision on one sample: its label, who decided, the label without rules, and why, in one sentence."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from kdsl.arbiter.arbiter import Arbiter, RuleJudge
from kdsl.arbiter.evidence import Floats, RuleEvidence
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

    @property
    def label(self) -> str:
        """The likeliest, with the rules."""
        return self.labels[int(self.merged.argmax())]

    @property
    def probabilities(self) -> dict[str, float]:
        """By label, with the rules; they sum to 1."""
        return dict(zip(self.labels, map(float, self.merged), strict=True))

    @property
    def model_label(self) -> str:
        return self.labels[int(self.model.argmax())]

    @property
    def by(self) -> str:
        """ "rules" when they changed the label, or when the model had no answer and they had one; else "model"."""
        if self.answered:
            return "model" if self.label == self.model_label else "rules"
        return "rules" if self._speaking(self.label) else "model"

    def _speaking(self, label: str) -> list[WeighedHit]:
        if self.listens_to == "none":
            return []
        return [hit for hit in self.rules if hit.rule.label == label and hit.weight > 0]

    @property
    def reason(self) -> str:
        """Why this label, in one sentence for a person."""
        if self.by == "rules":
            speaking = f"{_named(self._speaking(self.label))} for {self.label}"
            if not self.answered:
                return f"{speaking} ({_share(self.merged.max())}); the model has no answer"
            rivals = f"{_share(self.merged.max())} against {_share(self.merged[self.model.argmax()])}"
            taught = ", which no labelled sample has taught" if self.cold else ""
            return f"{speaking} ({rivals} for the model's {self.model_label}{taught})"
        own = f"the model says {self.label} ({_share(self.model.max())})"
        if self.cold:
            own = f"{own} by the labels' names and descriptions alone, as no labelled sample was there to learn from"
        if not self.answered:
            own = f"the model has no answer; {self.label} is the likeliest without one"
        if not self.rules:
            return f"{own}; no rule holds"
        counted = [hit for hit in self.rules if hit.weight > 0]
        if (silent := self._silent()) is not None:
            return f"{own}; {_counted(self.rules)}{silent}"
        agree = self._speaking(self.label)
        against = [hit for hit in counted if hit.rule.label != self.label]
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
            "decision": {"by": self.by, "label_without_rules": self.model_label, "reason": self.reason},
            **({} if self.cost is None else {"cost": asdict(self.cost)}),
        }

    def __repr__(self) -> str:
        return f"Decision({self.sample.id!r}: {self.label!r} {_share(self.merged.max())}, by the {self.by})"

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from kdsl.arbiter.html import decision_html

        return decision_html(self)

    def _distribution(self, probabilities: Floats) -> dict[str, float]:
        return {
            label: round(float(probability), _DIGITS)
            for label, probability in zip(self.labels, probabilities, strict=True)
        }


def decide(arbiter: Arbiter, classifier: Classifier, judge: RuleJudge, table: FieldTable) -> list[Decision]:
    """One decision for every sample of `table`, in its order."""
    said = classifier.predict(table)
    model = said.probabilities
    hits, evidence = judge.evidence(table)
    alone = arbiter.model_alone.probabilities(model, RuleEvidence.none(*model.shape))
    merged = arbiter.pool.probabilities(model, evidence)
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


def _share(probability: float) -> str:
    return f"{probability:.2f}"
