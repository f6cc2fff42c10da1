"""Changing the text of one turn: synonyms, clauses in another order, words left out, slips of the pen."""

import random
import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass

from kdsl.augmentation.synonym_table import LONGEST, SYNONYMS
from kdsl.augmentation.typos import mistyped
from kdsl.augmentation.words import CLAUSE_ENDS, Span, Word, cut, joined
from kdsl.mining.units import family

REORDERED, SYNONYM, DELETED, TYPO = "reordered", "synonym", "deleted", "typo"

_FILLERS = frozenset(
    {*"亲呢啊呀吧哦噢哈嘛啦哟呗了就还也那"}
    | {"亲亲", "请问", "一下", "你好", "您好", "在吗", "麻烦", "谢谢", "的话", "这边"}
    | {"the", "a", "an", "just", "please", "so", "well", "oh", "very", "really", "hello", "hi"}
)
"""Words that say little: they are left out first."""
_NEEDED = re.compile(
    "[不没别无非未勿谁哪啥咋何怎]|什么|多少|多久|多大|多长|几时"
    r"|\b(no|not|never|without|cannot|n't|don|none|what|which|how|when|where|who|why)\b"
)
"""Without words that hold this a text says the opposite, or asks nothing: they are never left out."""
_COMMAS = frozenset("，,；;")
_RANK = {mark: 0 if mark in _COMMAS else 2 if mark == "\n" else 1 for mark in CLAUSE_ENDS}
"""Of two marks that meet the one of higher rank stays."""
_LOOSE = _COMMAS | {"\n"}
"""What does not stand at the end of a text."""
_CLOSING = CLAUSE_ENDS | frozenset(".:)")
_LEAST_WORDS = 3
"""Texts with fewer words lose none."""
_MOST_DELETED = 0.25


@dataclass(frozen=True, slots=True)
class Strength:
    """How probable each change is."""

    reorder: float
    """Of two neighbouring clauses of a turn changing places."""
    synonym: float
    """Of a word that has any."""
    filler: float
    """Of leaving out a word that says little."""
    delete: float
    """Of leaving out any other word."""
    typo: float
    """Of a slip in a word."""


USER = Strength(reorder=0.3, synonym=0.35, filler=0.3, delete=0.06, typo=0.03)
AGENT = Strength(reorder=0.1, synonym=0.15, filler=0.15, delete=0.02, typo=0.0)
"""What agents say comes from templates: it varies less."""


@dataclass(frozen=True, slots=True)
class Changed:
    text: str
    operations: tuple[str, ...]
    """Each as often as it was done."""


def change_text(
    text: str,
    source: random.Random,
    strength: Strength,
    spared: Sequence[Span] = (),
    more_synonyms: Mapping[str, Sequence[str]] | None = None,
    telling: Container[str] = (),
) -> Changed:
    """`text` with some changes; what stands in the spans `spared`, placeholders, numbers and ids stays.

    `more_synonyms` (word → other words) are used beside the built-in table. Words whose `family` is in `telling`
    are never left out, nor those that stand for them.
    """
    words, operations = cut(text, spared), list[str]()
    words = _reordered(words, source, strength.reorder, operations)
    words = _exchanged(words, source, strength.synonym, more_synonyms or {}, telling, operations)
    words = _shortened(words, source, strength, telling, operations)
    words = _with_typos(words, source, strength.typo, operations)
    changed = joined(words)
    return Changed(text, ()) if changed == text else Changed(changed, tuple(operations))


def _reordered(words: list[Word], source: random.Random, probability: float, operations: list[str]) -> list[Word]:
    """Two neighbouring clauses in each other's place; punctuation, with the spaces around it, stays where it is."""
    clauses, current = [], list[int]()
    for index, word in enumerate(words):
        if word.ends_clause:
            if current:
                clauses.append(current)
            current = []
        else:
            current.append(index)
    if current:
        clauses.append(current)
    clauses = [_trimmed(clause, words) for clause in clauses if any(words[index].spoken for index in clause)]
    if len(clauses) < 2 or source.random() >= probability:
        return words
    first = source.randrange(len(clauses) - 1)
    a, b = clauses[first], clauses[first + 1]
    operations.append(REORDERED)
    return [
        *words[: a[0]], *(words[i] for i in b), *words[a[-1] + 1 : b[0]], *(words[i] for i in a), *words[b[-1] + 1 :],
    ]  # fmt: skip


def _trimmed(clause: list[int], words: list[Word]) -> list[int]:
    """Without the spaces at its ends, and the full stop of an English one."""
    inner = [place for place, index in enumerate(clause) if words[index].text != "." and not _blank([words[index]])]
    return clause[inner[0] : inner[-1] + 1]


def _exchanged(
    words: list[Word],
    source: random.Random,
    probability: float,
    more: Mapping[str, Sequence[str]],
    telling: Container[str],
    operations: list[str],
) -> list[Word]:
    result: list[Word] = []
    position = 0
    while position < len(words):
        for length in range(min(LONGEST, len(words) - position), 0, -1):
            part = words[position : position + length]
            phrase = joined(part)
            others = [*SYNONYMS.get(phrase.lower(), ()), *more.get(phrase.lower(), ())]
            if others and not any(word.kept for word in part):
                if source.random() < probability:
                    result.append(Word(source.choice(others), kept=family(phrase.lower()) in telling))
                    operations.append(SYNONYM)
                else:
                    result += part
                break
        else:
            result.append(words[position])
            length = 1
        position += length
    return result


def _shortened(
    words: list[Word], source: random.Random, strength: Strength, telling: Container[str], operations: list[str]
) -> list[Word]:
    spoken = [index for index, word in enumerate(words) if word.spoken]
    allowed = int(_MOST_DELETED * len(spoken)) if len(spoken) >= _LEAST_WORDS else 0
    gone: set[int] = set()
    for index in source.sample(spoken, len(spoken)):
        word = words[index]
        lowered = word.text.lower()
        if word.kept or family(lowered) in telling or _NEEDED.search(lowered):
            continue
        probability = strength.filler if lowered in _FILLERS else strength.delete
        if source.random() < probability and len(gone) < allowed:
            gone.add(index)
            operations.append(DELETED)
    return _without(words, gone)


def _without(words: list[Word], gone: set[int]) -> list[Word]:
    """The other words, no space or mark left over: of the two marks around a clause that is gone the weaker goes."""
    left: list[Word] = []
    begun, shortened, dropping = 0, False, False  # of the clause: where it begins in `left`; whether a word is gone
    for index, word in enumerate(words):
        behind_gone = index - 1 in gone
        if index in gone:
            shortened, dropping = True, False
            continue
        if behind_gone and word.text in _CLOSING and left and left[-1].text == " ":
            left.pop()
        if not word.ends_clause:
            # The space behind an English word goes with it.
            if not (word.text == " " and (behind_gone or (not left and dropping))):
                left.append(word)
            dropping = dropping and word.text.isspace()
            continue
        if (shortened or dropping) and _blank(left[begun:]):
            del left[begun:]
            dropping = True
        if dropping and left and _RANK[left[-1].text] < _RANK[word.text]:
            if left[-1].text in _COMMAS:
                left.pop()
            dropping = False
        if not dropping:
            left.append(word)
        begun, shortened = len(left), False
    if shortened and _blank(left[begun:]):
        del left[begun:]
        if left and left[-1].text in _LOOSE:
            left.pop()
    elif len(words) - 1 in gone and left[-1].text == " ":
        left.pop()
    return left


def _blank(words: list[Word]) -> bool:
    return all(word.text.isspace() for word in words)


def _with_typos(words: list[Word], source: random.Random, probability: float, operations: list[str]) -> list[Word]:
    result = []
    for word in words:
        slip = mistyped(word.text, source) if not word.kept and source.random() < probability else None
        if slip is None:
            result.append(word)
        else:
            operations.append(TYPO)
            result.append(Word(slip))
    return result
