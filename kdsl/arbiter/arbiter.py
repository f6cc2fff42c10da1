"""The arbiter of one task: what every rule is worth and how much rules count beside the classifier; one JSON file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from kdsl.arbiter.evidence import Floats, label_evidence, rule_weights
from kdsl.arbiter.pool import Pool
from kdsl.errors import KdslError
from kdsl.fields.table import FieldTable
from kdsl.files import is_there, write_atomically
from kdsl.record_file import Count, Share, read_record
from kdsl.rules.engine import Engine
from kdsl.rules.evidence import Hit
from kdsl.rules.rule import Rule
from kdsl.rules.statistics import wilson_interval

ARBITER_FILE = "arbiter.json"
REVIEWED = 0.8
"""What a person's approval lifts a rule's reliability to: rules with less should not have been accepted."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Quality(_Part):
    """How good predictions were on samples that neither they nor the arbiter's two parameters were fitted on."""

    log_loss: float = Field(ge=0)
    weighted_f1: float = Field(ge=0, le=1)


class Standing(_Part):
    """What the conditions with hash `when` are worth for `label`."""

    id: str
    when: str
    label: str
    reliability: float = Field(gt=0, lt=1)
    """Estimated precision out of sample, before any review."""
    hits: Count
    correct: Count
    """Counts on the training samples."""

    def reviewed(self, rule: Rule) -> float:
        """The reliability that counts, 0 to 1: higher when a person accepted the rule as it now stands.

        An approval says "right at least `REVIEWED` of the time", and is believed as far as the training samples allow:
        up to the upper end of the 95 % Wilson interval of the precision there.
        """
        if not rule.approved:
            return self.reliability
        return max(self.reliability, min(REVIEWED, wilson_interval(self.correct, self.hits)[1]))


class Arbiter(_Part):
    """Saved as <checkpoint>/<task>/arbiter.json; fitted by `kdsl.arbiter.fit`."""

    version: Literal[2] = 2
    task: str
    labels: tuple[str, ...]
    listens_to: Literal["all", "accepted", "none"]
    """Which rules count. Where all together did not help out of fold, those still do that a person accepted as they
    stand, unless these clearly did harm; with none the model stands alone."""
    a: float = Field(gt=0)
    b: float = Field(ge=0)
    model_a: float = Field(gt=0)
    """Inverse temperature of the model alone; 1 where a fitted one is no better out of fold."""
    samples: Count
    """Training samples with an out-of-fold prediction of the model, which all this was fitted on."""
    model: Quality
    both: Quality
    base_rates: tuple[Share, ...]
    """Share of every label in the training samples."""
    rules: tuple[Standing, ...]
    overlaps: tuple[tuple[int, int, Share], ...]
    """(i, j, overlap) of every two of `rules`, i < j, that hit training samples together; see `evidence.overlap`."""

    @model_validator(mode="before")
    @classmethod
    def _version(cls, value: Any) -> Any:
        """Before all else, which is different in another version."""
        if isinstance(value, dict) and value.get("version", 2) != 2:
            raise ValueError("made by another version of KDSL")
        return value

    @model_validator(mode="after")
    def _whole(self) -> "Arbiter":
        if len(self.base_rates) != len(self.labels):
            raise ValueError(f"{len(self.base_rates)} base rates for {len(self.labels)} labels")
        if any(not 0 <= i < j < len(self.rules) for i, j, _ in self.overlaps):
            raise ValueError("an overlap of rules that are not listed")
        if any(standing.correct > standing.hits for standing in self.rules):
            raise ValueError("a rule with more correct hits than hits")
        return self

    @property
    def pool(self) -> Pool:
        return self.model_alone if self.listens_to == "none" else Pool(self.a, self.b)

    @property
    def model_alone(self) -> Pool:
        return Pool(self.model_a, 0.0)

    def save(self, folder: Path) -> None:
        """Write `arbiter.json`, atomically; KdslError when it cannot be written."""
        write_atomically(folder / ARBITER_FILE, self.model_dump_json(indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path) -> "Arbiter":
        """Read what `save` wrote; KdslError when it is missing, damaged or of another version."""
        path = folder / ARBITER_FILE
        if not is_there(path):
            raise KdslError(f"{path}: no such file; train first with: kdsl train")
        return read_record(cls, path, "train again with: kdsl train")

    def weigh(self, rules: Sequence[Rule]) -> "WeighedRules":
        """What `rules` are worth; one unknown to training as it stands has its label's base rate and weight 0, as one
        that nobody accepted where only accepted ones count."""
        index = {name: i for i, name in enumerate(self.labels)}
        known = {(standing.label, standing.when): i for i, standing in enumerate(self.rules)}
        places = np.array([known.get((rule.label, rule.when_hash), -1) for rule in rules], dtype=np.int64)
        labels = np.array([index[rule.label] for rule in rules], dtype=np.int64)
        base = np.array(self.base_rates)[labels]
        reliability = np.array(
            [
                self.rules[place].reviewed(rule) if place >= 0 else rate
                for rule, place, rate in zip(rules, places, base, strict=True)
            ],
            dtype=np.float64,
        )
        counts = places >= 0
        if self.listens_to == "accepted":
            counts &= np.array([rule.approved for rule in rules], dtype=bool)
        overlaps = np.zeros((len(self.rules) + 1,) * 2)  # the last row is that of unknown rules
        for i, j, value in self.overlaps:
            overlaps[i, j] = overlaps[j, i] = value
        return WeighedRules(
            tuple(rules),
            labels,
            reliability,
            np.where(counts, rule_weights(reliability, base), 0.0),
            overlaps[np.ix_(places, places)],
            places >= 0,
        )


@dataclass(frozen=True)
class WeighedRules:
    """Rules with all that the merge needs to know about them."""

    rules: tuple[Rule, ...]
    labels: NDArray[np.int64]
    """Index into the task's labels. [n_rules]"""
    reliability: Floats
    weights: Floats
    overlaps: Floats
    """[n_rules, n_rules]"""
    known: NDArray[np.bool_]
    """Whether training knew the rule as it stands. [n_rules]"""

    def evidence(self, hits: NDArray[np.bool_], n_labels: int) -> Floats:
        """Evidence for every label: hits [n_samples, n_rules] to [n_samples, n_labels]."""
        return label_evidence(hits, self.labels, self.weights, self.overlaps, n_labels)


class RuleJudge:
    """Rules ready to be applied: which hit a sample, and what they say together."""

    def __init__(self, weighed: WeighedRules, n_labels: int) -> None:
        self.weighed = weighed
        self._n_labels = n_labels
        self._engine = Engine(weighed.rules)
        self._position = {rule.id: index for index, rule in enumerate(weighed.rules)}

    def evidence(self, table: FieldTable) -> tuple[list[list[Hit]], Floats]:
        """The hits of every sample, and the evidence for every label [n_samples, n_labels]."""
        hits = self._engine.hits(table)
        flags = np.zeros((len(table), len(self.weighed.rules)), dtype=bool)
        for row, found in enumerate(hits):
            flags[row, [self._position[hit.rule.id] for hit in found]] = True
        return hits, self.weighed.evidence(flags, self._n_labels)

    def position(self, rule: Rule) -> int:
        """The index of the rule among the weighed ones."""
        return self._position[rule.id]
