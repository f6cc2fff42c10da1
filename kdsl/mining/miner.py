"""Mining one task: search every label, choose rules, and cross-validate the whole procedure for reliability."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from kdsl.bitmaps import Bitmap, SampleWeights, count, pack, unpack
from kdsl.label_matrix import has_label, label_shares, several
from kdsl.mining.inside import Inside
from kdsl.mining.literals import choose_literals
from kdsl.mining.opinion import Opinion
from kdsl.mining.problem import ALL_SAMPLES, FoundRule, MiningProblem, jobs
from kdsl.mining.proposer import Validator
from kdsl.mining.reliability import MIN_HITS, Reliability, Shown, fit_reliability
from kdsl.mining.reward import Reward
from kdsl.mining.rule_list import rule_list
from kdsl.mining.search import Search, SearchSettings
from kdsl.mining.selection import select_rules
from kdsl.mining.vocabulary import Vocabulary

MOST_TERMS = 4
"""In an any-list that near copies are merged into: more is read by nobody."""


@dataclass(frozen=True, slots=True)
class MiningSettings:
    search: SearchSettings = field(default_factory=SearchSettings)
    reward_z: float = 1.28
    recall_power: float = 0.5
    candidates: int = 36
    """Rules that the search of a label hands on; the list of `kdsl.mining.rule_list` is chosen from them."""
    most_rules: int = 8
    """Rules of one label in that list."""
    least_precision: float = 0.6
    """Expected precision, from which a rule enters it."""
    folds: int = 5
    focus: float = 0.0
    """How much less a sample counts that the classifier is sure to get right, in [0, 1): see `sample_weights`."""


@dataclass(frozen=True)
class HeldOut:
    """Rules mined without one fold, and what they do on it."""

    fold: int
    rules: tuple[FoundRule, ...]
    shown: tuple[Shown, ...]
    bits: Bitmap
    """uint64 [n_rules, n_words]: samples of the fold that each holds on, without those that gave it its wording."""
    others: tuple[tuple[FoundRule, Shown], ...] = ()
    """Candidates that did not make the list: a person who accepted one would have accepted it without the fold too."""

    def counts(self, problem: MiningProblem) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Hits of each rule, and right ones among them: [n_rules] both."""
        having = {label: problem.having(label) for label in {rule.label for rule in self.rules}}
        right = [count(bits & having[rule.label]) for bits, rule in zip(self.bits, self.rules, strict=True)]
        return count(self.bits), np.array(right, dtype=np.int64)


@dataclass(frozen=True)
class Mined:
    """What mining a task gives: rules on all samples, and out-of-fold rules that say what such rules are worth."""

    problem: MiningProblem
    rules: tuple[FoundRule, ...]
    shown: tuple[Shown, ...]
    reliability: Reliability
    held_out: tuple[HeldOut, ...]
    least_precision: float
    """Expected precision, from which a rule enters the rule base."""
    opinion: Opinion | None = None
    """What was heard about the rules on unlabelled samples."""


def mine_label(
    problem: MiningProblem, fold: int, label: int, settings: MiningSettings, inside: Inside | None = None
) -> list[FoundRule]:
    """The rules of one label, mined on the samples outside `fold`; the same input gives the same rules.

    `inside` is what the small model does there, None without one.
    """
    rules = described_rules(problem, fold, label)
    search = start_search(problem, fold, label, settings, inside)
    if search is None:
        return rules
    known = {rule.conditions for rule in rules}
    found = select_rules(search.run(), search, settings.candidates)
    literals = search.literals
    named = literals.vocabulary.conditions[len(problem.vocabulary) :]
    for chosen in found:
        conditions = tuple(tuple(literals.condition[list(part)].tolist()) for part in chosen.key)
        negated = tuple(bool(literals.negated[part[0]]) for part in chosen.key)
        if conditions not in known:
            uses_named = any(index >= len(problem.vocabulary) for part in conditions for index in part)
            own = named if uses_named else ()
            rules.append(FoundRule(label, conditions, negated, search.evaluations, own))
    return rules


def described_rules(problem: MiningProblem, fold: int, label: int) -> list[FoundRule]:
    """One rule a text field: any of the words that describe this label alone, those left out that point elsewhere.

    Such a rule speaks also where training samples are few or say it otherwise; validation tells what it is worth.
    """
    members = problem.members(fold)
    positives = problem.having(label) & members
    rules = []
    for words in problem.own_words[label]:
        coverage = problem.vocabulary.coverage[list(words)]
        hits, correct = count(coverage & members), count(coverage & positives)
        kept = tuple(word for word, n, right in zip(words, hits, correct, strict=True) if 2 * (right + 1) >= n + 1)
        kept = _without_longer(problem.vocabulary, kept)
        if kept:
            rules.append(FoundRule(label, (kept,), (False,), len(words)))
    return rules


def _without_longer(vocabulary: Vocabulary, indices: tuple[int, ...]) -> tuple[int, ...]:
    """Without the terms that hold another one of them, which is found wherever they are."""
    terms = {index: vocabulary.conditions[index].terms for index in indices}
    return tuple(
        index
        for index in indices
        if not any(
            short in long
            for long in terms[index]
            for other in indices
            for short in terms[other]
            if other != index and short != long
        )
    )


def start_search(
    problem: MiningProblem, fold: int, label: int, settings: MiningSettings, inside: Inside | None = None
) -> Search | None:
    """The search of one label, ready to run; None where the label has no sample or no condition could help."""
    members = problem.members(fold)
    positives = problem.having(label) & members
    n_positives = int(count(positives))
    if n_positives == 0:
        return None
    # What a label is called and described as is the first sample of it, known before any other and in every fold.
    names = np.arange(len(problem.task.labels))
    members = np.concatenate([members, pack(names >= 0)])
    positives = np.concatenate([positives, pack(names == label)])
    vocabulary = problem.with_descriptions
    weights = SampleWeights(np.append(problem.weights, np.ones(vocabulary.n_samples - len(problem.weights))))
    reward = Reward(float(weights.count(positives)), settings.reward_z, settings.recall_power)
    min_correct = min(2, n_positives)
    prior = problem.prior_of(fold, label)
    rivalry = problem.rivalry(fold, label, settings.reward_z)
    counts = None
    if weights.alike:
        hits, correct = problem.counts(fold)
        counts = hits, correct[label]
    literals = choose_literals(vocabulary, prior, positives, members, weights, reward, min_correct, rivalry, counts)
    if not len(literals):
        return None
    seed = zlib.crc32(f"{problem.seed} {fold} {label}".encode())
    own = None if inside is None else inside.of(fold - ALL_SAMPLES, label)
    return Search(literals, positives, members, weights, reward, settings.search, seed, inside=own)


def assemble(
    problem: MiningProblem,
    found: dict[tuple[int, int], list[FoundRule]],
    settings: MiningSettings,
    validator: Validator | None = None,
    opinion: Opinion | None = None,
) -> Mined:
    """Choose from the results of all `jobs`, and fit the reliability on what was chosen without each fold.

    The `validator` is asked about as many rules of each label as its `choice`, those that make the best list without
    it. What judges the rules mined without a fold was not fitted on that fold. An `opinion` says what classifiers
    expect of each on unlabelled samples.
    """
    beside = _Beside(expected=_expected(problem, found, opinion))
    if validator is not None:
        if validator.choice < settings.candidates:
            asked = replace(settings, most_rules=validator.choice, least_precision=0.0)
            found = _chosen(_assembled(problem, found, beside), asked)
        beside = _Beside(_judged(problem, found, validator), _expected(problem, found, opinion))
    candidates = _assembled(problem, found, beside)
    chosen = _chosen(candidates, settings)
    mined = _assembled(problem, chosen, replace(beside, expected=_expected(problem, chosen, opinion)))
    held_out = []
    for part, all_of_fold in zip(mined.held_out, candidates.held_out, strict=True):
        taken = {_said(rule) for rule in part.rules}
        pairs = zip(all_of_fold.rules, all_of_fold.shown, strict=True)
        held_out.append(replace(part, others=tuple(pair for pair in pairs if _said(pair[0]) not in taken)))
    enough = sum(int(count(part.bits).sum()) for part in mined.held_out) >= MIN_HITS
    return replace(
        mined,
        held_out=tuple(held_out),
        reliability=mined.reliability if enough else candidates.reliability,
        least_precision=settings.least_precision,
        opinion=opinion,
    )


def _chosen(mined: Mined, settings: MiningSettings) -> dict[tuple[int, int], list[FoundRule]]:
    """The rules of each job that make the list of its label; no two labels get a rule with the same conditions."""
    parts = [(ALL_SAMPLES, mined.rules, mined.shown, mined.reliability)]
    for part in mined.held_out:
        others = [other for other in mined.held_out if other.fold != part.fold]
        parts.append((part.fold, part.rules, part.shown, _reliability(mined.problem, others)))
    chosen: dict[tuple[int, int], list[FoundRule]] = {job: [] for job in jobs(mined.problem)}
    for fold, rules, shown, reliability in parts:
        for rule in listed(mined.problem, fold, rules, shown, reliability, settings):
            chosen[fold, rule.label].append(rule)
    return chosen


def listed(
    problem: MiningProblem,
    fold: int,
    rules: Sequence[FoundRule],
    shown: Sequence[Shown],
    reliability: Reliability,
    settings: MiningSettings,
) -> list[FoundRule]:
    """Of `rules`, mined without `fold`, those that make the lists of their labels, in the order they were chosen."""
    estimates = reliability.estimate(shown)
    best: dict[object, int] = {}
    for index in np.argsort(-estimates, kind="stable").tolist():
        rule = rules[index]
        key = frozenset(zip(map(frozenset, rule.conditions), rule.negated, strict=True))
        # The same conditions may speak for two labels only where a sample may have both.
        best.setdefault((rule.label, key) if several(problem.labels) else key, index)
    of = np.array([rule.label for rule in rules], dtype=np.int64)
    inside = problem.folds != fold
    chosen = []
    for label in range(len(problem.task.labels)):
        candidates = sorted(index for index in best.values() if of[index] == label)
        hits = [unpack(rules[index].bits(problem.vocabulary), len(inside)) & inside for index in candidates]
        positives = has_label(problem.labels, label) & inside
        words = [frozenset(_words(problem, rules[index])) for index in candidates]
        ranked = rule_list(
            estimates[candidates], hits, positives, settings.least_precision, settings.most_rules, words
        )  # fmt: skip
        for index, copies in ranked:
            rule = rules[candidates[index]]
            for copy in copies:
                rule = _with_terms_of(problem, fold, rule, rules[candidates[copy]], reliability)
            chosen.append(_without_idle_terms(problem, fold, rule))
    return chosen


def _words(problem: MiningProblem, rule: FoundRule) -> tuple[int, ...]:
    """The conditions of a rule that is one list of words and nothing else; () for any other."""
    if len(rule.conditions) > 1 or rule.negated[0]:
        return ()
    tests = [problem.vocabulary.conditions[index] for index in rule.conditions[0]]
    return rule.conditions[0] if all(test.terms for test in tests) else ()


def _with_terms_of(
    problem: MiningProblem, fold: int, rule: FoundRule, copy: FoundRule, reliability: Reliability
) -> FoundRule:
    """One rule on the words of two that hit nearly the same samples; `rule` where the copy's words do not matter.

    They matter where they are right on two samples more, and wrong on none, and the estimate does not fall.
    """
    parts = _words(problem, rule), _words(problem, copy)
    indices = tuple(dict.fromkeys(parts[0] + parts[1]))
    fields = {problem.vocabulary.conditions[index].field for index in indices}
    if not all(parts) or len(fields) > 1 or len(indices) > MOST_TERMS:
        return rule
    both = replace(rule, conditions=(indices,))
    shown = [problem.shown(each, problem.members(fold)) for each in (rule, both)]
    new, new_correct = shown[1].hits - shown[0].hits, shown[1].correct - shown[0].correct
    before, after = reliability.estimate(shown)
    return both if new == new_correct >= 2 and after >= before else rule


def _without_idle_terms(problem: MiningProblem, fold: int, rule: FoundRule) -> FoundRule:
    """The rule without terms of any-lists that hit only what the others hit.

    Words of a description that no sample has stay: they are for samples to come.
    """
    members = problem.members(fold)
    hits = count(rule.bits(problem.vocabulary) & members)
    for place, part in enumerate(rule.conditions):
        for index in reversed(part):
            rest = tuple(other for other in rule.conditions[place] if other != index)
            shorter = replace(rule, conditions=(*rule.conditions[:place], rest, *rule.conditions[place + 1 :]))
            seen = (problem.vocabulary.coverage[index] & members).any()
            if rest and seen and count(shorter.bits(problem.vocabulary) & members) == hits:
                rule = shorter
    return rule


def _assembled(problem: MiningProblem, found: dict[tuple[int, int], list[FoundRule]], beside: "_Beside") -> Mined:
    n_labels = len(problem.task.labels)
    held_out = []
    for fold in range(int(problem.folds.max()) + 1):
        rules = tuple(rule for label in range(n_labels) for rule in found[fold, label])
        members = problem.members(fold)
        shown = tuple(beside.told(fold, rule, problem.shown(rule, members)) for rule in rules)
        bits = np.zeros((len(rules), len(members)), dtype=np.uint64)
        for index, rule in enumerate(rules):
            bits[index] = rule.bits(problem.vocabulary) & ~members & ~problem.vocabulary.giving(rule.conditions)
        held_out.append(HeldOut(fold, rules, shown, bits))
    everyone = problem.members(ALL_SAMPLES)
    rules = tuple(rule for label in range(n_labels) for rule in found[ALL_SAMPLES, label])
    shown = tuple(beside.told(ALL_SAMPLES, rule, problem.shown(rule, everyone)) for rule in rules)
    return Mined(problem, rules, shown, _reliability(problem, held_out), tuple(held_out), 0.0)


def _reliability(problem: MiningProblem, held_out: Sequence[HeldOut]) -> Reliability:
    """What the rules mined without these folds kept on them."""
    counts = [part.counts(problem) for part in held_out]
    every = [rule for part in held_out for rule in part.rules]
    none = np.zeros(0, dtype=np.int64)
    hits = np.concatenate([none, *(part[0] for part in counts)])
    correct = np.concatenate([none, *(part[1] for part in counts)])
    base_rates = label_shares(problem.labels, len(problem.task.labels))
    expected = sum(float(hit * base_rates[rule.label]) for rule, hit in zip(every, hits.tolist(), strict=True))
    return fit_reliability([each for part in held_out for each in part.shown], hits, correct, expected)


_Said = tuple[int, tuple[tuple[int, ...], ...], tuple[bool, ...]]
"""What a rule says, however it was found: label, conditions and which of them are negated."""


def _said(rule: FoundRule) -> _Said:
    return rule.label, rule.conditions, rule.negated


def _expected(
    problem: MiningProblem, found: dict[tuple[int, int], list[FoundRule]], opinion: Opinion | None
) -> "dict[tuple[int, _Said], float | None]":
    """What to expect of the rules of each job on unlabelled samples, by fold and what they say."""
    shares = {} if opinion is None else opinion.expected(problem.vocabulary, found)
    return {
        (fold, _said(rule)): share
        for (fold, label), of_job in shares.items()
        for rule, share in zip(found[fold, label], of_job, strict=True)
    }


@dataclass(frozen=True)
class _Beside:
    """What others say about rules, beside what these show."""

    sense: dict[_Said, float | None] = field(default_factory=dict)
    expected: dict[tuple[int, _Said], float | None] = field(default_factory=dict)
    """By the fold a rule was found without, too."""

    def told(self, fold: int, rule: FoundRule, shown: Shown) -> Shown:
        """`shown`, with what is said about the rule."""
        said = _said(rule)
        return replace(shown, sense=self.sense.get(said), expected=self.expected.get((fold, said)))


def _judged(
    problem: MiningProblem, found: dict[tuple[int, int], list[FoundRule]], validator: Validator
) -> dict[_Said, float | None]:
    """What the validator says about each distinct rule, those mined on all samples first."""
    rules = {_said(rule): rule for job in jobs(problem) for rule in found[job]}
    judged = validator.judge(problem.task, [(rule.label, rule.written(problem.vocabulary)) for rule in rules.values()])
    return dict(zip(rules, judged, strict=True))
