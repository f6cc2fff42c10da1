"""Reasons made elsewhere: checked against the samples, thinned, and added to the project's own."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from kdsl.json_file import append_jsonl
from kdsl.reasons.labels import MASK, LabelNames
from kdsl.reasons.reason_file import Reason, ReasonFile
from kdsl.reasons.thinning import Thinning
from kdsl.sample import Sample, SampleKey, Task

LeftOut = Literal["no such sample", "not one sample", "repeated", "empty", "another label", "there before", "thinned"]
PROBLEMS: tuple[LeftOut, ...] = ("no such sample", "not one sample", "repeated", "empty", "another label")
"""What a person should look at; the others are as they should be."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line that was left out."""

    line: int
    id: str
    why: LeftOut
    detail: str


@dataclass
class ImportOutcome:
    """What came of a file of reasons."""

    lines: int = 0
    added: int = 0
    left_out: list[Line] = field(default_factory=list)

    @property
    def problems(self) -> list[Line]:
        """The lines that a person should look at."""
        return [line for line in self.left_out if line.why in PROBLEMS]

    def record(self) -> dict[str, Any]:
        """For JSON."""
        whys = [line.why for line in self.left_out]
        return {
            "lines": self.lines,
            "added": self.added,
            "there_before": whys.count("there before"),
            "thinned": whys.count("thinned"),
            "problems": len(self.problems),
            "left_out": [asdict(line) for line in self.left_out],
        }


def import_reasons(
    brought: ReasonFile, own: ReasonFile, samples: Sequence[Sample], tasks: Sequence[Task]
) -> ImportOutcome:
    """Add the lines of `brought` that are good to the file of `own`, texts as they are; `samples` are labelled.

    A reason that is there stays. Reasons that rule out their sample's label, or name other labels and not that one,
    are left out, as are lines that fit no sample and near-identical reasons.
    """
    outcome = ImportOutcome(lines=len(brought.reasons))
    names = {task.name: LabelNames(task) for task in tasks}
    by_id: dict[str, list[Sample]] = {}
    for sample in samples:
        by_id.setdefault(sample.id, []).append(sample)
    matched = own.matched(samples)
    of_key = {sample.key: sample for sample in samples}
    thinning = Thinning()
    for key, reason in matched.items():
        label = of_key[key].label or ""
        thinning.like(key[0], label, names[key[0]].masked(reason.text, label))
    seen: set[SampleKey] = set()
    with append_jsonl(own.path) as append:
        for reason in brought.reasons:

            def leave(why: LeftOut, detail: str, reason: Reason = reason) -> None:
                outcome.left_out.append(Line(reason.line, reason.id, why, detail))

            meant = [sample for sample in by_id.get(reason.id, ()) if reason.task in (None, sample.task)]
            if len(meant) != 1:
                if meant:
                    leave(
                        "not one sample", f"samples of {', '.join(s.task for s in meant)} have this id; name the task"
                    )
                else:
                    of = "" if reason.task is None else f" of {reason.task}"
                    leave("no such sample", f"no labelled training sample{of} has this id")
                continue
            [sample] = meant
            label = sample.label or ""
            key = sample.key
            masked = names[sample.task].masked(reason.text, label)
            mistake = names[sample.task].mistaken(reason.text, label)
            if reason.label not in (None, label):
                mistake = f"is a reason for {reason.label}, but the sample has the label {label}"
            if key in seen:
                leave("repeated", "an earlier line is about the same sample")
            elif key in matched:
                leave("there before", "")
            elif not any(map(str.isalnum, masked.replace(MASK, ""))):
                leave("empty", "it says nothing besides the label")
            elif mistake is not None:
                leave("another label", mistake)
            elif thinning.like(sample.task, label, masked):
                leave("thinned", "")
            else:
                append(Reason(sample.id, reason.text, reason.model, sample.task, label).record())
                outcome.added += 1
            seen.add(key)
    return outcome
