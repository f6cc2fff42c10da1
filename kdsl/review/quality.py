"""The effect of what is accepted so far on cross-validated F1, measured as `kdsl train` fits the arbiter."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from kdsl.errors import Hint, KdslError
from kdsl.files import is_there
from kdsl.json_file import append_jsonl, read_jsonl
from kdsl.label_matrix import is_labelled
from kdsl.mining.archive import ARCHIVE_FILE, Archive, load_archive
from kdsl.mining.update import MinedRules
from kdsl.project.fitting import arbitrate
from kdsl.project.task import TaskProject
from kdsl.record_file import Count, Share, as_record
from kdsl.review.site import Site
from kdsl.rules.rule import Rule, when_hash
from kdsl.rules.statistics import read_statistics, statistics_path

QUALITY_FILE = "review_quality.jsonl"


@dataclass(frozen=True)
class Measured:
    """Weighted F1 on training samples, all out of fold, 0 to 1."""

    at: str
    accepted_rules: Count
    model: Share
    accepted: Share
    """The model with the accepted rules alone; one that mining found counts on the folds without which it found it."""
    active: Share
    """The model with accepted and proposed rules, as `kdsl train` would merge them now."""


def measure(site: Site, task: str) -> Measured:
    """Fit the arbiter twice (seconds) and append the result to the checkpoint.

    Raises KdslError where `kdsl mine` was not run on these samples, where one of them has no label, and where the
    model's predictions are unknown.
    """
    index, folder = site.indexes[task], site.config.checkpoint / task
    if not is_there(folder / ARCHIVE_FILE):
        raise KdslError(f"{folder / ARCHIVE_FILE}: no such file", Hint.MINE)
    if index.predictions is None:
        raise KdslError(
            f"{task}: what the model says: {index.no_predictions or 'not known yet; try again in a moment'}"
        )
    if not (known := is_labelled(index.labels)).all():
        sample = index.samples[int(known.argmin())]
        raise KdslError(f"{task}: sample {sample.id!r} has the label {sample.answer!r}, which is none of the task's")
    archive, predictions = load_archive(folder / ARCHIVE_FILE), index.predictions
    statistics = read_statistics(statistics_path(site.config.rules, task))
    rules = [stored.rule for stored in site.store.rules(task) if stored.rule.label in index.task.label_names]
    own = TaskProject(index.task, index.table, index.labels, seed=site.config.seed)

    def both(chosen: Sequence[Rule], archive: Archive) -> tuple[float, float]:
        mined = MinedRules(tuple(chosen), statistics, archive)
        arbiter = arbitrate(own, mined, predictions.probabilities, predictions.known)
        assert arbiter.model is not None and arbiter.both is not None  # all samples have labels
        return arbiter.model.weighted_f1, arbiter.both.weighted_f1

    accepted = [rule for rule in rules if rule.status == "accepted"]
    model, active = both(rules, archive)
    alone = both(accepted, _only(archive, accepted))[1] if accepted else model
    measured = Measured(datetime.now().isoformat(timespec="seconds"), len(accepted), model, alone, active)
    with append_jsonl(folder / QUALITY_FILE) as append:
        append(json.loads(json.dumps(asdict(measured))))
    return measured


def _only(archive: Archive, rules: Sequence[Rule]) -> Archive:
    """The archive of a mining that finds nothing but these rules in the folds."""
    keys = {(rule.label, rule.when_hash) for rule in rules}
    held_out = [
        tuple(each for each in part if (each.label, when_hash(each.when)) in keys) for part in archive.held_out
    ]
    return archive.model_copy(update={"held_out": tuple(held_out)})


def measurements(checkpoint: Path, task: str) -> list[Measured]:
    """All that were made, the oldest first; KdslError for a damaged file."""
    path = checkpoint / task / QUALITY_FILE
    if not is_there(path):
        return []
    found = []
    remedy = "delete the file to begin anew"
    for line, record in read_jsonl(path, remedy):
        found.append(as_record(Measured, record, f"{path}, line {line}: not a measurement", remedy))
    return found
