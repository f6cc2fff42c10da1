"""Asking for reasons: told the label, a model says why; from the reason alone it must find the label again."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kdsl.fields.table import FieldTable, SampleFields
from kdsl.json_file import append_jsonl
from kdsl.models.large.prompts import Prompts
from kdsl.reasons.decided import Decided, Verdict
from kdsl.reasons.labels import MASK, LabelNames
from kdsl.reasons.reason_file import Reason
from kdsl.reasons.thinning import Thinning
from kdsl.reasons.wording import ask_back, ask_why
from kdsl.rules.engine import Engine
from kdsl.rules.evidence import Hit
from kdsl.rules.rule import Rule
from kdsl.sample import Sample, SampleKey, Task
from kdsl.small.many import Failed, answers
from kdsl.vlm.cache import CachedModel
from kdsl.vlm.conversation import Conversation
from kdsl.vlm.free_text import shortened
from kdsl.vlm.model import Generation

LONGEST = 100
"""Tokens of a reason."""
_BLOCK = 64
"""Samples that are asked about before their reasons are written, in the order of the samples."""
_LEAST = 4
"""Characters that a reason must have besides the label's name."""


@dataclass
class ReasonCounts:
    """What came of one task's samples."""

    samples: int = 0
    there: int = 0
    """Had a reason in the file before, or an empty one, by which people rule a reason out."""
    decided: int = 0
    """Left out by an earlier run, or taken out of the file by people since."""
    asked: int = 0
    verdicts: Counter[Verdict] = field(default_factory=Counter)
    """Of those asked about now."""
    failed: dict[str, str] = field(default_factory=dict)
    """Sample id → why there is no answer; the next run asks again."""

    @property
    def recovered(self) -> int:
        """Samples whose label was found again from its reason."""
        return self.verdicts["written"] + self.verdicts["thinned"]

    def record(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "samples": self.samples,
            "there_before": self.there,
            "left_out_before": self.decided,
            "asked": self.asked,
            "recovered": self.recovered,
            "not_recovered": self.verdicts["not recovered"],
            "another_label": self.verdicts["another label"],
            "says_nothing": self.verdicts["says nothing"],
            "thinned": self.verdicts["thinned"],
            "written": self.verdicts["written"],
            "failed": self.failed,
        }


@dataclass(frozen=True)
class Asking:
    """Asks `model` about samples of one task and appends what is good to the file of reasons."""

    task: Task
    model: CachedModel
    name: str
    """What the model is called in the file."""
    rules: Sequence[Rule]
    """Accepted rules; those for its label that hold on a sample are told to the model."""
    prompts: Prompts
    """What is shown of a sample's images."""
    file: Path
    decided: Decided
    threads: int = 1

    def ask(self, table: FieldTable, known: Mapping[SampleKey, Reason], advance: Callable[[], None]) -> ReasonCounts:
        """Reasons for the labelled samples of `table`, but for those that `known` has a line about.

        `advance` is called for every sample. What is done is on disk at any time, and asked but once. Raises KdslError
        for a file that cannot be written and a model that does not answer at all.
        """
        counts, names, thinning = ReasonCounts(), LabelNames(self.task), Thinning()
        waiting = []
        for row in table.rows:
            sample = row.sample
            counts.samples += 1
            reason = known.get(sample.key)
            if reason is not None:
                counts.there += 1
                thinning.like(sample.task, sample.label or "", names.masked(reason.text, sample.label or ""))
                advance()
            elif self.decided.covers(sample, self.name):
                counts.decided += 1
                advance()
            elif unshown := self.prompts.unshown(self.task, row):
                counts.failed[sample.id] = unshown
                advance()
            else:
                waiting.append(row)
        for start in range(0, len(waiting), _BLOCK):
            self._block(waiting[start : start + _BLOCK], counts, names, thinning, advance)
        return counts

    def _block(
        self,
        rows: Sequence[SampleFields],
        counts: ReasonCounts,
        names: LabelNames,
        thinning: Thinning,
        advance: Callable[[], None],
    ) -> None:
        hits = Engine(self.rules).stream(rows)
        why = [
            ask_why(self.task, row, _own(row.sample, found), self.prompts)
            for row, found in zip(rows, hits, strict=True)
        ]
        texts = self._reasons(why)
        masked = [
            "" if isinstance(text, Failed) else names.masked(text, row.sample.label or "")
            for row, text in zip(rows, texts, strict=True)
        ]
        told = [index for index, text in enumerate(masked) if _says_something(text)]
        labels = self._labels([ask_back(self.task, masked[index]) for index in told])
        back = dict(zip(told, labels, strict=True))
        with append_jsonl(self.file) as append:
            for index, row in enumerate(rows):
                sample, text, found = row.sample, texts[index], back.get(index, "")
                advance()
                failure = next((answer for answer in (text, found) if isinstance(answer, Failed)), None)
                if failure is not None:
                    counts.failed[sample.id] = failure.reason
                    continue
                verdict = self._verdict(sample, str(text), masked[index], str(found), names, thinning)
                if verdict == "written":
                    append(Reason(sample.id, str(text), self.name, sample.task, sample.label).record())
                # Only after the line is there: what is missing from the file later was taken out by people.
                self.decided.add(sample, self.name, verdict, str(text), str(found))
                counts.asked += 1
                counts.verdicts[verdict] += 1

    def _verdict(
        self, sample: Sample, text: str, masked: str, found: str, names: LabelNames, thinning: Thinning
    ) -> Verdict:
        label = sample.label or ""
        if not _says_something(masked):
            return "says nothing"
        if names.mistaken(text, label) is not None:
            return "another label"
        if found != label:
            return "not recovered"
        return "thinned" if thinning.like(sample.task, label, masked) else "written"

    def _reasons(self, conversations: Sequence[Conversation]) -> list[str | Failed]:
        def ask(some: Sequence[Conversation]) -> list[str | Failed]:
            return [answer.text or Failed(_empty(answer)) for answer in self.model.generate(some, LONGEST)]

        return _in_order(conversations, ask, self.threads)

    def _labels(self, conversations: Sequence[Conversation]) -> list[str | Failed]:
        """The label that is answered to each conversation, or what else a server says."""
        labels = self.task.label_names
        longest = max(len(label.encode()) for label in labels) + 1

        def ask(some: Sequence[Conversation]) -> list[str | Failed]:
            # A server is left to say that it is none of them.
            choices = labels if self.threads == 1 else None
            found = self.model.generate(some, longest, choices)
            return [
                (answer.text or Failed(_empty(answer))) if label is None else labels[label]
                for answer, label in ((answer, answer.label(labels)) for answer in found)
            ]

        return _in_order(conversations, ask, self.threads)


def _in_order(
    conversations: Sequence[Conversation], ask: Callable[[Sequence[Conversation]], list[str | Failed]], threads: int
) -> list[str | Failed]:
    found = dict(answers(conversations, ask, threads))
    return [found[index] for index in range(len(conversations))]


def _empty(answer: Generation) -> str:
    return "the answer is empty" + (f", beside {shortened(answer.aside)}" if answer.aside else "")


def _own(sample: Sample, hits: Sequence[Hit]) -> list[Hit]:
    return [hit for hit in hits if hit.rule.label == sample.label]


def _says_something(masked: str) -> bool:
    return sum(map(str.isalnum, masked.replace(MASK, ""))) >= _LEAST
