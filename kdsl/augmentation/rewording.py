"""Other words for dialogues, from the small model: synonyms of what customers say, and whole sentences said anew."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import rjieba

from kdsl.augmentation.augmenter import Rewording
from kdsl.augmentation.meaning import far_apart, same_request
from kdsl.augmentation.synonym_table import SYNONYMS
from kdsl.augmentation.words import cut
from kdsl.embeddings.sentence_vectors import SentenceVectors
from kdsl.fields.table import SampleFields, last_user_turn
from kdsl.sample import Task, Turn
from kdsl.small.synonyms import Meant, write_synonyms
from kdsl.small.wording import CHINESE, listed, wording_of
from kdsl.vlm.conversation import Instruction, ask
from kdsl.vlm.model import VisionLanguageModel
from kdsl.vlm.usage import CallBudget

WORDS = 2
"""Words of a sample that synonyms are asked for: its first nouns and verbs that the built-in table does not have."""
WAYS = 3
"""In which the last that the customer said is said anew; each becomes the start of one copy."""
_ENOUGH, _TOO_LONG = 0.3, 3.0
"""A new sentence that is shorter or longer than this, against the old one, is another one."""

_CHINESE = "把这句话换{n}种说法，意思不变，“<”和“>”之间的内容及数字照抄，每行一种。\n{text}"
_ENGLISH = "Say this in {n} other ways that mean the same, keep numbers and what stands in <>, one a line.\n{text}"


@dataclass(frozen=True)
class SmallRewording:
    """Asks `model`; a `kdsl.vlm.cache.CachedModel` is asked nothing twice. Is a `Reword`."""

    model: VisionLanguageModel
    task: Task
    paraphrase: bool

    def __call__(self, rows: Sequence[SampleFields], labels: Sequence[int]) -> list[Rewording]:
        """One answer a row; what the model says wrongly is dropped."""
        spoken = [last_user_turn(row.sample) for row in rows]
        texts = ["" if turn is None else row.sample.turns[turn].text for row, turn in zip(rows, spoken, strict=True)]
        synonyms = self._synonyms(texts, labels)
        vectors = rows[0].sidecars.vectors if rows else None
        ways = self._ways(texts, vectors) if self.paraphrase else {}
        return [
            Rewording(
                tuple(_said(row.sample.turns, turn, way) for way, same in ways.get(text, {}).items() if same),
                words,
                tuple(way for way, same in ways.get(text, {}).items() if not same),
            )
            for row, turn, text, words in zip(rows, spoken, texts, synonyms, strict=True)
        ]

    def _synonyms(self, texts: Sequence[str], labels: Sequence[int]) -> list[dict[str, list[str]]]:
        asked: list[list[Meant]] = [
            [(label, word) for word in _content_words(text)] for text, label in zip(texts, labels, strict=True)
        ]
        every = [meant for own in asked for meant in own]
        found = write_synonyms(self.model, self.task, every, CallBudget(len(every)))
        return [{word: found[label, word] for label, word in own if found.get((label, word))} for own in asked]

    def _ways(self, texts: Sequence[str], vectors: SentenceVectors | None) -> dict[str, dict[str, bool]]:
        """Text → other ways to say it → whether they ask for the same thing."""
        prompt = _CHINESE if wording_of(self.task) is CHINESE else _ENGLISH
        wanted = list(dict.fromkeys(text for text in texts if text))
        if not wanted:
            return {}
        conversations = [ask(Instruction(prompt.format(n=WAYS, text=text))) for text in wanted]
        longest = max(map(len, wanted))
        answers = self.model.generate(conversations, max_new_tokens=WAYS * (2 * longest + 8))
        pairs = [
            (text, way)
            for text, answer in zip(wanted, answers, strict=True)
            for way in [line for line in dict.fromkeys(listed(answer.text, "\n")) if is_like(text, line)][:WAYS]
        ]
        far = far_apart(vectors, wanted, pairs)
        near = [pair for pair, is_far in zip(pairs, far, strict=True) if not is_far]
        same = {pair for pair, is_same in zip(near, same_request(self.model, self.task, near), strict=True) if is_same}
        found: dict[str, dict[str, bool]] = {}
        for text, way in pairs:
            found.setdefault(text, {})[way] = (text, way) in same
        return found


def is_like(text: str, other: str) -> bool:
    """Whether `other` can be `text` in other words: of a like length, with the same placeholders and numbers.

    What it says is not looked at; see `kdsl.augmentation.meaning`.
    """
    alike = _ENOUGH * len(text) <= len(other) <= _TOO_LONG * len(text)
    return alike and other != text and _kept(text) == _kept(other)


def _kept(text: str) -> Counter[str]:
    return Counter(word.text for word in cut(text) if word.kept)


def _said(turns: tuple[Turn, ...], turn: int | None, text: str) -> tuple[Turn, ...]:
    assert turn is not None  # there is another way only where something was said
    return (*turns[:turn], replace(turns[turn], text=text), *turns[turn + 1 :])


def _content_words(text: str) -> list[str]:
    """The first nouns and verbs of two or more characters that may be changed and have no synonyms yet."""
    free = {word.text for word in cut(text) if not word.kept}
    words = (word for word, kind in rjieba.tag(text) if kind[:1] in ("n", "v") or kind == "eng")
    return list(dict.fromkeys(word for word in words if len(word) > 1 and word in free and word not in SYNONYMS))[
        :WORDS
    ]
