"""Other ways to say a term. Those that training samples hold become candidates; the others are told to reviewers."""

from collections.abc import Sequence

from kdsl.fields.table import FieldTable
from kdsl.mining.vocabulary import mined_fields
from kdsl.rules.matcher import first_occurrence
from kdsl.rules.rule import Rule
from kdsl.sample import Task
from kdsl.small.wording import listed, wording_of
from kdsl.text import normalise
from kdsl.vlm.conversation import Instruction, ask
from kdsl.vlm.model import VisionLanguageModel
from kdsl.vlm.usage import CallBudget

WANTED = 4
"""Synonyms of a term."""
LONGEST = 12
"""Characters of a Chinese term, words of any other: longer lines are sentences."""
SEPARATORS = "\n,，、;；"

Meant = tuple[int, str]
"""(label, term): what a term means depends on what it is to tell."""


def write_synonyms(
    model: VisionLanguageModel, task: Task, terms: Sequence[Meant], budget: CallBudget
) -> dict[Meant, list[str]]:
    """Up to `WANTED` synonyms of each term, normalised, none equal to the term; of the first terms in the budget."""
    wording = wording_of(task)
    asked = list(dict.fromkeys(terms))
    asked = asked[: budget.take(len(asked))]
    conversations = [
        ask(Instruction(wording.write_synonyms.format(label=wording.label(task.labels[label]), term=term, n=WANTED)))
        for label, term in asked
    ]
    answers = model.generate(conversations, max_new_tokens=12 * WANTED)
    found = {}
    for (label, term), answer in zip(asked, answers, strict=True):
        lines = dict.fromkeys(normalise(line) for line in listed(answer.text, SEPARATORS))
        found[label, term] = [line for line in lines if line != normalise(term) and is_term(line)][:WANTED]
    return found


def unseen_synonyms(
    model: VisionLanguageModel, task: Task, rules: Sequence[Rule], table: FieldTable, budget: CallBudget
) -> list[tuple[str, ...]]:
    """For each rule the synonyms of its terms that no training sample holds, which data can say nothing about."""
    names = task.label_names
    terms = [_terms(rule) if rule.label in names else [] for rule in rules]
    asked = [(names.index(rule.label), term) for rule, own in zip(rules, terms, strict=True) for term in own]
    synonyms = write_synonyms(model, task, asked, budget)
    known = Occurrences(table)
    unseen = {key: [word for word in words if word not in known] for key, words in synonyms.items()}
    return [
        tuple(dict.fromkeys(word for term in own for word in unseen.get((names.index(rule.label), term), ())))
        for rule, own in zip(rules, terms, strict=True)
    ]


def _terms(rule: Rule) -> list[str]:
    return [term for condition in rule.conditions if not condition.negated for term in condition.terms]


def is_term(text: str) -> bool:
    """Whether a normalised line of an answer is short enough for a term."""
    length = len(text.split()) if " " in text or text.isascii() else len(text)
    return bool(text) and length <= LONGEST


class Occurrences:
    """Whether training samples hold a term in any field that is mined."""

    def __init__(self, table: FieldTable, rows: Sequence[int] | None = None) -> None:
        chosen = range(len(table)) if rows is None else rows
        self._texts = [table.rows[row].text(field).text for field in mined_fields(table) for row in chosen]

    def __contains__(self, term: str) -> bool:
        return any(first_occurrence(text, term, len(text)) >= 0 for text in self._texts)
