"""Variants of a rule that somebody wrote: what the data say about its terms, conditions and exceptions.

A draft is a start state like any other, but few edits away from it there is little to search: all single edits are
scored in one pass over packed bitmaps, and the best of them edited again (a beam), up to `MOST_EDITS` times. The
literals, the reward and the price of what is added are those of the label's search in mining.

**Held out.** Whoever tries a thousand edits on 15 positives finds one that helps by chance. So the choice is made
again without each fold of the samples, and what was chosen there is counted on the fold: the held-out counts of the
first variant are those of the first choice without each fold, which may be another one, and so on; where nothing
better than the draft was found without a fold the draft itself is counted there. They say what variants chosen like
this are worth. Only those are returned that are better than the draft by these counts, in the order of their reward.
The draft was not chosen here, so they compare with its own counts on all samples; of a rule that was mined on them
these promise too much, and so do those of its variants.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kdsl.bitmaps import Bitmap, count
from kdsl.errors import KdslError
from kdsl.fields.table import FieldTable
from kdsl.mining.edits import Edit
from kdsl.mining.function_words import says_nothing
from kdsl.mining.miner import MiningSettings, start_search
from kdsl.mining.problem import ALL_SAMPLES, MiningProblem
from kdsl.mining.reward import Reward
from kdsl.mining.search import Search
from kdsl.mining.units import segmented
from kdsl.mining.variant_space import Group, State, VariantSpace
from kdsl.rules.condition import Condition
from kdsl.rules.meaning import comparable
from kdsl.rules.rule import Rule, When
from kdsl.rules.statistics import HeldOutCounts, TrainingCounts

WANTED = 3
"""Variants that are returned."""
MOST_EDITS = 3
BEAM = 16
"""States that are edited further, after each edit."""
_CHOSEN = 2 * WANTED
"""Variants that are chosen, with and without each fold; those that do not hold there are left out."""
_NEAR = 0.8
"""From this share of common hits (Jaccard) on a variant says what another one says."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Variant:
    """A draft after a few edits."""

    conditions: tuple[Condition, ...]
    edits: tuple[Edit, ...]
    training: TrainingCounts
    held_out: HeldOutCounts
    """Of what was chosen at its place without each fold, on that fold; see the module."""


@dataclass(frozen=True)
class Refinement:
    """What the data say about a draft."""

    training: TrainingCounts
    """Of the draft as it is."""
    variants: tuple[Variant, ...]
    """The best first, at most `WANTED`; none where no edit helps."""


def refine(
    problem: MiningProblem,
    table: FieldTable,
    label: int,
    draft: Sequence[Condition],
    settings: MiningSettings | None = None,
) -> Refinement:
    """The best variants of a rule for the label with that index, which need not be made of conditions of mining.

    `problem` and `table` are about the same samples. Variants add no term of one character, of function words alone or
    cut out of words, and have at most `MOST_EDITS` conditions more than the draft. Raises KdslError for a draft on
    meanings that cannot be compared here.
    """
    rule = Rule(id="r-0000", label="", when=When(all=tuple(draft)))
    if not comparable(rule, table.sentence_vectors):
        raise KdslError(
            "the rule compares meanings by another encoder than the project has; set `encoder:` to the one that the "
            "rule names"
        )
    settings = settings or MiningSettings()
    folds = range(ALL_SAMPLES, int(problem.folds.max()) + 1)
    searches = [start_search(problem, fold, label, settings) for fold in folds]
    tried = {index for search in searches if search for index in search.literals.condition.tolist()}
    space = VariantSpace(problem, table, rule.conditions, tried)
    everywhere, *without = [[] if search is None else _choice(space, search) for search in searches]
    truth = problem.having(label)
    judge = Reward(float(count(truth)) or 1.0, settings.reward_z, settings.recall_power)
    draft_bits = space.hits(space.draft)

    def held_out(place: int) -> HeldOutCounts:
        total = correct = 0
        for fold, choices in enumerate(without):
            bits = space.held_out_hits(choices[place]) if place < len(choices) else draft_bits
            bits = bits & space.everyone & ~problem.members(fold)
            total, correct = total + int(count(bits)), correct + int(count(bits & truth))
        return HeldOutCounts(hits=total, correct=correct)

    least = _value(judge, HeldOutCounts(hits=int(count(draft_bits)), correct=int(count(draft_bits & truth))))
    variants: list[Variant] = []
    for place, state in enumerate(everywhere):
        counts = held_out(place)
        if len(variants) < WANTED and _value(judge, counts) > least:
            training = _training(space.hits(state), truth, len(problem.labels))
            variants.append(Variant(space.written(state), space.edits(state), training, counts))
    return Refinement(_training(draft_bits, truth, len(problem.labels)), tuple(variants))


@dataclass(frozen=True)
class _Scored:
    """A state after some edits."""

    state: State
    bits: Bitmap
    price: float
    """What its edits count towards the length of a rule."""
    reward: float
    promise: float
    """Mean of its reward and of what would be left if all false hits were removed."""


def _choice(space: VariantSpace, search: Search) -> list[State]:
    """Variants that are better than the draft on the samples of the search, by which they are chosen, the best first.

    None says what a better one says too, or what it says with more edits.
    """
    beam = _Beam(space, search)
    start = beam.scored(space.draft, 0.0)
    found, front, seen = [start], [start], {start.bits.tobytes()}
    for _ in range(MOST_EDITS):
        front = beam.edited(front, seen)
        found += front
    chosen: list[_Scored] = []
    for each in sorted(found, key=lambda each: -each.reward):
        if each.reward <= start.reward or len(chosen) == _CHOSEN:
            break
        changed = space.changed(each.state)
        if all(
            _jaccard(each.bits, other.bits) < _NEAR and not space.changed(other.state) <= changed for other in chosen
        ):
            chosen.append(each)
    return [each.state for each in chosen]


class _Beam:
    """The edits of states, scored on the samples that one search looks at."""

    def __init__(self, space: VariantSpace, search: Search) -> None:
        self._space, self._search = space, search
        literals = search.literals
        atoms = literals.condition + space.first
        readable = np.array([_readable(space.conditions[atom]) for atom in atoms], dtype=bool)
        self._plain: list[int] = atoms[readable & ~literals.negated].tolist()
        self._exceptions: list[int] = atoms[readable & literals.negated].tolist()
        self._unit = float(search.weights.count(search.samples)) / max(int(count(search.samples)), 1)

    def scored(self, state: State, price: float) -> _Scored:
        bits = self._space.state_bits(state) & self._search.samples
        _, reward, promise = self._score(bits[None], np.array([price]))
        return _Scored(state, bits, price, float(reward[0]), float(promise[0]))

    def edited(self, front: Sequence[_Scored], seen: set[bytes]) -> list[_Scored]:
        """The most promising states one edit further, of those that hit the same samples one, none as in `seen`."""
        states: list[State] = []
        columns: list[tuple[Bitmap, Floats, Floats, Floats]] = []
        for parent in front:
            made = [each for each in self._edits(parent.state) if each[0]]
            if not made:
                continue
            bits = np.concatenate([each[1] for each in made])
            price = np.repeat([each[2] for each in made], [len(each[0]) for each in made])
            correct, reward, promise = self._score(bits, parent.price + price)
            good = (correct > 0) & (bits != parent.bits).any(axis=1)
            states += [state for each in made for state in each[0]]
            columns.append((bits, parent.price + price, reward, np.where(good, promise, -1.0)))
        if not columns:
            return []
        bits, prices, reward, promise = (np.concatenate(each) for each in zip(*columns, strict=True))
        result: list[_Scored] = []
        for index in np.argsort(-promise, kind="stable").tolist():
            if len(result) == BEAM or promise[index] < 0:
                break
            key = bits[index].tobytes()
            if key not in seen and self._space.keeps(states[index]):
                seen.add(key)
                values = float(prices[index]), float(reward[index]), float(promise[index])
                result.append(_Scored(states[index], bits[index], *values))
        return result

    def _score(self, bits: Bitmap, prices: Floats) -> tuple[Floats, Floats, Floats]:
        """Correct hits, reward and promise of states with these bitmaps."""
        search = self._search
        hits, correct = search.weights.count(bits), search.weights.count(bits & search.positives)
        reward = search.reward(correct, hits, search.settings.cost * prices * self._unit)
        return correct, reward, (reward + search.reward(correct, correct)) / 2

    def _edits(self, state: State) -> Iterator[tuple[list[State], Bitmap, float]]:
        """States one edit further, their bitmaps, and what the edit counts towards the length of a rule."""
        space, samples = self._space, self._search.samples
        # What is tested already, in whatever field, is not said again.
        said = frozenset[str]().union(*(space.said(atom) for group in state for atom in group.atoms))
        plain, exceptions = (
            [atom for atom in atoms if space.said(atom).isdisjoint(said)] for atoms in (self._plain, self._exceptions)
        )
        parts = [space.group_bits(group) for group in state]
        whole = np.bitwise_and.reduce(parts, axis=0) & samples
        # Of two edits to the same end the first is taken: another threshold before a further condition.
        for place, group in enumerate(state):
            before, behind = state[:place], state[place + 1 :]
            rest = np.bitwise_and.reduce([samples, *parts[:place], *parts[place + 1 :]], axis=0)
            if any(not other.negated for other in (*before, *behind)):
                yield [(*before, *behind)], rest[None], 1.0

            def replaced(atoms: tuple[int, ...], group: Group = group) -> Group:
                return Group(atoms, group.negated, group.origin)

            others = [replaced(atoms) for atoms in self._other_atoms(group)]
            if others:
                bits = rest & np.stack([space.group_bits(each) for each in others])
                yield [(*before, each, *behind) for each in others], bits, 1.0
            first = space.conditions[group.atoms[0]]
            if first.terms and not group.negated:
                terms = [space.in_field(atom, first.field) for atom in plain if space.conditions[atom].terms]
                more = [atom for atom in terms if atom is not None]
                wider = rest & (parts[place] | space.bits[more])
                yield [(*before, replaced((*group.atoms, atom)), *behind) for atom in more], wider, 1.0
        yield [(*state, Group((atom,), False, -1)) for atom in plain], whole & space.bits[plain], 1.0
        negation = self._search.settings.negation_cost
        yield [(*state, Group((atom,), True, -1)) for atom in exceptions], whole & ~space.bits[exceptions], negation

    def _other_atoms(self, group: Group) -> list[tuple[int, ...]]:
        """The atoms of a condition with one term fewer, or with another threshold."""
        atoms = group.atoms
        fewer = [atoms[:index] + atoms[index + 1 :] for index in range(len(atoms))] if len(atoms) > 1 else []
        moved = self._space.moves[group.origin] if group.origin >= 0 else ()
        return [*fewer, *(each for each in moved if each != atoms)]


def _readable(condition: Condition) -> bool:
    """Whether people take the terms of a condition for words: none is one character, grammar, or cut out of words."""
    return all(
        len(term) > 1 and not says_nothing(term) and (term.isascii() or max(map(len, segmented(term))) > 1)
        for term in condition.normalised_terms
    )


def _jaccard(first: Bitmap, second: Bitmap) -> float:
    return float(count(first & second)) / max(float(count(first | second)), 1.0)


def _training(hits: Bitmap, truth: Bitmap, samples: int) -> TrainingCounts:
    return TrainingCounts(
        hits=int(count(hits)), correct=int(count(hits & truth)), positives=int(count(truth)), samples=samples
    )


def _value(judge: Reward, counts: HeldOutCounts) -> float:
    return float(judge(np.array([counts.correct], dtype=float), np.array([counts.hits], dtype=float))[0])
