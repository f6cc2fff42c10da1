"""The decision on one sample: its label, who decided, the label without rules, and why, in one sentence."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from kdsl.arbiter.arbiter import Arbiter, RuleJudge
from kdsl.arbiter.evidence import Floats, RuleEvidence
from kdsl.arbiter.scope import Belief, Scope
from kdsl.arbiter.weighed_hit import WeighedHit, counted, named, why_silent
from kdsl.fields.table import FieldTable
from kdsl.models.classifier import Classifier
from kdsl.sample import Sample
from kdsl.vlm.usage import Cost

_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Distribution:
    """The probabilities of a sample's labels as a decision tells them: looked through for a batch at once."""

    best: int
    """Index of the largest, of several the first."""
    largest: float
    rounded: list[float]
    """[n_labels]"""

    @classmethod
    def of(cls, probabilities: Floats) -> "list[Distribution]":
        """[n_samples, n_labels] to [n_samples]"""
        best, largest = probabilities.argmax(axis=1), probabilities.max(axis=1)
        return list(map(cls, best.tolist(), largest.tolist(), probabilities.round(_DIGITS).tolist()))


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
    told: tuple[Distribution, ...] = ()
    """Of `model` and of `merged`."""

    def __post_init__(self) -> None:
        if not self.told:
            object.__setattr__(self, "told", tuple(Distribution.of(np.stack([self.model, self.merged]))))

    @property
    def label(self) -> str | None:
        """The likeliest, with the rules; None where the decision is handed to a person."""
        return None if self.abstained else self.likeliest

    @property
    def abstained(self) -> bool:
        """Whether the decision is handed to a person."""
        return self.told[1].largest < self.below

    @property
    def likeliest(self) -> str:
        """The label, or what it would be where the decision is handed to a person."""
        return self.labels[self.told[1].best]

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
        return self.labels[self.told[0].best]

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
        sure = " is under ".join(_told_apart(self.told[1].largest, self.below))
        return f"handed to a person, as {self.likeliest} is not sure enough ({sure}); {self._reason}"

    @property
    def _reason(self) -> str:
        """Why the likeliest label is that."""
        label, by, sure = self.likeliest, self._by, _share(self.told[1].largest)
        if by == "other":
            instead = self.likeliest_belonging
            share = _share(self.merged[self.labels.index(instead)])
            holds = "" if self.rules else "; no rule holds"
            return (
                f"it belongs to none of the labels ({sure}): the likeliest of them, {instead}, "
                f"is not likely enough ({share}){holds}"
            )
        if by == "rules":
            speaking = f"{named(self._speaking(label))} for {label}"
            if not self.answered:
                return f"{speaking} ({sure}); the model has no answer"
            rivals = f"{sure} against {_share(self.merged[self.told[0].best])}"
            taught = ", which no labelled sample has taught" if self.cold else ""
            return f"{speaking} ({rivals} for the model's {self.model_label}{taught})"
        own = f"the model says {label} ({_share(self.told[0].largest)})"
        if self.cold:
            own = f"{own} by the labels' names and descriptions alone, as no labelled sample was there to learn from"
        if not self.answered:
            own = f"the model has no answer; {label} is the likeliest without one"
        if not self.rules:
            return f"{own}; no rule holds"
        heard = [hit for hit in self.rules if hit.weight > 0]
        if (silent := why_silent(self.rules, self.listens_to, self.cold)) is not None:
            return f"{own}; {counted(self.rules)}{silent}"
        agree = self._speaking(label)
        against = [hit for hit in heard if hit.rule.label != label]
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
        model, merged = self.told
        return {
            "id": self.sample.id,
            "task": self.sample.task,
            "label": self.label,
            "probabilities": self._distribution(merged),
            "model": {
                "label": self.model_label,
                "probability": round(model.largest, _DIGITS),
                "probabilities": self._distribution(model),
                **({} if self.model_reason is None else {"reason": self.model_reason}),
            },
            "rules": [hit.record() for hit in self.rules],
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
        return f"Decision({self.sample.id!r}: {self.label!r} {_share(self.told[1].largest)}, {self.by_whom})"

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from kdsl.arbiter.html import decision_html

        return decision_html(self)

    def _distribution(self, told: Distribution) -> dict[str, float]:
        return dict(zip(self.labels, told.rounded, strict=True))


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
    told = list(zip(Distribution.of(alone), Distribution.of(merged), strict=True))
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
                other,
                below,
                told[row],
            )
        )
    return decisions


def _told_apart(one: float, another: float) -> tuple[str, str]:
    """Both numbers with as many digits as it takes to see which is larger, two at least."""
    for digits in range(2, _DIGITS):
        if f"{one:.{digits}f}" != f"{another:.{digits}f}":
            break
    return f"{one:.{digits}f}", f"{another:.{digits}f}"


def _share(probability: float) -> str:
    return f"{probability:.2f}"
