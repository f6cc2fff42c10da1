"""Which conditions follow from which: contradictions, rules that say nothing beside another, two rules as one."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from kdsl.rules.condition import Comparison, Condition, Meaning
from kdsl.rules.matcher import first_occurrence
from kdsl.rules.rule import Rule
from kdsl.text import normalise

_INSIDE = {
    "last_user": ("user", "dialogue", "text"),
    "user": ("dialogue", "text"),
    "last_agent": ("agent", "dialogue", "text"),
    "agent": ("dialogue", "text"),
    "dialogue": ("text",),
    "text": ("dialogue",),
    "voice": ("dialogue", "text"),
    "ocr.header": ("ocr.top", "ocr"),
    "ocr.top": ("ocr",),
    "ocr.body": ("ocr",),
    "ocr.bottom": ("ocr",),
    "ocr.bar": ("ocr.bottom", "ocr"),
    "ocr.size": ("ocr",),
}
"""field → the fields whose text holds all of its text"""


def implies(first: Condition, second: Condition) -> bool:
    """Whether `second` holds on every sample on which `first` holds; False where that cannot be told."""
    if first.negated != second.negated:
        return _excludes(first, second) if second.negated else False
    if first.negated:
        return _stronger(second, first)
    return _stronger(first, second)


def contradicts(first: Condition, second: Condition) -> bool:
    """Whether no sample can meet both conditions."""
    if first.negated and second.negated:
        return False
    if first.negated or second.negated:
        positive, negated = (second, first) if first.negated else (first, second)
        return _stronger(positive, negated)
    return _excludes(first, second)


def redundant_terms(condition: Condition) -> list[tuple[str, str]]:
    """(longer, shorter) for each term that holds another of the list: where it occurs the shorter one occurs too.

    Both as they are written; of terms that are one and the same the first.
    """
    written = {normalise(term): term for term in reversed(condition.sought)}
    terms = sorted(written, key=len)
    return [
        (written[longer], written[next(shorter for shorter in terms[:index] if _holds(longer, shorter))])
        for index, longer in enumerate(terms)
        if any(_holds(longer, shorter) for shorter in terms[:index])
    ]


def says_more(special: float | None, general: float | None) -> bool:
    """Whether a rule of this reliability is not superfluous beside one that hits wherever it does; None: not known."""
    return special is not None and general is not None and special > general


def subsumed(
    rules: Sequence[Rule], reliabilities: Mapping[str, float] = MappingProxyType({})
) -> Iterator[tuple[Rule, Rule]]:
    """(special, general) pairs of one label: wherever the special rule hits the general one hits too.

    A rule that is the more reliable one, by the `reliabilities` of rule ids, is no such special rule: where it hits,
    it says more. Each special rule comes once, with the first general rule found. Of two rules that hit the same, the
    longer one counts as special. Fast on thousands of rules: a general rule is looked up by its rarest condition.
    """
    conditions = {condition.canonical(): condition for rule in rules for condition in rule.conditions}
    follows = _consequences(list(conditions.values()))
    literals = [{condition.canonical() for condition in rule.conditions} for rule in rules]
    uses: dict[str, int] = defaultdict(int)
    for keys in literals:
        for key in keys:
            uses[key] += 1
    by_rarest: dict[tuple[str, str], list[int]] = defaultdict(list)
    for index, keys in enumerate(literals):
        by_rarest[rules[index].label, min(keys, key=lambda key: (uses[key], key))].append(index)
    for index, rule in enumerate(rules):
        implied = set().union(*(follows[key] for key in literals[index]))
        candidates = sorted({other for key in implied for other in by_rarest.get((rule.label, key), ())})
        for other in candidates:
            if other == index or not literals[other] <= implied or literals[other] == literals[index]:
                continue
            if says_more(reliabilities.get(rule.id), reliabilities.get(rules[other].id)):
                continue
            back = set().union(*(follows[key] for key in literals[other]))
            if not literals[index] <= back or (len(str(rule)), index) > (len(str(rules[other])), other):
                yield rule, rules[other]
                break


def merged_conditions(first: Rule, second: Rule) -> tuple[Condition, ...] | None:
    """Conditions that hold exactly where one of the rules does; None where no single rule says that.

    Possible when one rule has all conditions of the other (the shorter one says it all), and when they differ in one
    condition only, both times in its terms: the terms are joined.
    """
    ones = {condition.canonical(): condition for condition in first.conditions}
    others = {condition.canonical(): condition for condition in second.conditions}
    left = [condition for key, condition in ones.items() if key not in others]
    right = [condition for key, condition in others.items() if key not in ones]
    if not left:
        return first.conditions
    if not right:
        return second.conditions
    if len(left) != 1 or len(right) != 1:
        return None
    [mine], [theirs] = left, right
    if mine.field != theirs.field or mine.negated or theirs.negated or not (mine.terms and theirs.terms):
        return None
    terms = {normalise(term): term for term in (*theirs.terms, *mine.terms)}
    ordered = dict.fromkeys(normalise(term) for term in (*mine.terms, *theirs.terms))
    joined = Condition(field=mine.field, terms=tuple(terms[key] for key in ordered))
    return tuple(joined if key == mine.canonical() else condition for key, condition in ones.items())


def _consequences(conditions: Sequence[Condition]) -> dict[str, set[str]]:
    """canonical form → the canonical forms, its own included, of all `conditions` that follow from it."""
    by_term: dict[tuple[str, str, bool], list[Condition]] = defaultdict(list)
    by_field: dict[str, list[Condition]] = defaultdict(list)
    for condition in conditions:
        if condition.sought:
            for term in condition.normalised_terms:
                by_term[condition.field, term, condition.negated].append(condition)
        elif condition.question is None:
            by_field[condition.field].append(condition)
    follows = {condition.canonical(): {condition.canonical()} for condition in conditions}
    for condition in conditions:
        key = condition.canonical()
        for other in by_field[condition.field] if not condition.sought else ():
            if implies(condition, other):
                follows[key].add(other.canonical())
        if condition.sought:
            # Whatever follows from this condition looks for a piece of its first term; negated, the other way round.
            for other in _sharing_a_piece(condition, by_term):
                if condition.negated and implies(other, condition):
                    follows[other.canonical()].add(key)
                elif not condition.negated and implies(condition, other):
                    follows[key].add(other.canonical())
    return follows


def _sharing_a_piece(
    condition: Condition, by_term: dict[tuple[str, str, bool], list[Condition]]
) -> Iterator[Condition]:
    term = min(condition.normalised_terms, key=len)
    pieces = {term[i:j] for i in range(len(term)) for j in range(i + 1, len(term) + 1)}
    for field in (condition.field, *_INSIDE.get(condition.field, ())):
        for piece in pieces:
            yield from by_term.get((field, piece, condition.negated), ())


def _stronger(first: Condition, second: Condition) -> bool:
    """Whether the test of `first` holding means that the test of `second` holds, both taken without negation."""
    quantity, other = _quantity(first), _quantity(second)
    if quantity is not None and other is not None:
        return quantity[0] == other[0] and _within(quantity[1], other[1])
    if first.image_kind is not None or second.image_kind is not None:
        return first.image_kind == second.image_kind
    if first.question is not None or second.question is not None:
        return (
            first.question is not None
            and second.question is not None
            and first.question.strip() == second.question.strip()
        )
    if first.meaning is not None or second.meaning is not None:
        return first.meaning is not None and second.meaning is not None and _nearer(first.meaning, second.meaning)
    if second.field != first.field and second.field not in _INSIDE.get(first.field, ()):
        return False
    if first.size is not None and second.size is not None and not _within(first.size.height, second.size.height):
        return False
    wanted = second.normalised_terms
    return bool(wanted) and all(any(_holds(term, short) for short in wanted) for term in first.normalised_terms)


def _nearer(first: Meaning, second: Meaning) -> bool:
    """Whether whatever is as near as `first` asks is as near as `second` asks; of two encoders nothing can be told."""
    return (
        second.field in (first.field, *_INSIDE.get(first.field, ()))
        and first.encoder == second.encoder
        and first.at >= second.at
        and set(map(normalise, first.wordings)) <= set(map(normalise, second.wordings))
    )


def _holds(longer: str, shorter: str) -> bool:
    """Whether `shorter` occurs wherever `longer` does: as whole words, so "age" not where "message" does."""
    return first_occurrence(longer, shorter, len(longer)) >= 0


def _excludes(first: Condition, second: Condition) -> bool:
    """Whether the tests of two conditions on the same number, the same colour or the kind cannot both hold."""
    if first.image_kind is not None and second.image_kind is not None:
        return first.image_kind != second.image_kind
    quantity, other = _quantity(first), _quantity(second)
    if quantity is None or other is None or quantity[0] != other[0]:
        return False
    (low, low_open), (high, high_open) = (
        max(_low(quantity[1]), _low(other[1])),
        min(_high(quantity[1]), _high(other[1])),
    )
    return low > high or (low == high and (low_open > 0 or high_open < 0))


def _quantity(condition: Condition) -> tuple[tuple[str, ...], Comparison] | None:
    """What number is compared, one of the sample or a colour's share of a zone, and with what; None where none is."""
    if condition.colour is not None:
        return (condition.field, condition.colour.zone, condition.colour.colour), condition.colour.share
    return None if condition.comparison is None else ((condition.field,), condition.comparison)


def _within(inner: Comparison, outer: Comparison) -> bool:
    return _low(inner) >= _low(outer) and _high(inner) <= _high(outer)


def _low(comparison: Comparison) -> tuple[float, int]:
    """Lower end of the numbers meant, and 1 where the end itself is left out: pairs compare as the ends do."""
    if comparison.op in (">", ">=", "="):
        return comparison.value, int(comparison.op == ">")
    return float("-inf"), 0


def _high(comparison: Comparison) -> tuple[float, int]:
    """Upper end of the numbers meant, and -1 where the end itself is left out."""
    if comparison.op in ("<", "<=", "="):
        return comparison.value, -int(comparison.op == "<")
    return float("inf"), 0
