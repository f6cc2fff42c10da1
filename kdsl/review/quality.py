"""The effect of what is accepted so far on cross-validated F1, measured as `kdsl train` fits the arbiter."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from kdsl.errors import KdslError
from kdsl.files import append_jsonl, read_jsonl
from kdsl.mining.archive import FILE as ARCHIVE
from kdsl.mining.archive import load_archive
from kdsl.review.site import Site
from kdsl.rules.rule import Rule
from kdsl.rules.statistics import read_statistics, statistics_path

FILE = "review_quality.jsonl"


@dataclass(frozen=True)
class Measured:
    """Weighted F1 on training samples, all out of fold, 0 to 1."""

    at: str
    accepted_rules: int
    model: float
    accepted: float
    """The model with the accepted rules alone."""
    active: float
    """The model with accepted and proposed rules, as `kdsl train` would merge them now."""


def measure(site: Site, task: str) -> Measured:
    """Fit the arbiter twice (seconds) and append the result to the checkpoint.

    Raises KdslError where `kdsl mine` was not run on these samples, or nothing is known of the model.
    """
    from kdsl.arbiter.fit import fit_arbiter

    index, folder = site.indexes[task], site.config.checkpoint / task
    if not (folder / ARCHIVE).exists():
        raise KdslError(f"{folder / ARCHIVE}: no such file; run `kdsl mine` first")
    if index.word is None:
        raise KdslError(f"{task}: what the model says is not known yet; try again in a moment")
    archive = load_archive(folder / ARCHIVE)
    statistics = read_statistics(statistics_path(site.config.rules, task))
    rules = [stored.rule for stored in site.store.rules(task) if stored.rule.label in index.task.label_names]

    def both(chosen: Sequence[Rule]) -> tuple[float, float]:
        assert index.word is not None
        arbiter = fit_arbiter(
            index.task, index.table, index.labels, index.word.probabilities, archive, chosen, statistics,
            site.config.seed, index.word.known,
        )  # fmt: skip
        return arbiter.model.weighted_f1, arbiter.both.weighted_f1

    only = [
        rule.model_copy(update={"status": "disabled"}) if rule.status == "proposed" else rule for rule in rules
    ]  # fmt: skip
    accepted = sum(rule.status == "accepted" for rule in rules)
    model, active = both(rules)
    measured = Measured(
        datetime.now().isoformat(timespec="seconds"), accepted, model, both(only)[1] if accepted else model, active
    )
    with append_jsonl(folder / FILE) as append:
        append(json.loads(json.dumps(asdict(measured))))
    return measured


def measurements(checkpoint: Path, task: str) -> list[Measured]:
    """All that were made, the oldest first; KdslError for a damaged file."""
    path = checkpoint / task / FILE
    if not path.exists():
        return []
    found = []
    for line, record in read_jsonl(path):
        try:
            found.append(Measured(**record))
        except TypeError as error:
            raise KdslError(f"{path}, line {line}: not a measurement; delete the file to begin anew") from error
    return found
