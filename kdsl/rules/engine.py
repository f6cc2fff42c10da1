"""The engine: which rules hold on which samples, and why.

One automaton pass over a field's text finds all terms of all rules on that field. Terms, conditions and rules are then
bitmaps over a batch of samples: a condition is the OR of its terms, a rule the AND of its conditions, complemented
where negated. All wordings of all rules on the meaning of a field are compared in one matrix product.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import numpy as np

from kdsl.bitmaps import Bitmap, Flags, indices, pack, unpack
from kdsl.embeddings.sentence_vectors import SentenceVectors
from kdsl.fields import COLOUR_FIELD, KIND_FIELD, QUESTION_FIELD
from kdsl.fields.table import FieldTable, SampleFields
from kdsl.rules.condition import Condition, Meaning
from kdsl.rules.evidence import Explained, Hit, searched
from kdsl.rules.matcher import Matcher
from kdsl.rules.meaning import Wordings, comparable, meanings, untold
from kdsl.rules.rule import Rule, When
from kdsl.rules.sight import holds_on_sight

BATCH = 256
"""Samples decided at once: the fixed cost of a batch is small against them, and its bitmaps stay in the cache. A whole
number of words, so that the bitmaps of batches are put side by side."""
YES = 0.5
"""A visual question holds from this probability on."""


class Engine:
    """Decides all of `rules` at once; build it once and use it for any number of samples."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = tuple(rules)
        self._tests = _Tests(condition for rule in self.rules for condition in rule.conditions)
        depth = max((len(rule.conditions) for rule in self.rules), default=0)
        # Condition k of every rule: the row of its test's bitmap, and whether it is negated. Rules with fewer
        # conditions are filled up with the last row, which is always true.
        self._row = np.full((depth, len(self.rules)), self._tests.count, dtype=np.int64)
        negated = np.zeros((depth, len(self.rules)), dtype=bool)
        for r, rule in enumerate(self.rules):
            for k, condition in enumerate(rule.conditions):
                self._row[k, r] = self._tests.row(condition)
                negated[k, r] = condition.negated
        self._negated = [np.flatnonzero(flags) for flags in negated]
        self._explained = [tuple(map(Explained, range(depth), rule.conditions)) for rule in self.rules]
        self._on_meaning = [(r, rule) for r, rule in enumerate(self.rules) if meanings(rule)]
        self._incomparable: tuple[SentenceVectors | None, list[int]] | None = None
        """The rules on meaning that nobody can tell with these vectors."""

    def encoded(self, table: FieldTable) -> list[str]:
        """The texts whose sentence vectors the rules compare."""
        return self._tests.wordings.compared(table.rows)

    def hits(self, table: FieldTable) -> list[list[Hit]]:
        """One list a sample: the rules that hold on it, in the order of `rules`, with their evidence."""
        return list(self.stream(table.rows))

    def stream(self, rows: Iterable[SampleFields]) -> Iterator[list[Hit]]:
        """Like `hits`, for samples that come one after the other; they are decided in batches of `BATCH`."""
        iterator = iter(rows)
        while batch := list(islice(iterator, BATCH)):
            yield from self._hits(batch)

    def matrix(self, table: FieldTable) -> Flags:
        """bool [n_samples, n_rules]: whether the rule holds on the sample."""
        return unpack(self.bitmaps(table), len(table)).T

    def bitmaps(self, table: FieldTable) -> Bitmap:
        """The samples that each rule holds on: uint64 [n_rules, n_words]."""
        batches = [self._decide(table.rows[first : first + BATCH]) for first in range(0, len(table), BATCH)]
        return np.concatenate([np.zeros((len(self.rules), 0), dtype=np.uint64), *batches], axis=1)

    def _decide(self, batch: list[SampleFields]) -> Bitmap:
        """`bitmaps` of one batch."""
        tests = self._tests.bitmaps(batch)
        bits = np.broadcast_to(tests[-1], (len(self.rules), tests.shape[1])).copy()
        for rows, negated in zip(self._row, self._negated, strict=True):
            found = tests.take(rows, axis=0)
            found[negated] = ~found[negated]
            bits &= found
        if self._on_meaning:  # what cannot be compared does not hold, nor does its negation
            vectors = batch[0].sidecars.vectors
            if self._incomparable is None or self._incomparable[0] is not vectors:
                self._incomparable = vectors, [r for r, rule in self._on_meaning if not comparable(rule, vectors)]
            bits[self._incomparable[1]] = 0
            if vectors is not None and not vectors.available:
                for r, rule in self._on_meaning:
                    bits[r] &= ~pack(untold(rule, batch, vectors))
        return bits

    def _hits(self, batch: list[SampleFields]) -> list[list[Hit]]:
        bits = self._decide(batch)
        rules, explained = self.rules, self._explained
        hits: list[list[Hit]] = [[] for _ in batch]
        rows, samples = indices(bits)
        for r, s in zip(rows.tolist(), samples.tolist(), strict=True):
            hits[s].append(Hit(rules[r], explained[r], batch[s]))
        return hits


def condition_bitmaps(conditions: Sequence[Condition], table: FieldTable) -> Bitmap:
    """The samples that each condition holds on by itself: uint64 [n_conditions, n_words]."""
    return Engine([Rule(id="r-0000", label="", when=When(all=(each,))) for each in conditions]).bitmaps(table)


class _Tests:
    """The distinct tests of all conditions, negation taken off, and their bitmaps over a batch of samples."""

    def __init__(self, conditions: Iterable[Condition]) -> None:
        distinct = {positive.canonical(): positive for positive in map(_positive, conditions)}
        terms = {key: positive.normalised_terms for key, positive in distinct.items()}
        # Tests on the same text stand together, those of many terms first: see `_compile`.
        ordered = sorted(distinct, key=lambda key: (_text_of(distinct[key]), -len(terms[key])))
        self._rows = {key: row for row, key in enumerate(ordered)}
        self.count = len(ordered)
        texts: dict[tuple[str, str], list[str]] = {}
        on_meaning: dict[int, Meaning] = {}
        self._others: list[tuple[int, Condition]] = []
        for row, key in enumerate(ordered):
            meaning = distinct[key].meaning
            if terms[key]:
                texts.setdefault(_text_of(distinct[key]), []).append(key)
            elif meaning is not None:
                on_meaning[row] = meaning
            else:
                self._others.append((row, distinct[key]))
        self._texts = [
            (distinct[keys[0]], self._rows[keys[0]], *_compile([terms[key] for key in keys]))
            for keys in texts.values()
        ]
        self._sees = any(condition.field in (KIND_FIELD, COLOUR_FIELD) for _, condition in self._others)
        self._meanings = list(on_meaning)
        self.wordings = Wordings(list(on_meaning.values()))

    def row(self, condition: Condition) -> int:
        """The row of the condition's test among the bitmaps."""
        return self._rows[_positive(condition).canonical()]

    def bitmaps(self, batch: list[SampleFields]) -> Bitmap:
        """[n_tests + 1, n_words] uint64; the last row is true for every sample."""
        everywhere = pack(np.ones(len(batch), dtype=bool))
        bits = np.zeros((self.count + 1, len(everywhere)), dtype=np.uint64)
        bits[-1] = everywhere
        for condition, first, matcher, alternatives in self._texts:
            found = matcher.bitmaps([searched(condition, row).text for row in batch])
            for terms in alternatives:
                bits[first : first + len(terms)] |= found.take(terms, axis=0)
        vectors = batch[0].sidecars.vectors if self._meanings else None
        if vectors is not None:
            bits[self._meanings] = pack(self.wordings.holds(batch, vectors))
        if self._sees:
            FieldTable.of_rows(batch).look()
        for row, condition in self._others:
            bits[row] = pack(np.array([_holds(condition, fields) for fields in batch], dtype=bool))
        return bits


def _text_of(condition: Condition) -> tuple[str, str]:
    """The same for conditions whose terms are searched in the same text: see `searched`."""
    return condition.field, "" if condition.size is None else str(condition.size.height)


def _compile(tests: list[frozenset[str]]) -> tuple[Matcher, list[np.ndarray]]:
    """The matcher of one text, and its terms: the first of all tests, the second of all that have two, and so on.

    Tests come with those of most terms first, so that every one of these lists is for the first so many tests.
    """
    matcher = Matcher(sorted(frozenset().union(*tests)))
    index = {term: i for i, term in enumerate(matcher.terms)}
    terms = [[index[term] for term in sorted(test)] for test in tests]
    return matcher, [np.array([test[k] for test in terms if len(test) > k]) for k in range(len(terms[0]))]


def _positive(condition: Condition) -> Condition:
    return condition.model_copy(update={"negated": False}) if condition.negated else condition


def _holds(condition: Condition, row: SampleFields) -> bool:
    if condition.field == QUESTION_FIELD:
        return (row.answer(condition.question or "") or 0.0) >= YES
    if condition.field in (KIND_FIELD, COLOUR_FIELD):
        return holds_on_sight(condition, row)
    return condition.comparison is not None and condition.comparison.holds(row.number(condition.field))
