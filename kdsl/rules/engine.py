"""The engine: which rules hold on which samples, and why.

All terms of all rules on a field are found in one automaton pass over a batch of texts. Conditions are then bitmaps
over the batch, and a rule is the AND of its conditions' bitmaps, complemented where negated.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import numpy as np

from kdsl.fields.names import QUESTION_FIELD
from kdsl.fields.table import FieldTable, SampleFields
from kdsl.rules.condition import Condition
from kdsl.rules.evidence import Evidence, Hit
from kdsl.rules.matcher import Matcher
from kdsl.rules.rule import Rule
from kdsl.text import normalise

BATCH = 512
"""Samples decided at once: large enough that a batch's fixed cost is small, small enough that its bitmaps stay in cache."""
YES = 0.5
"""A visual question holds from this probability on."""


class Engine:
    """Decides all of `rules` at once; build it once and use it for any number of samples."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = tuple(rules)
        self._tests = _Tests()
        depth = max((len(rule.conditions) for rule in self.rules), default=0)
        # Condition k of every rule: row of its test's bitmap, and all ones where it is negated. Rules with fewer
        # conditions are filled up with the last row, which is always true.
        self._row = np.full((depth, len(self.rules)), -1, dtype=np.int64)
        self._complement = np.zeros((depth, len(self.rules)), dtype=np.uint64)
        for r, rule in enumerate(self.rules):
            for k, condition in enumerate(rule.conditions):
                self._row[k, r] = self._tests.add(condition)
                if condition.negated:
                    self._complement[k, r] = ~np.uint64(0)
        self._tests.compile()

    def hits(self, table: FieldTable) -> list[list[Hit]]:
        """One list a sample: the rules that hold on it, in the order of `rules`, with their evidence."""
        return list(self.stream(table.rows))

    def stream(self, rows: Iterable[SampleFields]) -> Iterator[list[Hit]]:
        """Like `hits`, for samples that come one after the other; they are decided in batches of `BATCH`."""
        iterator = iter(rows)
        while batch := list(islice(iterator, BATCH)):
            yield from self._batch_hits(batch)

    def matrix(self, table: FieldTable) -> np.ndarray:
        """bool [n_samples, n_rules]: whether the rule holds on the sample."""
        result = np.zeros((len(table), len(self.rules)), dtype=bool)
        for first in range(0, len(table), BATCH):
            batch = table.rows[first : first + BATCH]
            bits = self._decide(self._tests.bitmaps(batch)[0], len(batch))
            result[first : first + len(batch)] = _unpack(bits, len(batch)).T
        return result

    def _decide(self, bitmaps: np.ndarray, count: int) -> np.ndarray:
        """[n_rules, n_words] uint64: bit j of word w is sample 64 * w + j; bits from `count` on are 0."""
        bits = np.broadcast_to(_ones(count), (len(self.rules), bitmaps.shape[1])).copy()
        for rows, complement in zip(self._row, self._complement, strict=True):
            bits &= bitmaps[rows] ^ complement[:, None]
        return bits

    def _batch_hits(self, batch: list[SampleFields]) -> list[list[Hit]]:
        bitmaps, found = self._tests.bitmaps(batch)
        bits = self._decide(bitmaps, len(batch))
        hits: list[list[Hit]] = [[] for _ in batch]
        touched = np.flatnonzero(bits.any(axis=1))
        rule_index, sample_index = np.nonzero(_unpack(bits[touched], len(batch)))
        rule_index = touched[rule_index]
        # [depth, n_hits]: for every condition of every hit the occurrence that makes it hold, if it is one of terms.
        occurrence = [found.first(rows[rule_index], sample_index) for rows in self._row]
        pairs = zip(rule_index.tolist(), sample_index.tolist(), zip(*occurrence, strict=True), strict=True)
        for r, s, first in pairs:
            rule = self.rules[r]
            row = batch[s]
            evidence = tuple(
                _evidence(k, condition, row, found, first[k]) for k, condition in enumerate(rule.conditions)
            )
            hits[s].append(Hit(rule, evidence))
        return hits


class _Found:
    """The first occurrence of each condition on terms in each sample of a batch."""

    def __init__(self, keys: np.ndarray, starts: list[int], terms: list[str], count: int) -> None:
        self._keys, self.starts, self.terms, self._count = keys, starts, terms, count

    def first(self, tests: np.ndarray, samples: np.ndarray) -> list[int]:
        """For every (test, sample) the index into `starts` and `terms`; meaningless where the test is not of terms."""
        return np.searchsorted(self._keys, tests * self._count + samples).tolist()


def _evidence(index: int, condition: Condition, row: SampleFields, found: _Found, first: int) -> Evidence:
    if condition.terms:
        if condition.negated:
            return Evidence(index, condition)
        term, start = found.terms[first], found.starts[first]
        written = next(written for written in condition.terms if normalise(written) == term)
        return Evidence(index, condition, written, row.text(condition.field), start, start + len(term))
    if condition.comparison is not None:
        return Evidence(index, condition, value=row.number(condition.field))
    return Evidence(index, condition, probability=row.answer(condition.question or ""))


class _Tests:
    """The distinct tests of all rules, negation taken off, and their bitmaps over a batch of samples."""

    def __init__(self) -> None:
        self._rows: dict[str, int] = {}
        self._terms: dict[str, dict[str, list[int]]] = {}
        """field → normalised term → rows of the tests that look for it"""
        self._others: list[tuple[int, Condition]] = []

    def add(self, condition: Condition) -> int:
        """The row of the condition's test among the bitmaps."""
        positive = condition.model_copy(update={"negated": False})
        key = positive.canonical()
        if key not in self._rows:
            row = self._rows[key] = len(self._rows)
            if positive.terms:
                for term in positive.normalised_terms:
                    self._terms.setdefault(positive.field, {}).setdefault(term, []).append(row)
            else:
                self._others.append((row, positive))
        return self._rows[key]

    def compile(self) -> None:
        """Build one automaton a field; call once, after the last `add`."""
        self._fields: list[tuple[str, Matcher, np.ndarray, np.ndarray]] = []
        for field, terms in self._terms.items():
            counts = np.array([len(rows) for rows in terms.values()])
            rows = np.concatenate([np.array(rows) for rows in terms.values()])
            self._fields.append((field, Matcher(tuple(terms)), counts, rows))

    def bitmaps(self, batch: list[SampleFields]) -> tuple[np.ndarray, _Found]:
        """Bitmaps [n_tests + 1, n_words] uint64, the last row all ones, and the first occurrences."""
        count = len(batch)
        bits = np.zeros((len(self._rows) + 1, -(-count // 64)), dtype=np.uint64)
        bits[-1] = _ones(count)
        keys, starts, terms = [], [], []
        for field, matcher, term_counts, term_rows in self._fields:
            found = matcher.occurrences([row.text(field).text for row in batch])
            # A term of several tests counts for each of them: spread every occurrence over the tests of its term.
            spread = term_counts[found.term]
            index = np.repeat(np.arange(len(found.term)), spread)
            begins = (np.cumsum(term_counts) - term_counts)[found.term]
            within = np.arange(len(index)) - np.repeat(np.cumsum(spread) - spread, spread)
            test = term_rows[begins[index] + within]
            keys.append(test * count + found.text[index])
            starts.append(found.start[index])
            terms.extend(matcher.terms[term] for term in found.term[index].tolist())
        key = np.concatenate(keys) if keys else np.zeros(0, dtype=np.int64)
        start = np.concatenate(starts) if starts else np.zeros(0, dtype=np.int64)
        lengths = np.fromiter(map(len, terms), dtype=np.int64, count=len(terms))
        order = np.lexsort((-lengths, start, key))  # the earliest occurrence first, the longest of equally early ones
        key, first = np.unique(key[order], return_index=True)
        chosen = order[first]
        test, sample = np.divmod(key, count)
        np.bitwise_or.at(bits, (test, sample >> 6), np.uint64(1) << (sample & 63).astype(np.uint64))
        for row, condition in self._others:
            bits[row] = _pack(np.array([_holds(condition, fields) for fields in batch], dtype=bool))
        return bits, _Found(key, start[chosen].tolist(), [terms[i] for i in chosen.tolist()], count)


def _holds(condition: Condition, row: SampleFields) -> bool:
    if condition.field == QUESTION_FIELD:
        return (row.answer(condition.question or "") or 0.0) >= YES
    return condition.comparison is not None and condition.comparison.holds(row.number(condition.field))


def _ones(count: int) -> np.ndarray:
    return _pack(np.ones(count, dtype=bool))


def _pack(flags: np.ndarray) -> np.ndarray:
    """bool [n] to uint64 [ceil(n / 64)]."""
    packed = np.zeros(-(-len(flags) // 64) * 8, dtype=np.uint8)
    octets = np.packbits(flags, bitorder="little")
    packed[: len(octets)] = octets
    return packed.view("<u8").astype(np.uint64)


def _unpack(bits: np.ndarray, count: int) -> np.ndarray:
    """uint64 [n, n_words] to bool [n, count]."""
    octets = bits.astype("<u8").view(np.uint8)
    return np.unpackbits(octets, axis=1, count=count, bitorder="little").astype(bool)
