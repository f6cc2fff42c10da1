"""The lines of OCR pages that fit a number of tokens: those that tell the most about their page."""

import hashlib
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from kdsl.fields.sidecar import OcrPage
from kdsl.text import normalise

CountTokens = Callable[[str], int]
_ESTIMATED = re.compile(r"[A-Za-z]{1,4}|\d|\s+|.", re.DOTALL)


def estimated_tokens(text: str) -> int:
    """About what a Qwen tokenizer makes of a text, rather too many: each digit and each other character, but four
    letters of a word together."""
    return len(_ESTIMATED.findall(text))


@dataclass(frozen=True)
class LineInformation:
    """How much a line tells, by how many of the pages it was fitted on hold its pairs of characters.

    A pair counts its inverse document frequency, log(pages / pages with it); one that fewer than two pages hold counts
    nothing: what is on a single page, such as a name or a misread word, says nothing about others.
    """

    pages: int
    frequencies: dict[str, int]
    """Pair of characters → pages that hold it, those of at least two pages."""

    @classmethod
    def fit(cls, pages: Iterable[OcrPage]) -> "LineInformation":
        counted: Counter[str] = Counter()
        number = 0
        for page in pages:
            number += 1
            counted.update({pair for line in page.lines for pair in _pairs(line.text)})
        return cls(number, {pair: count for pair, count in sorted(counted.items()) if count > 1})

    def of(self, text: str) -> float:
        """The sum over the different pairs of the text."""
        known = self.frequencies
        return sum(math.log(self.pages / known[pair]) for pair in sorted(_pairs(text)) if pair in known)

    @property
    def fingerprint(self) -> str:
        """Changes when what lines are worth may. 16 hex digits."""
        return hashlib.sha256(repr((self.pages, sorted(self.frequencies.items()))).encode()).hexdigest()[:16]


def budgeted(
    pages: Sequence[Sequence[str]], limit: int, information: LineInformation, count: CountTokens = estimated_tokens
) -> list[list[str]]:
    """The lines of each page that stay when all together, with a newline each, may take `limit` tokens.

    Those with the least information a token leave first; the others keep their order.
    """
    lines = [(number, place, text) for number, page in enumerate(pages) for place, text in enumerate(page)]
    costs = {(number, place): max(count(text + "\n"), 1) for number, place, text in lines}
    total = sum(costs.values())
    if total <= limit:
        return [list(page) for page in pages]
    kept = set(costs)
    # Of equals the later line leaves first.
    for number, place, _ in sorted(
        lines, key=lambda line: (information.of(line[2]) / costs[line[:2]], -line[0], -line[1])
    ):
        if total <= limit:
            break
        kept.remove((number, place))
        total -= costs[number, place]
    return [[text for place, text in enumerate(page) if (number, place) in kept] for number, page in enumerate(pages)]


def _pairs(text: str) -> set[str]:
    text = normalise(text)
    return {text[i : i + 2] for i in range(len(text) - 1)} or ({text} if text else set())
