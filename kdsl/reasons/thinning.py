"""Near-identical reasons of one label are thinned: a model that learns from them writes the same for everything."""

from collections import defaultdict

SIMILAR = 0.5
"""Jaccard similarity of character trigrams from which on two reasons count as the same; docs/reasons.md."""
_SIZE = 3


class Thinning:
    """Takes in masked, folded reasons one after the other; of several alike the first stays."""

    def __init__(self, similar: float = SIMILAR) -> None:
        self._similar = similar
        self._kept: dict[tuple[str, str], list[frozenset[str]]] = defaultdict(list)

    def like(self, task: str, label: str, text: str) -> bool:
        """Whether a kept reason for the label is as good as the same; a text that is not is kept."""
        mine = shingles(text)
        kept = self._kept[task, label]
        if any(similarity(mine, other) >= self._similar for other in kept):
            return True
        kept.append(mine)
        return False


def shingles(text: str) -> frozenset[str]:
    """The character trigrams of a text, without spaces and punctuation."""
    text = "".join(filter(str.isalnum, text))
    return frozenset(text[i : i + _SIZE] for i in range(max(1, len(text) - _SIZE + 1)))


def similarity(first: frozenset[str], second: frozenset[str]) -> float:
    """Jaccard similarity, 0 to 1."""
    common = len(first & second)
    return common / (len(first) + len(second) - common)
