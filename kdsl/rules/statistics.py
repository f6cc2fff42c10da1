"""What mining measured about rules, apart from the files that people own: rules/<task>/statistics.jsonl."""

from collections.abc import Iterable
from math import sqrt
from pathlib import Path
from typing import Any, Self

from pydantic import model_validator

from kdsl.errors import Hint
from kdsl.json_file import read_jsonl, write_jsonl
from kdsl.record_file import Count, RecordModel, Share, as_record

FILE_NAME = "statistics.jsonl"


class _Counts(RecordModel):
    hits: Count
    correct: Count
    """Hits on samples of the rule's label."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.correct > self.hits:
            raise ValueError(f"{self.correct} of {self.hits} hits are correct")
        return self


class TrainingCounts(_Counts):
    """Counts on the samples that the rule was found on."""

    positives: Count
    """Samples of the rule's label."""
    samples: Count


class HeldOutCounts(_Counts):
    """Counts on samples that the rule was not found on."""


class RuleStatistics(RecordModel):
    """One line of statistics.jsonl. They speak about the conditions with hash `when`, not about later edits."""

    id: str
    when: str
    training: TrainingCounts
    held_out: HeldOutCounts | None = None
    reliability: Share | None = None
    """Estimated precision out of sample, 0 to 1."""
    base_rate: Share
    """Share of the rule's label in the training samples, 0 to 1."""
    candidates: Count
    """Conditions tried before this rule was found: the more, the easier a good look by chance."""
    weight: float | None = None
    """Log odds of the reliability minus log odds of the base rate, at least 0."""
    sense: Share | None = None
    """Probability, by the small model, that the rule makes sense for its label; None where none was asked."""
    synonyms: tuple[str, ...] = ()
    """Other ways to say the rule's terms, by the small model, that no training sample holds: not part of the rule."""

    def record(self) -> dict[str, Any]:
        """The JSON object of the entry; what only a small model says is left out where none was asked."""
        left_out = {"sense"} if self.sense is None else set()
        return self.model_dump(mode="json", exclude=left_out | (set() if self.synonyms else {"synonyms"}))


StatisticsByRule = dict[tuple[str, str], RuleStatistics]
"""(rule id, hash of `when`) → statistics; another hash means that there are none."""


def statistics_path(folder: Path, task: str) -> Path:
    """Where the statistics of a task lie in the rule base at `folder`."""
    return folder / task / FILE_NAME


def read_statistics(path: Path) -> StatisticsByRule:
    """All statistics in `path`, none when it does not exist; KdslError names the first line of another shape."""
    if not path.exists():
        return {}
    statistics = {}
    for number, record in read_jsonl(path, Hint.MINE_AGAIN):
        entry = as_record(RuleStatistics, record, f"{path}, line {number}", Hint.MINE_AGAIN)
        statistics[entry.id, entry.when] = entry
    return statistics


def write_statistics(path: Path, statistics: Iterable[RuleStatistics]) -> None:
    """Write one JSON object a rule, sorted by id, atomically."""
    ordered = sorted(statistics, key=lambda entry: (entry.id, entry.when))
    write_jsonl(path, (entry.record() for entry in ordered))


def wilson_interval(correct: int, hits: int, z: float = 1.96) -> tuple[float, float]:
    """Interval for a precision of `correct` of `hits` (Wilson 1927): 3 of 3 is 0.44 to 1; (0, 1) without hits."""
    if hits == 0:
        return 0.0, 1.0
    share = correct / hits
    centre = share + z * z / (2 * hits)
    spread = z * sqrt(share * (1 - share) / hits + z * z / (4 * hits * hits))
    scale = 1 + z * z / hits
    low = (centre - spread) / scale if correct else 0.0
    high = (centre + spread) / scale if correct < hits else 1.0
    return low, high
