"""Rule drafts that a chat model writes, and what of its answers can be a rule at all.

An answer is text of a stranger: only objects of the expected shape are taken, with labels, fields and lengths that are
known. Terms are plain text; there are no regular expressions and no paths in rules.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from kdsl.language import labels_in_chinese
from kdsl.mining.function_words import says_nothing
from kdsl.rules.condition import Condition
from kdsl.rules.wording import FIELD_NAMES, Language
from kdsl.sample import Label, Task
from kdsl.text import normalise, writable
from kdsl.vlm.conversation import Conversation, Instruction, Piece, ask

WANTED = 6
"""Drafts that are asked for a label."""
MOST_CONDITIONS, MOST_TERMS = 4, 12
"""Of a draft, and of one condition."""
LONGEST_TERM, LONGEST_NOTE = 30, 200
"""Characters."""
ANSWER_TOKENS = 1500
_LONGEST_ANSWER = 20_000
"""Characters of an answer that are looked at."""

Dropped = Literal[
    "no JSON", "another shape", "unknown label", "unknown field", "too many conditions or terms", "a term too long",
    "function words alone", "only exceptions",
]  # fmt: skip
"""Why a draft was left out before any sample was looked at."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A rule that a model wrote; nothing is known yet about what it hits."""

    label: str
    conditions: tuple[Condition, ...]
    note: str
    """Why, in the model's words; may be empty."""


@dataclass(frozen=True, slots=True)
class Confusion:
    """How often the classifier took samples of one label for another one."""

    true: str
    said: str
    count: int


def request(
    task: Task, label: Label, fields: Sequence[str], confusions: Sequence[Confusion], shown: Sequence[tuple[str, str]]
) -> Conversation:
    """Ask for drafts for a label: told all labels, what it is confused with, and `shown` samples, (label, text).

    Samples are what is left out first of a prompt that is too long.
    """
    words = _CHINESE if labels_in_chinese(task) else _ENGLISH
    language: Language = "zh" if words is _CHINESE else "en"
    labels = "\n".join(f"- {each.name}: {each.description or '…'}" for each in task.labels)
    confused = "\n".join(
        words["confused"].format(true=each.true, said=each.said, count=each.count) for each in confusions
    )
    samples: list[Piece] = [f"[{name}] {text}\n" for name, text in shown]
    example = {
        "label": label.name,
        "all": [{fields[0]: [words["term"], words["term"]]}, {"not": {fields[-1]: [words["term"]]}}],
        "why": "…",
    }
    known = "\n".join(f"- {field}: {FIELD_NAMES[language][field]}" for field in fields)
    asked = words["asked"].format(
        label=label.name, n=WANTED, fields=known, example=json.dumps(example, ensure_ascii=False),
        conditions=MOST_CONDITIONS, terms=MOST_TERMS,
    )  # fmt: skip
    opening = words["opening"].format(labels=labels)
    told = [Instruction(opening), *([Instruction(confused + "\n")] if confused else []), Instruction(words["samples"])]
    return ask(*told, *samples, Instruction(asked))


def read_drafts(answer: str, labels: Collection[str], fields: Collection[str]) -> tuple[list[Draft], Counter[Dropped]]:
    """The drafts in an answer, each once, and why others were left out.

    Takes JSON objects wherever they stand: in a list, between explanations, in an answer that was cut.
    """
    drafts: dict[tuple[str, tuple[Condition, ...]], Draft] = {}
    dropped: Counter[Dropped] = Counter()
    found = list(_objects(answer[:_LONGEST_ANSWER]))
    if not found:
        dropped["no JSON"] += 1
    for each in found:
        draft = _draft(each, labels, fields)
        if isinstance(draft, Draft):
            drafts.setdefault((draft.label, draft.conditions), draft)
        else:
            dropped[draft] += 1
    return list(drafts.values()), dropped


def _objects(text: str) -> Iterator[Any]:
    """The outermost JSON objects in a text; of one that only holds a list of others these."""
    decoder, at = json.JSONDecoder(), 0
    while (at := text.find("{", at)) >= 0:
        try:
            found, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            at += 1
            continue
        lists = [value for value in found.values() if isinstance(value, list)]
        if "all" not in found and len(found) == len(lists) == 1 and all(isinstance(each, dict) for each in lists[0]):
            yield from lists[0]
        else:
            yield found


def _draft(value: dict[str, Any], labels: Collection[str], fields: Collection[str]) -> Draft | Dropped:
    label, written, why = value.get("label"), value.get("all"), value.get("why", "")
    if not isinstance(label, str) or not isinstance(written, list) or not written or not isinstance(why, str):
        return "another shape"
    if label not in labels:
        return "unknown label"
    if len(written) > MOST_CONDITIONS:
        return "too many conditions or terms"
    conditions = []
    for each in written:
        condition = _condition(each, fields)
        if not isinstance(condition, Condition):
            return condition
        conditions.append(condition)
    if all(condition.negated for condition in conditions):
        return "only exceptions"
    note = "".join(character for character in " ".join(writable(why).split()) if character.isprintable())
    distinct = {condition.canonical(): condition for condition in conditions}
    return Draft(label, tuple(distinct.values()), note[:LONGEST_NOTE])


def _condition(value: Any, fields: Collection[str]) -> Condition | Dropped:
    """Terms in a text field, or `not` of that."""
    negated = isinstance(value, dict) and list(value) == ["not"]
    test = value["not"] if negated else value
    if not isinstance(test, dict) or len(test) != 1:
        return "another shape"
    [(field, terms)] = test.items()
    if field not in fields:
        return "unknown field"
    if not isinstance(terms, list) or not terms or not all(isinstance(term, str) for term in terms):
        return "another shape"
    if len(terms) > MOST_TERMS:
        return "too many conditions or terms"
    normal = list(dict.fromkeys(filter(None, map(normalise, terms))))
    if any(len(term) > LONGEST_TERM for term in normal):
        return "a term too long"
    said = tuple(term for term in normal if not says_nothing(term) and any(map(str.isalnum, term)))
    return Condition(field=field, terms=said, negated=negated) if said else "function words alone"


_CHINESE = {
    "opening": "为分类任务写规则草稿。标签：\n{labels}\n",
    "confused": "分类器把“{true}”误判成“{said}”：{count} 次。",
    "samples": "样本：\n",
    "asked": "\n为标签“{label}”写最多 {n} 条不同的规则，能认出它并与其他标签区分开，也适用于别的说法。\n"
    "每条规则：所有条件都成立。条件：某字段含有任一词；not 表示都不含。每条最多 {conditions} 个条件，每个条件最多 "
    "{terms} 个词。词要短、是完整的词，不要正则表达式。字段：\n{fields}\n"
    "只用 JSON 数组回答，每个元素如：{example}",
    "term": "词",
}
_ENGLISH = {
    "opening": "Write rule drafts for a classification task. Labels:\n{labels}\n",
    "confused": 'The classifier took "{true}" for "{said}": {count} times.',
    "samples": "Samples:\n",
    "asked": '\nWrite up to {n} different rules for the label "{label}" that tell it from the other labels, in other '
    "wordings too.\nA rule holds if all its conditions do. A condition: a field contains any of some words; not means "
    "none of them. At most {conditions} conditions a rule and {terms} words a condition. Words are short and whole, "
    "no regular expressions. Fields:\n{fields}\nAnswer with a JSON array only, each element like: {example}",
    "term": "word",
}
