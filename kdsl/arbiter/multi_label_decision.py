"""The decision on a sample that may have several labels: one for each label, with who decided it and why."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kdsl.arbiter.arbiter import Arbiter, RuleJudge
from kdsl.arbiter.decision import Decision
from kdsl.arbiter.evidence import Floats, RuleEvidence
from kdsl.arbiter.multi_label import pooled
from kdsl.arbiter.weighed_hit import WeighedHit, counted, named, why_silent
from kdsl.fields.table import FieldTable
from kdsl.models.classifier import Classifier
from kdsl.sample import NO_LABEL_HOLDS, Sample

_DIGITS = 6


@dataclass(frozen=True)
class LabelDecision:
    """Whether one label holds on a sample."""

    label: str
    probability: float
    """That it holds, with the rules."""
    threshold: float
    """From which probability on it holds; chosen out of fold."""
    model_probability: float
    """The same without rules."""
    model_threshold: float
    rules: tuple[WeighedHit, ...]
    """The rules for this label that hold on the sample, the heaviest first."""
    listens_to: str
    """Which rules the arbiter listens to: see `Arbiter.listens_to`."""

    @property
    def holds(self) -> bool:
        return self.probability >= self.threshold

    @property
    def holds_without_rules(self) -> bool:
        return self.model_probability >= self.model_threshold

    @property
    def _heard(self) -> list[WeighedHit]:
        return [] if self.listens_to == "none" else [hit for hit in self.rules if hit.weight > 0]

    @property
    def by(self) -> str:
        """ "rules" when they made the label hold, else "model"."""
        return "rules" if self.holds and not self.holds_without_rules and self._heard else "model"

    @property
    def reason(self) -> str:
        """Why it holds or not, in one sentence for a person, who knows which label is meant."""
        heard = self._heard
        if self.by == "rules":
            return (
                f"{named(heard)} for it ({self.probability:.2f}, from {self.threshold:.2f} on it holds; "
                f"{self.model_probability:.2f} by the model alone)"
            )
        shown = self.probability if heard else self.model_probability
        least = self.threshold if heard else self.model_threshold
        verdict = "enough" if self.holds else "too little"
        own = f"the model gives it {self.model_probability:.2f}"
        if not self.rules:
            return f"{own}, {verdict} as it holds from {least:.2f} on; no rule for it holds"
        if not heard:
            silent = why_silent(self.rules, self.listens_to) or ", which adds nothing to what the model says"
            return f"{own}, {verdict} as it holds from {least:.2f} on; {counted(self.rules)}{silent}"
        return f"{own} and {named(heard)} for it: together {shown:.2f}, {verdict} as it holds from {least:.2f} on"

    def record(self) -> dict[str, Any]:
        """What stands under `decisions` in a prediction file: docs/prediction.md."""
        return {
            "holds": self.holds,
            "probability": round(self.probability, _DIGITS),
            "threshold": self.threshold,
            "by": self.by,
            "holds_without_rules": self.holds_without_rules,
            "reason": self.reason,
        }


@dataclass(frozen=True, repr=False)
class MultiLabelDecision:
    """What the arbiter says about one sample of a task with several labels a sample (`Task.multi`)."""

    sample: Sample
    labels: tuple[str, ...]
    """All of the task, in its order, as the decisions are."""
    decisions: tuple[LabelDecision, ...]
    rules: tuple[WeighedHit, ...]
    """The rules that hold on the sample, with their evidence, the heaviest first."""

    @property
    def label(self) -> tuple[str, ...]:
        """The labels that hold, with the rules; () where none does."""
        return tuple(each.label for each in self.held)

    @property
    def model_label(self) -> tuple[str, ...]:
        """The labels that hold without rules."""
        return tuple(each.label for each in self.decisions if each.holds_without_rules)

    @property
    def label_words(self) -> str:
        """The labels that hold, to be read."""
        return " + ".join(self.label) or NO_LABEL_HOLDS

    @property
    def held(self) -> tuple[LabelDecision, ...]:
        """The decisions on the labels that hold."""
        return tuple(each for each in self.decisions if each.holds)

    @property
    def probabilities(self) -> Mapping[str, float]:
        """By label, with the rules, each by itself."""
        return {each.label: each.probability for each in self.decisions}

    @property
    def by(self) -> str:
        """ "rules" when they made a label hold, else "model"."""
        return "rules" if any(each.by == "rules" for each in self.decisions) else "model"

    @property
    def reason(self) -> str:
        """Why these labels, for a person: a clause for each label that holds, or for the one that is nearest to it."""
        if self.held:
            return "; ".join(f"{each.label}: {each.reason}" for each in self.held)
        nearest = max(self.decisions, key=lambda each: each.probability - each.threshold)
        return f"no label holds, {nearest.label} being the nearest: {nearest.reason}"

    def record(self) -> dict[str, Any]:
        """The JSON object that stands in a prediction file: docs/prediction.md."""
        return {
            "id": self.sample.id,
            "task": self.sample.task,
            "label": list(self.label),
            "probabilities": {each.label: round(each.probability, _DIGITS) for each in self.decisions},
            "model": {
                "label": list(self.model_label),
                "probabilities": {each.label: round(each.model_probability, _DIGITS) for each in self.decisions},
            },
            "rules": [hit.record() for hit in self.rules],
            "decision": {"by": self.by, "label_without_rules": list(self.model_label), "reason": self.reason},
            "decisions": {each.label: each.record() for each in self.decisions},
        }

    def __repr__(self) -> str:
        return f"MultiLabelDecision({self.sample.id!r}: {self.label_words!r}, by the {self.by})"

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from kdsl.arbiter.html import decision_html

        return decision_html(self)


AnyDecision = Decision | MultiLabelDecision


def decide_labels(
    arbiter: Arbiter, classifier: Classifier, judge: RuleJudge, table: FieldTable
) -> list[MultiLabelDecision]:
    """One decision for every sample of `table`, in its order, of an arbiter with several labels a sample."""
    model = classifier.predict(table).probabilities
    hits, evidence = judge.evidence(table)
    alone = pooled(arbiter.model_alone, model, RuleEvidence.none(*model.shape))
    merged = pooled(arbiter.pool, model, evidence)
    decisions = []
    for row, found in enumerate(hits):
        weighed = judge.weighed_hits(found)
        of_labels = _label_decisions(arbiter, merged[row], alone[row], weighed)
        decisions.append(MultiLabelDecision(table.rows[row].sample, arbiter.labels, of_labels, weighed))
    return decisions


def _label_decisions(
    arbiter: Arbiter, merged: Floats, alone: Floats, weighed: tuple[WeighedHit, ...]
) -> tuple[LabelDecision, ...]:
    """Of one sample: `merged` and `alone` [n_labels] are probabilities with the rules and without."""
    return tuple(
        LabelDecision(
            label,
            float(merged[i]),
            arbiter.thresholds[i],
            float(alone[i]),
            arbiter.model_thresholds[i],
            tuple(hit for hit in weighed if hit.rule.label == label),
            arbiter.listens_to,
        )
        for i, label in enumerate(arbiter.labels)
    )
