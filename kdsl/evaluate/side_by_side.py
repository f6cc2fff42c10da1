"""Two runs side by side: which they are, what changed between them, and what came of it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kdsl.errors import KdslError
from kdsl.evaluate.comparison import Comparison, compare
from kdsl.evaluate.history import Changed, what_changed
from kdsl.evaluate.predictions import read_predictions
from kdsl.evaluate.runs import Run, prediction_of


@dataclass(frozen=True)
class SideBySide:
    """A run against an older one, or against a file of predictions."""

    new: Run
    old: Run | Path
    changed: tuple[Changed, ...]
    """From `old` to `new`; of a file of predictions nothing is known."""
    comparison: Comparison

    @property
    def names(self) -> tuple[str, str]:
        """Of new and old, as people tell them apart."""
        return run_name(self.new), run_name(self.old) if isinstance(self.old, Run) else str(self.old)

    @property
    def notes(self) -> list[str]:
        """What to know before the figures are believed: how far the two are of the same samples."""
        found = self.comparison
        notes = []
        if isinstance(self.old, Run):
            new, old = self.new.record.samples, self.old.record.samples
            if new.series != old.series:
                notes.append(f"The runs are of different samples: {new} and {old}; those that both predicted count.")
            elif new.hash != old.hash:
                notes.append(f"{new.name} has other content than it had for the older run.")
        for count, where in ((found.only_new, "newer"), (found.only_old, "older")):
            if count:
                notes.append(f"{_samples(count)} only in the {where} run; left out.")
        if found.relabelled:
            notes.append(
                f"{_samples(found.relabelled)} labelled otherwise by now; the newer label counts for both runs."
            )
        return notes

    def record(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "new": _side(self.new),
            "old": _side(self.old) if isinstance(self.old, Run) else {"predictions": str(self.old)},
            "changed": [vars(each) for each in self.changed],
            "notes": self.notes,
            **self.comparison.record(),
        }


def side_by_side(new: Run, old: Run | Path, seed: int) -> SideBySide:
    """`new` against another run, or a file of predictions; `seed` drives the bootstrap.

    Raises KdslError where the two share no sample, and for predictions that are missing or damaged.
    """
    truth = {each.key: each.truth for each in new.predictions}
    if isinstance(old, Run):
        before, changed = old.predictions, what_changed(new, old)
    else:
        before = [prediction_of(each, truth.get((each.task, each.id), "")) for each in read_predictions(old)]
        changed = ()
    if not any(each.key in truth for each in before):
        raise KdslError(
            f"{old.folder if isinstance(old, Run) else old}: has no sample in common with {new.folder}, by task and "
            "id; compare evaluations of the same samples"
        )
    return SideBySide(new, old, changed, compare(new.predictions, before, new.record.labels, seed))


def run_name(run: Run) -> str:
    """Id, date and samples."""
    return f"{run.id} ({run.record.at.astimezone():%Y-%m-%d %H:%M}, {run.record.samples})"


def _side(run: Run) -> dict[str, Any]:
    record = run.record
    return {"id": run.id, "at": record.at.isoformat(), "samples": record.samples.model_dump()}


def _samples(count: int) -> str:
    return "1 sample is" if count == 1 else f"{count} samples are"
