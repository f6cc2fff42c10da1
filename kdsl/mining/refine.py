"""Variants of a rule that somebody wrote: what the data say about its terms, conditions and exceptions.

A draft is a start state like any other, but few edits away from it there is little to search: all single edits are
scored in one pass over packed bitmaps, and the best of them edited again (a beam), up to `MOST_EDITS` times. The
literals, the reward and the price of what is added are those of the label's search in mining.

**Held out.** Whoever tries a thousand edits on 15 positives finds one that helps by chance. So the choice is made
again without each fold of the samples, and what was chosen there is counted on the fold: the held-out counts of a
variant are those of the choice that, on the samples chosen on, hits the same ones as the variant most nearly. Where
nothing better than the draft was found without a fold the draft itself is counted there. Only variants that are better
than the draft by these counts are returned, in the order of their reward. The draft itself was not chosen here: its own
counts on all samples are what the held-out counts compare with. They promise too much of a rule that was mined on them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kdsl.bitmaps import Bitmap, count, pack
from kdsl.errors import KdslError
from kdsl.fields.table import FieldTable
from kdsl.mining.edits import Edit
from kdsl.mining.function_words import says_nothing
from kdsl.mining.miner import ALL_SAMPLES, MiningProblem, MiningSettings, start_search
from kdsl.mining.proposer import described
from kdsl.mining.reward import Reward
from kdsl.mining.search import Search
from kdsl.mining.units import segmented
from kdsl.mining.vocabulary import Vocabulary
from kdsl.rules.condition import Condition
from kdsl.rules.engine import Engine
from kdsl.rules.implication import redundant_terms
from kdsl.rules.meaning import comparable
from kdsl.rules.rule import Rule, When
from kdsl.rules.statistics import HeldOutCounts, TrainingCounts
from kdsl.text import normalise

WANTED = 3
"""Variants that are returned."""
MOST_EDITS = 3
BEAM = 24
"""States that are edited further, after each edit."""
_CHOSEN = 2 * WANTED
"""Variants that are chosen, with and without each fold; those that do not hold there are left out."""
_NEAR = 0.9
"""From this share of common hits (Jaccard) on a variant says what another one says."""
_MOVES = (-0.1, -0.06, -0.03, 0.03, 0.06, 0.1)
"""What is tried for the threshold of a meaning."""
_SAME_WAY = {">": (">", ">="), ">=": (">", ">="), "<": ("<", "<="), "<=": ("<", "<="), "=": ()}
_LEAST_REMOVED = 1.9
"""Samples that an exception must remove to be believed, as in the search."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Variant:
    """A draft after a few edits."""

    conditions: tuple[Condition, ...]
    edits: tuple[Edit, ...]
    training: TrainingCounts
    held_out: HeldOutCounts
    """See the module: of what was chosen without each fold, on that fold."""


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
    space = _Space(problem, table, rule.conditions)
    folds = range(ALL_SAMPLES, int(problem.folds.max()) + 1)
    everywhere, *without = [_choice(space, problem, fold, label, settings) for fold in folds]
    judge = Reward(float((problem.labels == label).sum()) or 1.0, settings.reward_z, settings.recall_power)
    truth = pack(problem.labels == label)
    draft_bits = space.hits(space.draft)

    def held_out(chosen: _State) -> HeldOutCounts:
        total = correct = 0
        for fold, choices in enumerate(without):
            members = problem.members(fold)
            best = _nearest(space, chosen, choices, members)
            bits = (draft_bits if best is None else space.held_out_hits(best)) & ~members & space.everyone
            total, correct = total + int(count(bits)), correct + int(count(bits & truth))
        return HeldOutCounts(hits=total, correct=correct)

    least = _value(judge, HeldOutCounts(hits=int(count(draft_bits)), correct=int(count(draft_bits & truth))))
    variants: list[Variant] = []
    for state in everywhere:
        counts = held_out(state)
        if len(variants) < WANTED and _value(judge, counts) > least:
            training = _training(space.hits(state), truth, len(problem.labels))
            variants.append(Variant(space.written(state), space.edits(state), training, counts))
    return Refinement(_training(draft_bits, truth, len(problem.labels)), tuple(variants))


@dataclass(frozen=True, slots=True)
class _Group:
    """One condition of a state: any of some atoms holds, or none of them."""

    atoms: tuple[int, ...]
    negated: bool
    origin: int
    """The condition of the draft that it came from; -1 for a new one."""


_State = tuple[_Group, ...]


class _Space:
    """Everything that variants of one draft are made of: atoms, each with the samples that it holds on.

    An atom is a condition that is not split further: one term of the draft, or a condition of the vocabulary. Bitmaps
    are those of `MiningProblem.with_descriptions`: the samples, and one more a label.
    """

    def __init__(self, problem: MiningProblem, table: FieldTable, draft: Sequence[Condition]) -> None:
        self._vocabulary = problem.with_descriptions
        self._gave = problem.vocabulary.gave
        self._words = problem.vocabulary.coverage.shape[1]
        self.everyone = pack(np.ones(len(problem.labels), dtype=bool))
        own: list[Condition] = []

        def added(condition: Condition) -> tuple[int, ...]:
            atoms = _atoms(condition)
            own.extend(atoms)
            return tuple(range(len(own) - len(atoms), len(own)))

        self.draft: _State = tuple(
            _Group(added(condition), condition.negated, origin) for origin, condition in enumerate(draft)
        )
        moves = [[added(moved) for moved in _moved_meanings(condition)] for condition in draft]
        self._draft_conditions = tuple(draft)
        self.conditions = (*own, *self._vocabulary.conditions)
        self.said = [atom.normalised_words or frozenset((atom.canonical(),)) for atom in self.conditions]
        self.first = len(own)
        """Index of the vocabulary's first condition among the atoms."""
        rules = [Rule(id="r-0000", label="", when=When(all=(atom,))) for atom in own]
        parts = Vocabulary(tuple(own), pack(np.zeros((len(own), 0), dtype=bool)), 0)
        said = pack(described(problem.task, parts).T > 0)
        bits = np.concatenate([Engine(rules).bitmaps(table), said], axis=1)
        self.bits: Bitmap = np.concatenate([bits, self._vocabulary.coverage])
        self.moves: list[list[tuple[int, ...]]] = [
            [*of_meaning, *((index,) for index in self._other_thresholds(condition))]
            for of_meaning, condition in zip(moves, draft, strict=True)
        ]
        """For each condition of the draft the atoms of the same test with another threshold."""

    def _other_thresholds(self, condition: Condition) -> Iterator[int]:
        compared, colour = condition.compared, condition.colour
        if compared is None or condition.size is not None:
            return
        for index, other in enumerate(self._vocabulary.conditions):
            if other.field != condition.field or other.compared is None or other.compared.op not in _SAME_WAY[compared.op]:
                continue
            if colour is None or (other.colour and (other.colour.zone, other.colour.colour) == (colour.zone, colour.colour)):
                yield self.first + index

    def group_bits(self, group: _Group) -> Bitmap:
        """Where the condition holds, over samples and labels: [n_words]"""
        bits = np.bitwise_or.reduce(self.bits[list(group.atoms)], axis=0)
        return ~bits if group.negated else bits

    def state_bits(self, state: _State) -> Bitmap:
        """Where all conditions hold; bits beyond the last sample may be set."""
        return np.bitwise_and.reduce([self.group_bits(group) for group in state], axis=0)

    def hits(self, state: _State) -> Bitmap:
        """The samples that the state hits: uint64 [n_words of the samples]."""
        return self.state_bits(state)[: self._words] & self.everyone

    def held_out_hits(self, state: _State) -> Bitmap:
        """The same without samples that gave a wording: these are near to themselves, whatever others say."""
        bits = self.hits(state)
        chosen = [atom - self.first for group in state for atom in group.atoms if atom >= self.first]
        if self._gave is None or not chosen:
            return bits
        return bits & ~np.bitwise_or.reduce(self._gave[chosen], axis=0)

    def keeps(self, state: _State) -> bool:
        """Whether anything of what the draft asks for is left, be it with another threshold."""
        return any(group.origin >= 0 and not group.negated and (group.atoms[0] < self.first or len(group.atoms)==1 and group.atoms in self.moves[group.origin]) for group in state)

    def written(self, state: _State) -> tuple[Condition, ...]:
        """The conditions as they stand in a rule file."""
        return tuple(self._condition(group) for group in state)

    def edits(self, state: _State) -> tuple[Edit, ...]:
        """What became of each condition of the draft, and the new ones."""
        kept = {group.origin: group for group in state}
        old = [
            (condition, self._condition(kept[origin]) if origin in kept else None)
            for origin, condition in enumerate(self._draft_conditions)
        ]
        new = [(None, self._condition(group)) for group in state if group.origin < 0]
        return tuple(Edit(before, after) for before, after in (*old, *new) if before != after)

    def _condition(self, group: _Group) -> Condition:
        if group.origin >= 0 and group.atoms == self.draft[group.origin].atoms:
            return self._draft_conditions[group.origin]
        parts = [self.conditions[atom] for atom in group.atoms]
        first = parts[0].model_copy(update={"negated": group.negated})
        if first.meaning is not None:
            wordings = tuple(wording for part in parts if part.meaning for wording in part.meaning.wordings)
            return first.model_copy(update={"meaning": first.meaning.model_copy(update={"wordings": wordings})})
        terms = tuple(term for part in parts for term in part.sought)
        if first.size is not None:
            return first.model_copy(update={"size": first.size.model_copy(update={"terms": terms})})
        joined = first.model_copy(update={"terms": terms})
        superfluous = {longer for longer, _ in redundant_terms(joined)}
        return joined.model_copy(update={"terms": tuple(t for t in terms if normalise(t) not in superfluous)})


@dataclass(frozen=True)
class _Scored:
    """A state after some edits."""

    state: _State
    bits: Bitmap
    price: float
    """What its edits count towards the length of a rule."""
    reward: float
    promise: float
    """Mean of its reward and of what would be left if all false hits were removed."""


def _choice(space: _Space, problem: MiningProblem, fold: int, label: int, settings: MiningSettings) -> list[_State]:
    """The variants chosen on the samples outside `fold`, the best first: better than the draft there, and different."""
    search = start_search(problem, fold, label, settings)
    if search is None:
        return []
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
        if all(_jaccard(each.bits, other.bits) < _NEAR for other in chosen):
            chosen.append(each)
    return [each.state for each in chosen]


class _Beam:
    """The edits of states, scored on the samples that one search looks at."""

    def __init__(self, space: _Space, search: Search) -> None:
        self._space, self._search = space, search
        literals = search.literals
        atoms = literals.condition + space.first
        readable = np.array([_readable(space.conditions[atom]) for atom in atoms], dtype=bool)
        self._plain: list[int] = atoms[readable & ~literals.negated].tolist()
        self._exceptions: list[int] = atoms[readable & literals.negated].tolist()
        self._of_field: dict[str, list[int]] = {}
        for atom in self._plain:
            if space.conditions[atom].terms:
                self._of_field.setdefault(space.conditions[atom].field, []).append(atom)
        self._unit = float(search.weights.count(search.samples)) / max(int(count(search.samples)), 1)

    def scored(self, state: _State, price: float) -> _Scored:
        bits = self._space.state_bits(state) & self._search.samples
        _, _, reward, promise = self._score(bits[None], np.array([price]))
        return _Scored(state, bits, price, float(reward[0]), float(promise[0]))

    def edited(self, front: Sequence[_Scored], seen: set[bytes]) -> list[_Scored]:
        """The most promising states one edit further, of those that hit the same samples one, none as in `seen`."""
        states: list[_State] = []
        columns: list[tuple[Bitmap, Floats, Floats, Floats]] = []
        for parent in front:
            made = [each for each in self._edits(parent.state) if each[0]]
            if not made:
                continue
            bits = np.concatenate([each[1] for each in made])
            prices = np.concatenate([np.full(len(each[1]), parent.price + each[2]) for each in made])
            hits, correct, reward, promise = self._score(bits, prices)
            removed = float(self._search.weights.count(parent.bits)) - hits
            negations = np.concatenate([np.full(len(each[1]), each[2] > 1.0) for each in made])
            good = (correct > 0) & (bits != parent.bits).any(axis=1)
            good &= ~negations | (removed > _LEAST_REMOVED * self._unit)
            kept = np.flatnonzero(good)
            edited = [state for each in made for state in each[0]]
            good &= [self._space.keeps(state) for state in edited]
            states += [edited[i] for i in kept]
            columns.append((bits[kept], prices[kept], reward[kept], promise[kept]))
        if not columns:
            return []
        bits, prices, reward, promise = (np.concatenate(each) for each in zip(*columns, strict=True))
        result: list[_Scored] = []
        for index in np.argsort(-promise, kind="stable").tolist():
            if len(result) == BEAM:
                break
            key = bits[index].tobytes()
            if key not in seen:
                seen.add(key)
                values = float(prices[index]), float(reward[index]), float(promise[index])
                result.append(_Scored(states[index], bits[index], *values))
        return result

    def _score(self, bits: Bitmap, prices: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        search = self._search
        hits, correct = search.weights.count(bits), search.weights.count(bits & search.positives)
        reward = search.reward(correct, hits, search.settings.cost * prices * self._unit)
        return hits, correct, reward, (reward + search.reward(correct, correct)) / 2

    def _said(self, atom: int) -> frozenset[str]:
        """What the atom tests, in whatever field: a variant says nothing twice."""
        return self._space.said[atom]

    def _edits(self, state: _State) -> Iterator[tuple[list[_State], Bitmap, float]]:
        """States one edit further, their bitmaps, and what the edit counts towards the length of a rule."""
        space, samples = self._space, self._search.samples
        said = frozenset().union(*(self._said(atom) for group in state for atom in group.atoms))
        parts = [space.group_bits(group) for group in state]
        whole = np.bitwise_and.reduce(parts, axis=0) & samples
        plain = [atom for atom in self._plain if self._said(atom).isdisjoint(said)]
        yield [(*state, _Group((atom,), False, -1)) for atom in plain], whole & space.bits[plain], 1.0
        exceptions = [atom for atom in self._exceptions if self._said(atom).isdisjoint(said)]
        price = self._search.settings.negation_cost
        yield [(*state, _Group((atom,), True, -1)) for atom in exceptions], whole & ~space.bits[exceptions], price
        for place, group in enumerate(state):
            others = [part for index, part in enumerate(parts) if index != place]
            rest = np.bitwise_and.reduce([samples, *others], axis=0)
            before, behind = state[:place], state[place + 1 :]
            if any(not other.negated for other in (*before, *behind)):
                yield [(*before, *behind)], rest[None], 1.0
            replaced = [
                *(group.atoms[:i] + group.atoms[i + 1 :] for i in range(len(group.atoms) if len(group.atoms) > 1 else 0)),
                *(atoms for atoms in (space.moves[group.origin] if group.origin >= 0 else ()) if atoms != group.atoms),
            ]
            if not group.negated and space.conditions[group.atoms[0]].terms:
                more = self._of_field.get(space.conditions[group.atoms[0]].field, ())
                replaced += [(*group.atoms, atom) for atom in more if self._said(atom).isdisjoint(said)]
            if replaced:
                groups = [_Group(atoms, group.negated, group.origin) for atoms in replaced]
                bits = rest & np.stack([space.group_bits(each) for each in groups])
                yield [(*before, each, *behind) for each in groups], bits, 1.0


def _atoms(condition: Condition) -> list[Condition]:
    """The condition without its negation, as one condition a term or wording."""
    plain = condition.model_copy(update={"negated": False})
    if plain.meaning is not None:
        meaning = plain.meaning
        wordings = [meaning.model_copy(update={"wordings": (wording,)}) for wording in meaning.wordings]
        return [plain.model_copy(update={"meaning": each}) for each in wordings]
    if plain.size is not None:
        large = [plain.size.model_copy(update={"terms": (term,)}) for term in plain.size.terms]
        return [plain.model_copy(update={"size": each}) for each in large]
    return [plain.model_copy(update={"terms": (term,)}) for term in plain.terms] or [plain]


def _moved_meanings(condition: Condition) -> Iterator[Condition]:
    """The same meaning at other similarities."""
    if condition.meaning is None:
        return
    for step in _MOVES:
        at = round(condition.meaning.at + step, 2)
        if 0 < at <= 1:
            yield condition.model_copy(update={"meaning": condition.meaning.model_copy(update={"at": at})})


def _readable(condition: Condition) -> bool:
    """Whether people take the terms of a condition for words: none is one character, grammar, or cut out of words."""
    return all(
        len(term) > 1 and not says_nothing(term) and (term.isascii() or max(map(len, segmented(term))) > 1)
        for term in condition.normalised_terms
    )


def _nearest(space: _Space, state: _State, choices: Sequence[_State], members: Bitmap) -> _State | None:
    """Of the choices the one whose hits among `members` are most nearly those of the state."""
    own = space.hits(state) & members
    likeness = [_jaccard(own, space.hits(choice) & members) for choice in choices]
    return choices[int(np.argmax(likeness))] if choices else None


def _jaccard(first: Bitmap, second: Bitmap) -> float:
    return float(count(first & second)) / max(float(count(first | second)), 1.0)


def _training(hits: Bitmap, truth: Bitmap, samples: int) -> TrainingCounts:
    return TrainingCounts(
        hits=int(count(hits)), correct=int(count(hits & truth)), positives=int(count(truth)), samples=samples
    )


def _value(judge: Reward, counts: HeldOutCounts) -> float:
    return float(judge(np.array([counts.correct], dtype=float), np.array([counts.hits], dtype=float))[0])
