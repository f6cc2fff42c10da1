"""Training samples whose labels are probably wrong, contradict each other or are repeated, in one list."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from kdsl.arbiter.arbiter import ARBITER_FILE, Arbiter, RuleJudge
from kdsl.arbiter.trained import active_rules
from kdsl.data.label_log import GivenLabels
from kdsl.data.repeats import same_content
from kdsl.errors import Hint, KdslError
from kdsl.fields.heard import written_down
from kdsl.fields.table import FieldTable
from kdsl.files import is_there
from kdsl.label_matrix import require_one_label
from kdsl.models.explanation import MOST_NEAR, NearSample
from kdsl.models.neighbours import NUMBERS, Vote, VoteOnEachOther
from kdsl.models.out_of_fold_file import load_out_of_fold, rows_of
from kdsl.models.suspicion import LEAST_ODDS, suspect
from kdsl.project.project import Project
from kdsl.retrieval.sample_index import SampleIndex
from kdsl.retrieval.wording import opening
from kdsl.rules.evidence import Hit
from kdsl.rules.rule import Rule
from kdsl.sample import Sample, Task, label_indices

Floats = NDArray[np.float64]

Kind = Literal["doubtful", "contradiction", "repeat"]
"""What is the matter: model, rules and neighbours say another label; so does a sample that says and shows the same;
or it only counts twice, as another one says and shows the same with the same label."""


_TOLD = 3
"""Samples that say the same, in a line."""


@dataclass(frozen=True)
class LabelIssue:
    """A sample that somebody should look at, and why."""

    kind: Kind
    sample: Sample
    suggested: str | None
    """The label that it should probably have; None for a repeat."""
    odds: float
    """How many times as likely that label is as its own, by model, accepted rules and neighbours."""
    model: Mapping[str, float]
    """What the model says out of fold about its own label and the suggested one; nothing where it does not know the
    sample."""
    rules: tuple[Hit, ...]
    """The accepted rules that say another label than its own."""
    near: tuple[NearSample, ...]
    """The nearest other samples with their labels."""
    same: tuple[Sample, ...]
    """The other samples that say and show the same."""
    words: str
    """What a person knows the sample by, in one line."""
    labels: tuple[str, ...] = field(repr=False)
    """Those of the task."""

    @property
    def why(self) -> str:
        """In one line: who says what, and how sure."""
        reasons = []
        if self.kind != "doubtful":
            others = ", ".join(f"{each.id} ({each.label})" for each in self.same[:_TOLD])
            more = ", …" if len(self.same) > _TOLD else ""
            reasons.append(f"{'the same as' if self.kind == 'contradiction' else 'repeats'} {others}{more}")
        if self.kind != "repeat" and self.model:
            shares = ", ".join(f"{share:.2f} {label}" for label, share in self.model.items())
            reasons.append(f"model: {shares}")
        if self.kind != "repeat" and self.rules:
            reasons.append(f"rules: {', '.join(dict.fromkeys(hit.rule.label for hit in self.rules))}")
        if self.kind != "repeat" and self.near:
            counted = Counter(self.labels[near.label] for near in self.near)
            reasons.append(f"nearest: {', '.join(f'{count} {label}' for label, count in counted.most_common())}")
        return "; ".join(reasons)

    def record(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "task": self.sample.task,
            "id": self.sample.id,
            "kind": self.kind,
            "label": self.sample.label,
            "suggested": self.suggested,
            "odds": round(self.odds, 2),
            "model": {label: round(share, 4) for label, share in self.model.items()},
            "rules": [{"id": hit.rule.id, "label": hit.rule.label} for hit in self.rules],
            "neighbours": [
                {"id": near.id, "label": self.labels[near.label], "similarity": round(near.similarity, 4)}
                for near in self.near
            ],
            "same": [{"id": sample.id, "label": sample.label} for sample in self.same],
        }


@dataclass(frozen=True)
class LabelledSamples:
    """The labelled samples of a task, and what takes long to find out about them."""

    task: Task
    table: FieldTable
    """Of samples that all have a label of the task."""
    nearest: VoteOnEachOther
    """The nearest samples of each."""
    vote: Vote
    """How they vote on each other."""
    same: Mapping[int, Sequence[int]]
    """Row → the rows of other samples that say and show the same, where there are any."""

    @classmethod
    def of(
        cls, task: Task, table: FieldTable, images: Path | None, before: "LabelledSamples | None" = None
    ) -> "LabelledSamples | None":
        """Of those samples of a table that have a label of the task; None where none has one.

        `images` is the folder of their images. Takes seconds for thousands of samples, unless those of `before` are
        the same but for their labels.
        """
        require_one_label([task], "looking for wrong labels")
        table = table.select(np.flatnonzero(_labels(table, task) >= 0))
        if not len(table):
            return None
        if before is not None and before.task == task and before.fingerprints == _fingerprints(table):
            return replace(before, table=table)
        nearest = VoteOnEachOther(SampleIndex.fit(table.cleaned()).nearest_to_each_other(max(NUMBERS)))
        written = written_down((row.sample for row in table.rows), table.sidecars.transcripts)
        numbered = [replace(sample, id=str(at)) for at, sample in enumerate(written)]
        groups = [[int(sample.id) for sample in group] for group in same_content(numbered, images)]
        same = {row: [other for other in group if other != row] for group in groups for row in group}
        return cls(task, table, nearest, nearest.likeliest(_labels(table, task), len(task.labels)), same)

    @property
    def samples(self) -> list[Sample]:
        return [row.sample for row in self.table.rows]

    @cached_property
    def fingerprints(self) -> list[str]:
        return _fingerprints(self.table)


def _fingerprints(table: FieldTable) -> list[str]:
    return [row.sample.fingerprint for row in table.rows]


def _labels(table: FieldTable, task: Task) -> NDArray[np.int64]:
    return np.array(label_indices([row.sample for row in table.rows], task), dtype=np.int64)


@dataclass(frozen=True)
class ModelAndRules:
    """What the last training left about samples that it held out, and the accepted rules."""

    model: Floats
    """[n_samples, n_labels] probabilities of the model out of fold."""
    known: NDArray[np.bool_]
    """Of which samples it knows something: [n_samples]."""
    both: Floats
    """[n_samples, n_labels] of the model together with the accepted rules, as the arbiter weighs them."""
    hits: list[list[Hit]]
    """The accepted rules that hold on each sample."""

    @classmethod
    def of(cls, labelled: LabelledSamples, checkpoint: Path, rules: Sequence[Rule]) -> "ModelAndRules":
        """Raises KdslError where the task was not trained, or with other labels."""
        task, folder = labelled.task, checkpoint / labelled.task.name
        out_of_fold = load_out_of_fold(folder, task)
        if out_of_fold is None or not is_there(folder / ARBITER_FILE):
            raise KdslError(f"{task.name}: which labels are doubtful is known once a model was trained", Hint.TRAIN)
        arbiter = Arbiter.load(folder)
        if arbiter.labels != task.label_names:
            raise KdslError(f"{folder}: trained for other labels than {task.name} has now", Hint.TRAIN_AGAIN)
        model, known = rows_of(out_of_fold, labelled.samples, len(task.labels))
        accepted = [rule for rule in active_rules(rules, task, labelled.table.sidecars) if rule.approved]
        hits, evidence = RuleJudge(arbiter.weigh(accepted), len(task.labels)).evidence(labelled.table)
        return cls(model, known, arbiter.pool.probabilities(model, evidence), hits)


def find_label_issues(
    labelled: LabelledSamples,
    found: ModelAndRules,
    given: GivenLabels,
) -> list[LabelIssue]:
    """What to look at, the most doubtful label first and repeats last.

    Samples have the labels that people have `given` them by now, and those that people have decided about are left
    out.
    """
    task, names = labelled.task, labelled.task.label_names
    samples = [now if (now := given.now(sample)).label in names else sample for sample in labelled.samples]
    labels = np.array(label_indices(samples, task), dtype=np.int64)
    neighbours = labelled.nearest.probabilities(labelled.vote, labels, len(names))
    suspicion, others = suspect(found.both, neighbours, labels), labelled.same
    issues = []
    for row, sample in enumerate(samples):
        same = tuple(samples[other] for other in others.get(row, ()))
        suggested, odds = names[suspicion.suggested[row]], float(suspicion.odds[row])
        if any(other.label != sample.label for other in same):
            kind: Kind = "contradiction"
            group = [row, *others[row]]
            suggested = names[_of_group(labels[group], found.both[group] * neighbours[group])]
            if suggested == sample.label:
                continue  # another one of the group is the odd one
        elif found.known[row] and odds >= LEAST_ODDS:
            kind = "doubtful"
        elif others.get(row, [row])[0] < row:
            kind, odds = "repeat", 0.0
        else:
            continue
        if given.of(sample) is None:
            known = (sample.label, suggested) if found.known[row] else ()
            issues.append(
                LabelIssue(
                    kind, sample, None if kind == "repeat" else suggested, odds,
                    {str(label): float(found.model[row, names.index(str(label))]) for label in known},
                    tuple(hit for hit in found.hits[row] if hit.rule.label != sample.label),
                    _near(labelled, labels, row), same, opening(labelled.table.rows[row]), names,
                )
            )  # fmt: skip
    return sorted(issues, key=lambda issue: -issue.odds)


def _of_group(labels: NDArray[np.int64], likely: Floats) -> int:
    """The label that most of the samples that say the same have, of several the one that is `likely` of all.

    Each of them is `likely` [n_same, n_labels] what the others are: together that cancels out.
    """
    counted, together = Counter(labels.tolist()), np.log(likely).sum(axis=0)
    return max(counted, key=lambda label: (counted[label], together[label]))


def _near(labelled: LabelledSamples, labels: NDArray[np.int64], row: int) -> tuple[NearSample, ...]:
    found = labelled.nearest.found
    return tuple(
        NearSample(labelled.table.rows[at].sample.id, int(labels[at]), similarity, opening(labelled.table.rows[at]))
        for at, similarity in zip(found.rows[row].tolist(), found.similarities[row].tolist(), strict=True)
        if at >= 0
    )[:MOST_NEAR]


def project_label_issues(project: Project, task: Task) -> list[LabelIssue]:
    """Those of a task of a project; KdslError where it was not trained."""
    labelled = LabelledSamples.of(task, project.field_table(task), project.config.data.images)
    if labelled is None:
        return []
    found = ModelAndRules.of(labelled, project.config.checkpoint, project.rule_base(task).rules)
    return find_label_issues(labelled, found, project.label_log.given())
