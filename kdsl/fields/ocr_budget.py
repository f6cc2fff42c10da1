"""The lines of OCR pages that fit a number of tokens: those that tell the most about the label."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kdsl.fields.sidecar import OcrPage
from kdsl.text import normalise

CountTokens = Callable[[str], int]
DOUBT = 5.0
"""Pages that stand against what few pages say about a pair."""

_ESTIMATED = re.compile(r"[A-Za-z]{1,4}|\d|\s+|.", re.DOTALL)


def estimated_tokens(text: str) -> int:
    """About what a Qwen tokenizer makes of a text, rather too many: each digit and each other character, but four
    letters of a word together."""
    return len(_ESTIMATED.findall(text))


@dataclass(frozen=True)
class LineInformation:
    """How much a line tells about the label of its page: the mean over its pairs of characters.

    A pair is worth the Kullback-Leibler divergence of the labels of the pages that hold it from those of all pages;
    the former are smoothed by the latter, as if seen on `DOUBT` more pages: what one page holds is worth little.
    """

    worth: dict[str, float]
    """Pair of characters → nats."""

    @classmethod
    def fit(cls, pages: Sequence[OcrPage], labels: Sequence[str]) -> "LineInformation":
        """From pages and the label of each."""
        numbers = {label: number for number, label in enumerate(dict.fromkeys(labels))}
        shares = np.bincount([numbers[label] for label in labels], minlength=len(numbers)) / max(len(labels), 1)
        counts: dict[str, NDArray[np.float64]] = {}
        for page, label in zip(pages, labels, strict=True):
            for pair in {pair for line in page.lines for pair in _pairs(line.text)}:
                counts.setdefault(pair, np.zeros(len(numbers)))[numbers[label]] += 1
        worth = {}
        for pair, count in sorted(counts.items()):
            smoothed = (count + DOUBT * shares) / (count.sum() + DOUBT)
            worth[pair] = round(float((smoothed * np.log(smoothed / shares)).sum()), 6)
        return cls(worth)

    def of(self, text: str) -> float:
        """0 for text that no page held."""
        pairs = _pairs(text)
        return math.fsum(self.worth.get(pair, 0.0) for pair in pairs) / max(len(pairs), 1)


def budgeted(
    pages: Sequence[Sequence[str]], limit: int, information: LineInformation, count: CountTokens = estimated_tokens
) -> list[list[str]]:
    """The lines of each page that stay when all together, with a newline each, may take `limit` tokens.

    Those with the least information leave first, of equals the later one; the others keep their order.
    """
    lines = [(number, place, text) for number, page in enumerate(pages) for place, text in enumerate(page)]
    costs = {(number, place): max(count(text + "\n"), 1) for number, place, text in lines}
    total = sum(costs.values())
    if total <= limit:
        return [list(page) for page in pages]
    kept = set(costs)
    for number, place, _ in sorted(lines, key=lambda line: (information.of(line[2]), -line[0], -line[1])):
        if total <= limit:
            break
        kept.remove((number, place))
        total -= costs[number, place]
    return [[text for place, text in enumerate(page) if (number, place) in kept] for number, page in enumerate(pages)]


def _pairs(text: str) -> set[str]:
    text = normalise(text)
    return {text[i : i + 2] for i in range(len(text) - 1)} or ({text} if text else set())
