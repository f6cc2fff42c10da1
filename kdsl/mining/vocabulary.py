"""The candidate conditions of a task and the samples that each covers. Labels are not looked at here."""

import math
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kdsl.bitmaps import Bitmap, Flags, count, pack
from kdsl.fields import NUMBER_FIELDS, QUESTION_FIELD, SIZE_FIELD
from kdsl.fields.table import FieldTable, height_share
from kdsl.mining.function_words import is_cut, says_little
from kdsl.mining.meanings import meaning_conditions
from kdsl.mining.sights import sight_conditions
from kdsl.mining.units import candidate_terms, family, has_forms, holds_han, phrases
from kdsl.rules.condition import Comparison, Condition, LargeType
from kdsl.rules.engine import YES
from kdsl.rules.matcher import Matcher

MIN_SAMPLES = 2
"""A term in a single sample says nothing that can be checked."""
LEAST_SHARE = 1 / 4000
"""Nor does one in fewer of very many samples: without this there would be ever more candidates, each as rare as one of
the first."""
BUCKET = 16_000
"""Texts after which the counter of candidate terms lets go of those that are too rare: it is exact up to here."""
MAX_SHARE = 0.6
"""A term in more of the samples than this says nothing about any label of several."""
MINED_FIELDS = (
    "text", "last_user", "user", "last_agent", "voice", "ocr", "ocr.top", "ocr.bottom", "ocr.header", "ocr.body",
    "ocr.bar", "caption",
)  # fmt: skip
"""Text fields. Of those that say the same the first is taken: of a page the plainest.

What the agent said before the end answers a question asked before: rules on it hold by chance on few samples. Of a
dialogue its turns are read, of a single text `text`: see `mined_fields`.
"""
PARTS = ("ocr.header", "ocr.body", "ocr.bar", "ocr.size", "voice")
"""Of a page whose top, bottom and all of it come first, and of turns, which hold what is said aloud in them: they are
there for what those do not say."""
_LARGE = 0.9
"""Lines higher than this share of all lines are large type."""
_SPOKEN = ("text", "last_user", "user", "voice")
"""Here 我的 is grammar; on a page it is a tab."""
_SHORTEST = dict.fromkeys(_SPOKEN, 1)
"""A single Chinese character can carry an intent in what a user says; on a page or in a caption it is noise."""
ASKED_SHARE = 0.9
"""A visual question asked about fewer of the samples with images would be held to mean no on the others."""
_QUANTILES = (0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9)


@dataclass(frozen=True)
class Vocabulary:
    """Candidate conditions, none negated, no two of them on one field covering the same samples."""

    conditions: tuple[Condition, ...]
    coverage: Bitmap
    """uint64 [n_conditions, n_words]: the samples that each condition holds on."""
    n_samples: int
    gave: Bitmap | None = None
    """In the same form the one sample that a wording was taken from: it is near to itself, whatever others say. None
    without conditions on meaning."""

    def giving(self, conditions: Sequence[Sequence[int]]) -> Bitmap:
        """The samples that any of the wordings in these conditions, given by indices, was taken from: [n_words]"""
        nothing = np.zeros(self.coverage.shape[1], dtype=np.uint64)
        if self.gave is None:
            return nothing
        return np.bitwise_or.reduce(self.gave[[index for part in conditions for index in part]], axis=0)

    def with_more(self, conditions: Sequence[Condition], coverage: Bitmap) -> "Vocabulary":
        """This one with further conditions behind its own, whose wording no sample gave: coverage [n, n_words]."""
        return Vocabulary(
            (*self.conditions, *conditions),
            np.concatenate([self.coverage, coverage]),
            self.n_samples,
            None if self.gave is None else np.concatenate([self.gave, np.zeros_like(coverage)]),
        )

    def __len__(self) -> int:
        return len(self.conditions)

    @cached_property
    def meant(self) -> NDArray[np.int64]:
        """Which wording, of which field, a condition on meaning compares; -1 for other conditions. [n_conditions]"""
        numbers: dict[tuple[str, ...], int] = {}
        return np.array(
            [
                -1 if meaning is None else numbers.setdefault((meaning.field, *meaning.wordings), len(numbers))
                for meaning in (condition.meaning for condition in self.conditions)
            ],
            dtype=np.int64,
        )


def build_vocabulary(
    table: FieldTable,
    fields: Sequence[str] | None = None,
    known_terms: Collection[str] = (),
    said_of_labels: Sequence[str] = (),
) -> Vocabulary:
    """All conditions worth trying on the samples of `table`: terms of every text field and of large type, thresholds
    of every number, what is seen on images, and visual questions that were asked about them. `fields` are those of
    `mined_fields` and large type where they are None.

    The forms of an English word or phrase that occur are one condition, any of which may hold. `known_terms` (words
    that describe labels) are taken however few samples hold them. Where samples have sentence vectors there are also
    conditions on meaning, near to typical samples and to `said_of_labels`, as far as no other covers the same samples.
    """
    known = frozenset(known_terms)
    fields = (*mined_fields(table), SIZE_FIELD) if fields is None else fields
    least = least_samples(len(table))
    conditions: list[Condition] = []
    coverage: list[Bitmap] = []
    seen: set[bytes] = set()
    earlier: list[list[str]] = []
    for field in fields:
        height = _large_type(table) if field == SIZE_FIELD else None
        texts = _texts(table, field, height)
        # Where last_user and user are the same, known terms alone would make the second look better.
        if not any(texts) or texts in earlier:
            continue
        earlier.append(texts)
        families = _frequent_families(texts, _SHORTEST.get(field, 2), known_terms)
        if field in _SPOKEN:
            families = [
                forms
                for forms in families
                if not (says_little(forms[0]) or is_cut(forms[0])) or not known.isdisjoint(forms)
            ]
        if not families:
            continue
        described = {
            index for index, forms in enumerate(families) if field not in PARTS and not known.isdisjoint(forms)
        }
        found = _coverage(families, texts)
        for index in _most_readable(families, found, texts, described):
            # The same samples through an earlier field: that one is named first because it is the narrower.
            key = found[index].tobytes()
            if key in seen and index not in described:
                continue
            seen.add(key)
            conditions.append(_on_terms(field, families[index], height))
            coverage.append(found[index])
    for field in NUMBER_FIELDS:
        for comparison, flags in _thresholds(table.numbers(field), least):
            conditions.append(Condition(field=field, comparison=comparison))
            coverage.append(pack(flags))
    for condition, flags in sight_conditions(table, least, MAX_SHARE * len(table)):
        conditions.append(condition)
        coverage.append(pack(flags))
    for question, flags in _answered(table, least):
        conditions.append(Condition(field=QUESTION_FIELD, question=question))
        coverage.append(pack(flags))
    gave: list[Bitmap] = []
    for condition, flags, giver in meaning_conditions(table, fields, said_of_labels, least, _most(len(table))):
        bits = pack(flags)
        key = bits.tobytes()
        if key not in seen:
            seen.add(key)
            conditions.append(condition)
            coverage.append(bits)
            gave.append(pack(giver))
    n_words = -(-len(table) // 64)
    matrix = np.array(coverage, dtype=np.uint64).reshape(len(coverage), n_words)
    if not gave:
        return Vocabulary(tuple(conditions), matrix, len(table))
    givers = np.zeros_like(matrix)
    givers[len(matrix) - len(gave) :] = np.array(gave, dtype=np.uint64).reshape(len(gave), n_words)
    return Vocabulary(tuple(conditions), matrix, len(table), givers)


def least_samples(n_samples: int) -> int:
    """Samples that a candidate must hold on at least, of so many."""
    return max(MIN_SAMPLES, math.floor(LEAST_SHARE * n_samples))


def mined_fields(table: FieldTable) -> tuple[str, ...]:
    """The text fields that rules on these samples read: of dialogues their turns, else `text`."""
    dialogues = any(len(row.shown.turns) > 1 for row in table.rows)
    others = ("text",) if dialogues else ("last_user", "user", "last_agent")
    return tuple(field for field in MINED_FIELDS if field not in others)


def _texts(table: FieldTable, field: str, height: Comparison | None) -> list[str]:
    """The text of each sample that terms of the field are looked for in, of large type that in lines of `height`."""
    if field != SIZE_FIELD:
        return table.texts(field)
    return [] if height is None else [row.lines_of(height.holds).text for row in table.rows]


def _large_type(table: FieldTable) -> Comparison | None:
    """The height, in hundredths of a page, from which lines are large among all lines; None without any."""
    heights = [height_share(line.box, page.size[1]) for row in table.rows for page in row.pages for line in page.lines]
    if not heights:
        return None
    return Comparison(op=">", value=max(round(float(np.quantile(heights, _LARGE)), 2), 0.01))


def _on_terms(field: str, terms: tuple[str, ...], height: Comparison | None) -> Condition:
    if height is None:
        return Condition(field=field, terms=terms)
    return Condition(field=field, size=LargeType(terms=terms, height=height))


def _frequent_families(texts: Sequence[str], shortest: int, known_terms: Collection[str]) -> list[tuple[str, ...]]:
    """The forms of every term that may be frequent enough or is known, the most frequent form first."""
    frequency, missed = bounded_counts((candidate_terms(text, shortest) for text in texts), BUCKET)
    least = least_samples(len(texts))
    forms: dict[str, list[str]] = {}
    # What is too rare, and of no family but its own, need not be sorted: of Chinese texts that is nearly all.
    able = {term for term, n in frequency.items() if n + missed >= least or has_forms(term)}
    for term in sorted({*able, *known_terms}, key=lambda term: (-frequency[term], term)):
        forms.setdefault(family(term), []).append(term)
    known, most = frozenset(known_terms), _most(len(texts))
    return sorted(
        tuple(terms)
        for terms in forms.values()
        if not known.isdisjoint(terms)
        or (sum(frequency[term] + missed for term in terms) >= least and frequency[terms[0]] <= most)
    )


def bounded_counts(sets: Iterable[Collection[str]], bucket: int) -> tuple[Counter[str], int]:
    """How many of the sets hold each term, and how many of a term's may be missing, of terms not counted all of them.

    Lossy counting (Manku and Motwani 2002, "Approximate frequency counts over data streams"): after each `bucket` of
    sets, terms go that occurred no more than once in each bucket since they came. Exact for up to `bucket` sets;
    whatever occurs in more sets than there are full buckets is there.

    >>> bounded_counts([{"a", "b"}, {"a"}, {"a", "c"}, {"a"}], bucket=2)
    (Counter({'a': 4}), 2)
    """
    counts: Counter[str] = Counter()
    missed: dict[str, int] = {}
    buckets = 0
    for number, terms in enumerate(sets, start=1):
        if buckets:
            for term in terms:
                if term not in counts:
                    missed[term] = buckets
        counts.update(terms)
        if number % bucket == 0:
            buckets += 1
            for term in [term for term, n in counts.items() if n + missed.get(term, 0) <= buckets]:
                del counts[term]
                missed.pop(term, None)
    return counts, buckets


def _most(n_texts: int) -> float:
    """Texts that a term may occur in."""
    return max(MAX_SHARE * n_texts, MIN_SAMPLES)


def _coverage(families: Sequence[tuple[str, ...]], texts: Sequence[str]) -> Bitmap:
    """The texts that hold any form of each family: uint64 [n_families, n_words]"""
    bits = Matcher([form for forms in families for form in forms]).bitmaps(texts)
    firsts = np.cumsum([0, *map(len, families[:-1])])
    return bits if len(bits) == len(families) else np.bitwise_or.reduceat(bits, firsts, axis=0)


def _most_readable(
    families: Sequence[tuple[str, ...]], coverage: Bitmap, texts: Sequence[str], known: Collection[int]
) -> list[int]:
    """Of the frequent families that cover the same samples one, whole words only, those of two or three characters
    before others. All `known` ones stay."""
    in_han = {form for forms in families if holds_han(forms[0]) for form in forms}
    word_frequency: Counter[str] = Counter()
    for text in texts if in_han else ():
        word_frequency.update(in_han & phrases(text))
    best: dict[bytes, tuple[int, int]] = {}
    least, most = least_samples(len(texts)), _most(len(texts))
    hits = count(coverage).tolist()
    for index, forms in enumerate(families):
        n = hits[index]
        if index in known or not least <= n <= most:
            continue
        term = forms[0]
        if holds_han(term) and sum(word_frequency[form] for form in forms) * 2 < n:
            continue
        score = -abs(2 * len(term) - 5) if term[0] >= "\u2e80" else len(term)
        key = coverage[index].tobytes()
        if key not in best or score > best[key][0]:
            best[key] = (score, index)
    return sorted([*known, *(index for _, index in best.values())])


def _thresholds(numbers: Sequence[float | None], least: int) -> list[tuple[Comparison, Flags]]:
    known = np.array([number for number in numbers if number is not None])
    if len(np.unique(known)) < 2:
        return []
    values = np.array([np.nan if number is None else number for number in numbers])
    result = []
    seen: set[bytes] = set()
    quantiles = np.quantile(known, _QUANTILES)
    if (known == np.floor(known)).all():  # between two counts the lower one is as good a threshold, and readable
        quantiles = np.floor(quantiles)
    for threshold in sorted({float(f"{value:.3g}") for value in quantiles}):
        for op, flags in ((">", values > threshold), ("<=", values <= threshold)):
            if least <= flags.sum() <= MAX_SHARE * len(values) and flags.tobytes() not in seen:
                seen.add(flags.tobytes())
                result.append((Comparison(op=op, value=threshold), flags))
    return result


def _answered(table: FieldTable, least: int) -> list[tuple[str, Flags]]:
    """Visual questions with the samples that they hold on, without those asked about too few of the images."""
    pictured = sum(bool(row.shown.images) for row in table.rows)
    asked = Counter(question for row in table.rows for question in row.questions)
    result = []
    seen: set[bytes] = set()
    for question in sorted(question for question, n in asked.items() if n >= ASKED_SHARE * pictured):
        flags = np.array([(row.answer(question) or 0.0) >= YES for row in table.rows])
        if least <= flags.sum() <= MAX_SHARE * len(table) and flags.tobytes() not in seen:
            seen.add(flags.tobytes())
            result.append((question, flags))
    return result
