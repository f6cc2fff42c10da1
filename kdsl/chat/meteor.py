"""METEOR of an answer against the right one: as NLTK has it, and by the formula of FusionBrain Challenge 3.0."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from kdsl.distribution import install_command
from kdsl.errors import KdslError

_UNSPACED = "\u2e80-\u2fff\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
"""Characters of Chinese and Japanese, which put nothing between words."""
_WORD = re.compile(rf"[{_UNSPACED}]|(?:(?![{_UNSPACED}])\w)+(?:'(?:(?![{_UNSPACED}])\w)+)*|[^\w\s]")


@dataclass(frozen=True, slots=True)
class MeteorScore:
    """Two scores from 0 to 1 of the same alignment of an answer's words with those of the right answer."""

    nltk: float
    """With the penalty for words in another order, as `nltk.translate.meteor_score` has it by default (Lavie and
    Agarwal 2007): (1 - 0.5 (chunks / matches)^3) F."""
    formula: float
    """F = 10 P R / (R + 9 P), for the share P of the answer's words and R of the right answer's that have a match."""


class Meteor:
    """Compares answers; words match where they, their stems, or, with WordNet, their synonyms are the same."""

    def __init__(self) -> None:
        """Raises KdslError where NLTK is not installed. WordNet is used where it is; nothing is fetched."""
        try:
            from nltk.corpus import wordnet
            from nltk.translate import meteor_score
        except ImportError as error:
            raise KdslError(
                f"METEOR needs NLTK, which cannot be imported ({error}); install it: {install_command('chat')}"
            ) from error
        self._single = meteor_score.single_meteor_score
        self._wordnet: Any = wordnet
        self.synonyms = True
        """Whether words match their synonyms."""
        try:
            wordnet.ensure_loaded()
        except LookupError:
            self._wordnet, self.synonyms = _NoSynonyms(), False

    @property
    def matches(self) -> list[str]:
        """The matches that it can make."""
        return ["exact", "stem", *(["synonym"] if self.synonyms else [])]

    def score(self, answer: str, reference: str) -> MeteorScore:
        """Both scores; 0 where either holds no words."""
        said, right = [*words(answer)], [*words(reference)]
        # Without a penalty NLTK's F mean is the formula: 10 P R / (R + 9 P) = P R / (0.9 P + 0.1 R).
        scores = [self._single(right, said, wordnet=self._wordnet, gamma=gamma) for gamma in (0.5, 0.0)]
        return MeteorScore(*map(float, scores))


class _NoSynonyms:
    """In WordNet's place."""

    def synsets(self, word: str) -> list[Any]:
        return []


def words(text: str) -> Iterator[str]:
    """The words of a text as METEOR compares them: in lower case, without punctuation.

    Of Chinese and Japanese every character is one.

    >>> [*words("It's red, 是红色的。")]
    ["it's", 'red', '是', '红', '色', '的']
    """
    folded = unicodedata.normalize("NFKC", text).casefold().replace("’", "'")
    for word in _WORD.findall(folded):
        # Punctuation, and what is not seen.
        if unicodedata.category(word[0])[0] not in "PC" or word[0] == "_":
            yield word
