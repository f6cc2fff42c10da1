"""What variants of one draft are made of: its own terms and conditions, and those that mining knows."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from kdsl.bitmaps import Bitmap, pack
from kdsl.fields.table import FieldTable
from kdsl.mining.edits import Edit
from kdsl.mining.problem import MiningProblem
from kdsl.mining.proposer import described
from kdsl.mining.vocabulary import Vocabulary
from kdsl.rules.condition import Condition
from kdsl.rules.engine import condition_bitmaps
from kdsl.rules.implication import implies, redundant_terms
from kdsl.text import normalise

_MOVES = (-0.1, -0.06, -0.03, 0.03, 0.06, 0.1)
"""What is tried for the threshold of a meaning."""
_SAME_WAY = {">": (">", ">="), ">=": (">", ">="), "<": ("<", "<="), "<=": ("<", "<="), "=": ()}
"""Comparisons whose thresholds may stand for each other's."""


@dataclass(frozen=True, slots=True)
class Group:
    """One condition of a state: any of some atoms holds, or none of them."""

    atoms: tuple[int, ...]
    negated: bool
    origin: int
    """The condition of the draft that it came from; -1 for a new one."""


State = tuple[Group, ...]


class VariantSpace:
    """Everything that variants of one draft are made of: atoms, each with the samples that it holds on.

    An atom is a condition that is not split further: one term of the draft, or a condition of the vocabulary. Bitmaps
    are those of `MiningProblem.with_descriptions`: the samples, and one more a label.
    """

    def __init__(
        self, problem: MiningProblem, table: FieldTable, draft: Sequence[Condition], tried: Iterable[int]
    ) -> None:
        """`tried` are the conditions of the vocabulary, by index, that may be added."""
        self._gave = problem.vocabulary.gave
        self._words = problem.vocabulary.coverage.shape[1]
        self.everyone = pack(np.ones(len(problem.labels), dtype=bool))
        own: list[Condition] = []

        def added(condition: Condition) -> tuple[int, ...]:
            atoms = _atoms(condition)
            own.extend(atoms)
            return tuple(range(len(own) - len(atoms), len(own)))

        self.draft: State = tuple(
            Group(added(condition), condition.negated, origin) for origin, condition in enumerate(draft)
        )
        meanings = [[added(moved) for moved in _moved_meanings(condition)] for condition in draft]
        self._draft = tuple(draft)
        self._drafted = len(own)
        """Atoms of the draft itself, its thresholds moved or not; behind them come the vocabulary's in its fields."""
        in_fields = self._in_fields_of_draft(problem.vocabulary.conditions, tried)
        own += in_fields.values()
        self.first = len(own)
        """Where the vocabulary's conditions begin among the atoms."""
        self.conditions = (*own, *problem.vocabulary.conditions)
        self._said: dict[int, frozenset[str]] = {}
        self._twins = {
            (field, self.first + index): self._drafted + place for place, (field, index) in enumerate(in_fields)
        }
        parts = Vocabulary(tuple(own), pack(np.zeros((len(own), 0), dtype=bool)), 0)
        of_labels = pack(described(problem.task, parts).T > 0)
        bits = np.concatenate([condition_bitmaps(own, table), of_labels], axis=1)
        self.bits: Bitmap = np.concatenate([bits, problem.with_descriptions.coverage])
        self.moves: list[list[tuple[int, ...]]] = [
            [*moved, *((index,) for index in self._other_thresholds(condition))]
            for moved, condition in zip(meanings, draft, strict=True)
        ]
        """For each condition of the draft the atoms of the same test with another threshold."""

    def _in_fields_of_draft(
        self, conditions: Sequence[Condition], tried: Iterable[int]
    ) -> dict[tuple[str, int], Condition]:
        """(field, index) → the terms of a condition looked for in a field of the draft that holds texts of its kind.

        Of fields that say the same the vocabulary knows one; the draft may name another one.
        """
        fields = dict.fromkeys(condition.field for condition in self._draft if condition.terms)
        return {
            (field, index): conditions[index].model_copy(update={"field": field})
            for field in fields
            for index in sorted(tried)
            if conditions[index].terms
            and conditions[index].field != field
            and _speaker(conditions[index].field) == _speaker(field)
        }

    def in_field(self, atom: int, field: str) -> int | None:
        """The atom of the same terms in a field; None where they are not looked for there."""
        return atom if self.conditions[atom].field == field else self._twins.get((field, atom))

    def _other_thresholds(self, condition: Condition) -> Iterator[int]:
        """The atoms of the vocabulary that compare the same number in the same way."""
        compared = condition.compared
        if compared is None or condition.size is not None:
            return
        for index, other in enumerate(self.conditions[self.first :], start=self.first):
            if other.field != condition.field or other.compared is None or _quantity(other) != _quantity(condition):
                continue
            if other.compared.op in _SAME_WAY[compared.op]:
                yield index

    def said(self, atom: int) -> frozenset[str]:
        """What the atom tests, in whatever field."""
        if atom not in self._said:
            condition = self.conditions[atom]
            self._said[atom] = condition.normalised_words or frozenset((condition.canonical(),))
        return self._said[atom]

    def group_bits(self, group: Group) -> Bitmap:
        """Where the condition holds, over samples and labels: [n_words]"""
        bits = np.bitwise_or.reduce(self.bits[list(group.atoms)], axis=0)
        return ~bits if group.negated else bits

    def state_bits(self, state: State) -> Bitmap:
        """Where all conditions hold; bits beyond the last sample may be set."""
        return np.bitwise_and.reduce([self.group_bits(group) for group in state], axis=0)

    def hits(self, state: State) -> Bitmap:
        """The samples that the state hits: uint64 [n_words of the samples]."""
        return self.state_bits(state)[: self._words] & self.everyone

    def held_out_hits(self, state: State) -> Bitmap:
        """The same without samples that gave a wording: these are near to themselves, whatever others say."""
        bits = self.hits(state)
        chosen = [atom - self.first for group in state for atom in group.atoms if atom >= self.first]
        if self._gave is None or not chosen:
            return bits
        return bits & ~np.bitwise_or.reduce(self._gave[chosen], axis=0)

    def keeps(self, state: State) -> bool:
        """Whether anything of what the draft asks for is left, be it with another threshold."""
        return any(
            group.atoms[0] < self._drafted or group.atoms in self.moves[group.origin]
            for group in state
            if group.origin >= 0 and not group.negated
        )

    def changed(self, state: State) -> frozenset[tuple[int, int, bool]]:
        """The atoms that a state has beyond the draft or lacks, each with its place."""
        return frozenset(_placed(state) ^ _placed(self.draft))

    def written(self, state: State) -> tuple[Condition, ...]:
        """The conditions as they stand in a rule file."""
        return tuple(self._conditions(state).values())

    def edits(self, state: State) -> tuple[Edit, ...]:
        """What became of each condition of the draft, and the new ones."""
        kept = {group.origin: condition for group, condition in self._conditions(state).items()}
        old = [(condition, kept.get(origin)) for origin, condition in enumerate(self._draft)]
        new = [(None, condition) for group, condition in self._conditions(state).items() if group.origin < 0]
        return tuple(Edit(before, after) for before, after in (*old, *new) if before != after)

    def _conditions(self, state: State) -> dict[Group, Condition]:
        """Without those of the draft that follow from a new one."""
        conditions = {group: self._condition(group) for group in state}
        new = [condition for group, condition in conditions.items() if group.origin < 0]
        return {
            group: condition
            for group, condition in conditions.items()
            if group.origin < 0 or not any(implies(each, condition) for each in new)
        }

    def _condition(self, group: Group) -> Condition:
        if group.origin >= 0 and group.atoms == self.draft[group.origin].atoms:
            return self._draft[group.origin]
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


def _quantity(condition: Condition) -> tuple[str, ...]:
    """Which number a condition compares: one of the sample, or a colour's share of a zone."""
    colour = condition.colour
    return (condition.field,) if colour is None else (condition.field, colour.zone, colour.colour)


def _placed(state: State) -> set[tuple[int, int, bool]]:
    return {(group.origin, atom, group.negated) for group in state for atom in group.atoms}


def _speaker(field: str) -> str:
    """Whose words a text field holds: the user's, the agent's, those of a page or of a caption."""
    if field.startswith("ocr") or field == "caption":
        return field.partition(".")[0]
    return "agent" if field.endswith("agent") else "user"
