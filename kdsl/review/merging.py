"""Two rules of one label as one, where one rule can say what they say together."""

from kdsl.rules.condition import Condition
from kdsl.rules.rule import Rule
from kdsl.text import normalise


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
