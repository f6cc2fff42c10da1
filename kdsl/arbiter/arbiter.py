"""The arbiter of one task: what every rule is worth and how much rules count beside the classifier; one JSON file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field, model_validator

from kdsl.arbiter.abstention import Abstention
from kdsl.arbiter.choice import Quality
from kdsl.arbiter.evidence import RuleEvidence
from kdsl.arbiter.pool import Pool
from kdsl.arbiter.weighed_hit import WeighedHit
from kdsl.arbiter.weighing import RuleWeigher, Standing, WeighedRules
from kdsl.fields.table import FieldTable
from kdsl.files import write_atomically
from kdsl.record_file import Count, RecordModel, Share, read_trained
from kdsl.rules.engine import Engine
from kdsl.rules.evidence import Hit
from kdsl.rules.rule import Rule

ARBITER_FILE = "arbiter.json"


class Arbiter(RecordModel):
    """Saved as <checkpoint>/<task>/arbiter.json; fitted by `kdsl.arbiter.fit`."""

    version: Literal[3] = 3
    task: str
    labels: tuple[str, ...]
    a: float = Field(gt=0)
    b_people: float = Field(ge=0)
    """How much those rules count that a person accepted as they stand; 0 where these clearly did harm out of fold."""
    b_mined: float = Field(ge=0)
    """How much the others count; 0 where they did not help out of fold."""
    model_a: float = Field(gt=0)
    """Inverse temperature of the model alone; 1 where a fitted one is no better out of fold."""
    samples: Count
    """Training samples with an out-of-fold prediction of the model, which all this was fitted on."""
    model: Quality | None
    """None where there are no labelled samples to tell it by, as of `both`."""
    both: Quality | None
    base_rates: tuple[Share, ...]
    """Share of every label in the training samples; the same for all labels without labelled samples."""
    mean_people: float
    """What a rule that people accepted is taken to weigh before its hits are looked at; see `kdsl.arbiter.shift`."""
    rules: tuple[Standing, ...]
    overlaps: tuple[tuple[int, int, Share], ...]
    """(i, j, overlap) of every two of `rules`, i < j, that hit training samples together; see `evidence.overlap`."""
    thresholds: tuple[Share, ...] = ()
    """From which probability on each label holds, with the rules; none for a task with one label a sample."""
    model_thresholds: tuple[Share, ...] = ()
    """The same for the model alone."""
    left_out: tuple[str, ...] = ()
    """Fields that were not looked at in training."""
    abstention: Abstention | None = None
    """When a decision is handed to a person; None decides everything."""
    other: str | None = None
    """`Task.other` in training."""
    detects_other: bool = False
    """Whether a `kdsl.arbiter.scope.Scope` lies beside it."""

    @model_validator(mode="after")
    def _whole(self) -> "Arbiter":
        if len(self.base_rates) != len(self.labels):
            raise ValueError(f"{len(self.base_rates)} base rates for {len(self.labels)} labels")
        if len(self.thresholds) not in (0, len(self.labels)) or len(self.model_thresholds) != len(self.thresholds):
            raise ValueError(f"{len(self.thresholds)} thresholds for {len(self.labels)} labels")
        if any(not 0 <= i < j < len(self.rules) for i, j, _ in self.overlaps):
            raise ValueError("an overlap of rules that are not listed")
        if any(standing.correct > standing.hits for standing in self.rules):
            raise ValueError("a rule with more correct hits than hits")
        if (self.model is None) != (self.samples == 0) or (self.both is None) != (self.samples == 0):
            raise ValueError("a quality without samples, or samples without one")
        return self

    @property
    def multi(self) -> bool:
        """Whether a sample may have several labels: each is decided by itself, see `kdsl.arbiter.multi_label`."""
        return bool(self.thresholds)

    @property
    def cold(self) -> bool:
        """Whether there were no labelled samples: the classifier goes by the labels' names and descriptions."""
        return self.samples == 0

    @property
    def listens_to(self) -> Literal["all", "accepted", "proposed", "none"]:
        """Which rules count: all; only those that a person accepted as they stand; only the others; or none."""
        if self.b_people > 0:
            return "all" if self.b_mined > 0 else "accepted"
        return "proposed" if self.b_mined > 0 else "none"

    @property
    def pool(self) -> Pool:
        return self.model_alone if self.listens_to == "none" else Pool(self.a, self.b_people, self.b_mined)

    @property
    def model_alone(self) -> Pool:
        return Pool(self.model_a, 0.0, 0.0)

    def record(self) -> dict[str, Any]:
        """What training came to, for JSON: the quality and the parameters, and of the rules how many there are."""
        parameters = {"a", "b_people", "b_mined", "model_a", "model", "both"}
        known = self.model_dump(include={"task", "samples", "abstention", "other", "detects_other", *parameters})
        return {**known, "listens_to": self.listens_to, "rules": len(self.rules)}

    def deciding_less(self) -> list[str]:
        """What becomes of samples that do not get one of the labels, in clauses for a person; often none."""
        told = [f"what belongs to none of the labels is told to be {self.other}"] if self.detects_other else []
        if self.abstention is not None:
            told.append(self.abstention.told)
        return told

    def save(self, folder: Path) -> None:
        """Write `arbiter.json`, atomically; KdslError when it cannot be written."""
        write_atomically(folder / ARBITER_FILE, self.model_dump_json(indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path) -> "Arbiter":
        """Read what `save` wrote; KdslError when it is missing, damaged or of another version."""
        return read_trained(cls, folder / ARBITER_FILE)

    def weigh(self, rules: Sequence[Rule]) -> WeighedRules:
        """What `rules` are worth; one unknown to training as it stands has its label's base rate and weight 0, and one
        of a part that does not count weight 0."""
        return self.weigher.weigh(rules)

    @property
    def weigher(self) -> RuleWeigher:
        return RuleWeigher(
            self.labels, self.base_rates, self.rules, self.overlaps, self.b_people > 0, self.b_mined > 0
        )


class RuleJudge:
    """Rules ready to be applied: which hit a sample, and what they say together."""

    def __init__(self, weighed: WeighedRules, n_labels: int) -> None:
        self.weighed = weighed
        self._n_labels = n_labels
        self._engine = Engine(weighed.rules)
        self._position = {rule.id: index for index, rule in enumerate(weighed.rules)}
        self._worth = list(zip(weighed.reliability.tolist(), weighed.weights.tolist(), strict=True))

    def encoded(self, table: FieldTable) -> list[str]:
        """See `Engine.encoded`."""
        return self._engine.encoded(table)

    def evidence(self, table: FieldTable) -> tuple[list[list[Hit]], RuleEvidence]:
        """The hits of every sample, and the evidence for every label."""
        hits = self._engine.hits(table)
        flags = np.zeros((len(table), len(self.weighed.rules)), dtype=bool)
        places = [self._position[hit.rule.id] for found in hits for hit in found]
        flags[np.repeat(np.arange(len(hits)), list(map(len, hits))), np.array(places, dtype=np.int64)] = True
        return hits, self.weighed.evidence(flags, self._n_labels)

    def weighed_hits(self, hits: Sequence[Hit]) -> tuple[WeighedHit, ...]:
        """The hits on one sample with what the rules are worth, the heaviest first."""
        found = [WeighedHit(hit, *self._worth[self._position[hit.rule.id]]) for hit in hits]
        return tuple(sorted(found, key=lambda each: -each.weight))
