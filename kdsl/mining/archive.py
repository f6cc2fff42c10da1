"""What mining leaves behind: rules and statistics for the rule base, and an archive that the arbiter is fitted on."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from kdsl.bitmaps import members, pack
from kdsl.errors import Hint, KdslError
from kdsl.files import write_atomically
from kdsl.label_matrix import has_label, label_shares
from kdsl.mining.beyond import Beyond
from kdsl.mining.proposer import described
from kdsl.mining.reliability import FEATURES, Reliability, Shown, rule_weights
from kdsl.mining.units import family
from kdsl.mining.vocabulary import Vocabulary
from kdsl.record_file import Count, RecordModel, Share, read_record
from kdsl.rules.condition import Condition
from kdsl.rules.implication import subsumed
from kdsl.rules.rule import Provenance, Rule, When, rule_id, when_hash
from kdsl.rules.rulebase import MINED
from kdsl.rules.statistics import HeldOutCounts, RuleStatistics, TrainingCounts
from kdsl.sample import Task

if TYPE_CHECKING:  # the miner imports the search, for which what only predicts need not wait
    from kdsl.mining.miner import Mined
    from kdsl.mining.problem import FoundRule, MiningProblem

ARCHIVE_FILE = "mining.json"
"""Name of the archive in a task's folder of the checkpoint."""

LEAST_WEIGHT = 1.0
"""How much a mined rule must raise the log odds of its label, beside `MiningSettings.least_precision`: to be right on
most samples says nothing of a label that most samples have."""

RuleKey = tuple[str, str]
"""(label, hash of the conditions): what makes two rules the same."""


def candidate_rules(mined: "Mined", run: str, seed: int) -> list[Rule]:
    """The rules that were found on all samples searched, whether they are accepted or not: see `mined_rules`."""
    problem = mined.problem
    names = problem.task.label_names
    return [
        _rule(problem.task.name, names[found.label], found.written(problem.vocabulary), problem.proposer, run, seed)
        for found in mined.rules
    ]


def mined_rules(
    mined: "Mined", run: str, seed: int, beyond: Beyond | None = None
) -> tuple[list[Rule], list[RuleStatistics]]:
    """The rules on all samples that the miner accepts, and the statistics of each, in the same order.

    `run` names the mining run, such as its time; it and `seed` are written into the rules' provenance. `beyond` are
    counts on samples that were not searched: they are held-out ones for each rule, and count in what it is accepted
    on.
    """
    problem = mined.problem
    names = problem.task.label_names
    held_out = held_out_counts(mined)
    base_rates = label_shares(problem.labels, len(names))
    rules: dict[RuleKey, Rule] = {}
    statistics = []
    estimates_of = mined.reliability.estimate(mined.shown).tolist()
    for rule, found, shown, estimate in zip(
        candidate_rules(mined, run, seed), mined.rules, mined.shown, estimates_of, strict=True
    ):
        key = rule.label, rule.when_hash
        reliability = with_beyond(estimate, shown, len(problem.labels), key, beyond)
        base_rate = share_with_beyond(float(base_rates[found.label]), len(problem.labels), rule.label, beyond)
        if key in rules or not accepts(mined.reliability, shown, reliability, base_rate, mined.least_precision):
            continue
        entry = rule_statistics(rule, shown, reliability, base_rate, len(problem.labels), found.candidates)
        rules[key] = rule
        statistics.append(counted_beyond(entry.model_copy(update={"held_out": held_out.get(key)}), key, beyond))
    # What can only hit where another rule of its label does says nothing beside it, unless it is surer.
    estimates = {entry.id: entry.reliability for entry in statistics if entry.reliability is not None}
    beside = {special.id for special, _ in subsumed(list(rules.values()), estimates)}
    kept = [pair for pair in zip(rules.values(), statistics, strict=True) if pair[0].id not in beside]
    return [rule for rule, _ in kept], [entry for _, entry in kept]


STRENGTH = 20.0
"""Hits on samples that were not searched from which on these say more about a rule than what it is like."""


def with_beyond(estimate: float, shown: Shown, samples: int, key: RuleKey, beyond: Beyond | None) -> float:
    """The reliability of a rule on all samples, of which those searched, `samples` of them, are a part.

    The precision on all is the mean of the precisions on either part, weighted by the rule's hits there, as of strata
    (Cochran, Sampling Techniques, 1977, chapter 5). Counts on the samples searched are too good, so that there the
    `estimate` stands for them. All others are held-out samples; the precision on them is the mean of a Beta
    distribution that begins as the estimate with the strength of `STRENGTH` hits: `(s · e + correct) / (s + hits)`.

    Of a rare label more than its share was searched, so that it is rarer among the others: e is the estimate with its
    odds multiplied by those of the label among the others, divided by those among the searched (Saerens, Latinne and
    Decaestecker 2002).
    """
    hits, correct = (0, 0) if beyond is None else beyond.counts.get(key, (0, 0))
    if beyond is None or hits == 0:
        return estimate
    positives = beyond.positives.get(key[0], 0)
    right = estimate * positives / max(shown.positives, 1)
    wrong = (1 - estimate) * (beyond.samples - positives) / max(samples - shown.positives, 1)
    expected = right / (right + wrong) if right + wrong else estimate
    precision = (STRENGTH * expected + correct) / (STRENGTH + hits)
    return (shown.hits * estimate + hits * precision) / (shown.hits + hits)


def share_with_beyond(share: float, samples: int, label: str, beyond: Beyond | None) -> float:
    """The share of samples that have a label, those too that were not searched; `share` of `samples` is of the others.

    Rare labels are drawn more often than others, so that the share of those searched is not that of all.
    """
    if beyond is None:
        return share
    return (share * samples + beyond.positives.get(label, 0)) / (samples + beyond.samples)


def counted_beyond(entry: RuleStatistics, key: RuleKey, beyond: Beyond | None) -> RuleStatistics:
    """The same with the counts on samples that were not searched: among those of training, which are all there are,
    and among those held out."""
    if beyond is None or key not in beyond.counts:
        return entry
    hits, correct = beyond.counts[key]
    training, held_out = entry.training, entry.held_out or HeldOutCounts(hits=0, correct=0)
    return entry.model_copy(
        update={
            "training": TrainingCounts(
                hits=training.hits + hits,
                correct=training.correct + correct,
                positives=training.positives + beyond.positives.get(key[0], 0),
                samples=training.samples + beyond.samples,
            ),
            "held_out": HeldOutCounts(hits=held_out.hits + hits, correct=held_out.correct + correct),
        }
    )


def rule_statistics(
    rule: Rule, shown: Shown, reliability: float | None, base_rate: float, n_samples: int, candidates: int
) -> RuleStatistics:
    """Statistics of a rule that shows `shown` on `n_samples` training samples; no held-out counts."""
    return RuleStatistics(
        id=rule.id,
        when=rule.when_hash,
        training=TrainingCounts(
            hits=shown.hits, correct=shown.correct, positives=shown.positives, samples=n_samples
        ),
        reliability=None if reliability is None else round(reliability, 4),
        base_rate=round(base_rate, 6),
        candidates=candidates,
        weight=None if reliability is None else round(float(rule_weights(reliability, base_rate)), 4),
        sense=None if shown.sense is None else round(shown.sense, 4),
    )  # fmt: skip


def accepts(judge: Reliability, shown: Shown, reliability: float, base_rate: float, least: float) -> bool:
    """Whether a mined rule enters the rule base: it was right once or more, is right often enough, and says enough
    beyond the base rate.

    `reliability` is what `judge` estimates, and `least` where it must be; where `judge` found nothing but chance, no
    rule enters.
    """
    if judge.chance or shown.correct == 0 or reliability < least:
        return False
    return bool(rule_weights(reliability, base_rate) >= LEAST_WEIGHT)


def held_out_counts(mined: "Mined") -> dict[RuleKey, HeldOutCounts]:
    """For every rule that some fold's mining found, its counts on the samples of those folds."""
    problem = mined.problem
    counts: dict[RuleKey, HeldOutCounts] = {}
    for part in mined.held_out:
        hits, correct = part.counts(problem)
        for index, found in enumerate(part.rules):
            key = problem.task.label_names[found.label], when_hash(found.written(problem.vocabulary))
            before = counts.get(key, HeldOutCounts(hits=0, correct=0))
            counts[key] = HeldOutCounts(
                hits=before.hits + int(hits[index]), correct=before.correct + int(correct[index])
            )
    return counts


def shown_of(rule: Rule, hits: NDArray[np.bool_], labels: NDArray[np.int64], task: Task) -> Shown:
    """What any rule, a hand-written one too, shows on samples: `hits` [n_samples], `labels` as `kdsl.label_matrix` has
    them."""
    known = rule.label in task.label_names
    label = task.label_names.index(rule.label) if known else len(task.labels)
    truth = has_label(labels, label) if known else np.zeros(len(labels), dtype=bool)
    plain = [condition for condition in rule.conditions if not condition.negated]
    parts = (
        *(Condition(field=c.field, terms=(word,)) for c in plain for word in c.normalised_words),
        *(condition for condition in plain if condition.meaning is not None),
    )
    specific = described(task, Vocabulary(parts, pack(np.zeros((len(parts), 0), dtype=bool)), 0))
    return Shown(
        hits=int(hits.sum()),
        correct=int((hits & truth).sum()),
        positives=int(truth.sum()),
        conditions=len(rule.conditions),
        negations=len(rule.conditions) - len(plain),
        further_terms=sum(
            max(len(set(map(family, condition.normalised_words))) - 1, 0) for condition in rule.conditions
        ),
        described=float(specific[label].max(initial=0.0)) if label < len(task.labels) else 0.0,
        meanings=sum(condition.meaning is not None for condition in rule.conditions),
    )


class ArchivedRule(RecordModel):
    """A rule mined without one fold, and what it showed on the samples it was mined on."""

    label: str
    when: tuple[Condition, ...] = Field(min_length=1)
    shown: Shown
    gave: tuple[str, ...] = ()
    """Ids of the samples of the fold that the rule has a wording from: its hits there say nothing."""
    listed: bool = True
    """Whether it made the list of its label: the others count where a person accepted them."""

    @model_validator(mode="after")
    def _possible(self) -> "ArchivedRule":
        shown = self.shown
        counts = shown.hits, shown.positives, shown.conditions, shown.negations, shown.further_terms, shown.meanings
        if not 0 <= shown.correct <= shown.hits or min(counts) < 0 or max(counts) > 1 << 53:
            raise ValueError(f"{shown.correct} of {shown.hits} hits on {shown.positives} samples are no counts")
        shares = (shown.described, shown.sense, shown.expected)
        if not all(share is None or 0 <= share <= 1 for share in shares):
            raise ValueError("a share is not from 0 to 1")
        return self


class Archive(RecordModel):
    """The cross-validated side of mining one task: JSON in <checkpoint>/<task>/mining.json."""

    version: Literal[3] = 3
    task: str
    seed: int
    reliability: Reliability
    least_precision: Share
    """From which on a mined rule enters the rule base."""
    base_rates: dict[str, Share]
    """label → its share of the samples."""
    samples: tuple[str, ...]
    """Ids of the samples mined on."""
    drawn_from: Count | None = None
    """Labelled samples of which those mined on were drawn; None where all were mined on."""
    folds: tuple[Count, ...]
    """The fold of each of `samples`, from 0."""
    held_out: tuple[tuple[ArchivedRule, ...], ...]
    """For every fold the rules mined without it."""

    @model_validator(mode="after")
    def _whole(self) -> "Archive":
        if self.drawn_from is not None and self.drawn_from <= len(self.samples):
            raise ValueError(f"{len(self.samples)} samples are no part of {self.drawn_from}")
        if len(self.samples) != len(self.folds) or not all(0 <= fold < len(self.held_out) for fold in self.folds):
            raise ValueError("samples, folds and held_out do not belong together")
        if len(self.reliability.coefficients) != len(FEATURES):
            raise ValueError("written by another version")
        strange = next(
            (each.label for fold in self.held_out for each in fold if each.label not in self.base_rates), None
        )
        if strange is not None:
            raise ValueError(f"a rule for {strange!r}, which has no base rate")
        unknown = {sample for fold in self.held_out for each in fold for sample in each.gave} - set(self.samples)
        if unknown:
            raise ValueError(f"a rule has its wording from {min(unknown)!r}, which was not mined on")
        return self

    def folds_of(self, sample_ids: Sequence[str]) -> NDArray[np.int64]:
        """The fold of every sample: [n_samples]. KdslError when these are not the samples mined on."""
        if sorted(sample_ids) != sorted(self.samples):
            strange = next(iter({*sample_ids} ^ {*self.samples}), None)
            which = "some ids occur more or less often" if strange is None else f"{strange!r} is in one of them only"
            raise KdslError(
                f"{self.task}: the training samples are not those that rules were mined on ({which})",
                Hint.MINE_AGAIN,
            )
        if tuple(sample_ids) == self.samples:
            return np.array(self.folds, dtype=np.int64)
        fold = dict(zip(self.samples, self.folds, strict=True))
        if len(fold) < len(self.samples):
            raise KdslError(
                f"{self.task}: the training samples stand in another order than rules were mined on, and some of "
                "their ids occur twice instead of being different",
                Hint.MINE_AGAIN,
            )
        return np.array([fold[sample_id] for sample_id in sample_ids], dtype=np.int64)

    def held_out_rules(self, fold: int) -> tuple[list[Rule], list[ArchivedRule]]:
        """The rules mined without `fold`, as the engine takes them, and what is known of each."""
        archived = self.held_out[fold]
        rules = [_rule(self.task, entry.label, entry.when, "", "", self.seed) for entry in archived]
        return rules, list(archived)


def archive_of(mined: "Mined", sample_ids: Sequence[str], beyond: int = 0) -> Archive:
    """The archive of a mining run on the samples with these ids, in the order they were mined in; so many `beyond`
    them were not searched."""
    problem = mined.problem
    names = problem.task.label_names
    shares = label_shares(problem.labels, len(names))
    return Archive(
        task=problem.task.name,
        seed=problem.seed,
        reliability=mined.reliability,
        least_precision=mined.least_precision,
        base_rates=dict(zip(names, shares.tolist(), strict=True)),
        samples=tuple(sample_ids),
        drawn_from=len(sample_ids) + beyond if beyond else None,
        folds=tuple(problem.folds.tolist()),
        held_out=tuple(
            tuple(
                ArchivedRule(
                    label=names[found.label],
                    when=found.written(problem.vocabulary),
                    shown=shown,
                    listed=listed,
                    gave=tuple(sample_ids[row] for row in _gave(problem, found, part.fold)),
                )
                for listed, pairs in ((True, zip(part.rules, part.shown, strict=True)), (False, part.others))
                for found, shown in pairs
            )
            for part in mined.held_out
        ),
    )


def _gave(problem: "MiningProblem", found: "FoundRule", fold: int) -> list[int]:
    """The samples of the fold that the rule has a wording from."""
    giving = problem.vocabulary.giving(found.conditions) & ~problem.members(fold)
    return members(giving).tolist()


def save_archive(mined: "Mined", sample_ids: Sequence[str], path: Path, beyond: int = 0) -> Archive:
    """Write `archive_of` a mining run, atomically, and return it; KdslError when `path` cannot be written."""
    archive = archive_of(mined, sample_ids, beyond)
    write_archive(archive, path)
    return archive


def write_archive(archive: Archive, path: Path) -> None:
    """Write an archive atomically; KdslError when `path` cannot be written."""
    left_out = {"drawn_from"} if archive.drawn_from is None else None
    write_atomically(path, archive.model_dump_json(indent=1, exclude=left_out) + "\n")


def load_archive(path: Path) -> Archive:
    """Read what `save_archive` wrote; KdslError when it is missing or damaged."""
    if not path.exists():
        raise KdslError(f"{path}: no such file", Hint.MINE)
    return read_record(Archive, path, Hint.MINE_AGAIN)


def as_mined(task: str, rule: Rule) -> bool:
    """Whether the rule still is what mining wrote, whatever people decided about it."""
    return rule.provenance.source == MINED and rule.id == rule_id(task, rule.label, rule.conditions)


def _rule(task: str, label: str, conditions: tuple[Condition, ...], proposer: str, run: str, seed: int) -> Rule:
    return Rule(
        id=rule_id(task, label, conditions),
        label=label,
        when=When(all=conditions),
        provenance=Provenance(source=MINED, proposer=proposer, run=run, seed=seed),
    )
