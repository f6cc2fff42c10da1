"""The decision on one sample: its label, who decided, the label without rules, and why, in one sentence."""

from dataclasses import asdict, dataclass
from typing import Any

from kdsl.arbiter.arbiter import Arbiter, RuleJudge
from kdsl.arbiter.evidence import Floats, RuleEvidence
from kdsl.arbiter.weighed_hit import WeighedHit, counted, named, why_silent
from kdsl.fields.table import FieldTable
from kdsl.models.classifier import Classifier
from kdsl.sample import Sample
from kdsl.vlm.usage import Cost

_DIGITS = 6


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
            speaking = f"{named(self._speaking(self.label))} for {self.label}"
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
        heard = [hit for hit in self.rules if hit.weight > 0]
        if (silent := why_silent(self.rules, self.listens_to, self.cold)) is not None:
            return f"{own}; {counted(self.rules)}{silent}"
        agree = self._speaking(self.label)
        against = [hit for hit in heard if hit.rule.label != self.label]
        parts = [own]
        if agree:
            parts.append(f"{named(agree)} for it too")
        if against:
            others = ", ".join(dict.fromkeys(hit.rule.label for hit in against))
            parts.append(f"{named(against)} for {others}, which is not enough")
        if not heard:
            parts.append("the rules that hold add nothing to what the model says")
        return "; ".join(parts)

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
            "rules": [hit.record() for hit in self.rules],
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
        decisions.append(
            Decision(
                table.rows[row].sample,
                arbiter.labels,
                alone[row],
                merged[row],
                judge.weighed_hits(found),
                arbiter.listens_to,
                said.answered is None or bool(said.answered[row]),
                None if said.costs is None else said.costs[row],
                None if said.reasons is None else said.reasons[row],
                arbiter.cold,
            )
        )
    return decisions


def _share(probability: float) -> str:
    return f"{probability:.2f}"
