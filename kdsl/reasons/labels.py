"""Labels named in a reason, in simplified or traditional characters: found, and masked."""

import re
from collections import defaultdict
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING

from kdsl.sample import Task
from kdsl.text import normalise

if TYPE_CHECKING:
    from opencc import OpenCC

MASK = "〇〇"
"""Stands for any label, so that its length tells nothing."""
_SHORTEST_PART = 3
"""Characters from which on a part of a label's name stands for the whole."""
_DENIED = re.compile(
    r"(不是|并非|而非|不属于|不符合|非|\bnot|\brather than|\bno)( an?| the)?[\s\"'“”‘’「」『』《》【】]*$"
)
"""Ends what stands before a label that is ruled out."""
_PARTS = re.compile(r"[-/、()\[\]]")


def folded(text: str) -> str:
    """Normalised, in simplified characters, with spaces for underscores: the form in which names are looked for."""
    return "".join(map(_simplified, normalise(text))).replace("_", " ")


class LabelNames:
    """The names by which a task's labels go: the whole name, without what stands in brackets, and its longer parts."""

    def __init__(self, task: Task) -> None:
        self._labels: dict[str, set[str]] = defaultdict(set)
        for label in task.label_names:
            for name in _names(label):
                self._labels[name].add(label)
        # The longest first, so that a label whose name is part of another's is not found in it.
        longest = sorted(self._labels, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(_bounded, longest)))

    def mistaken(self, text: str, label: str) -> str | None:
        """What a reason for `label` says of labels that cannot be right, in words; None where nothing speaks against.

        It rules out its own label, or names other labels of the task and not its own.
        """
        named, denied = self._named(text)
        if label in named:
            return None
        others = sorted(named - {label})
        if label in denied:
            return f"rules out its own label {label}"
        return f"names {', '.join(others)} and not its own label {label}" if others else None

    def _named(self, text: str) -> tuple[set[str], set[str]]:
        """The labels that a text names, and those that it rules out; names that several labels share tell none."""
        text = folded(text)
        named: set[str] = set()
        denied: set[str] = set()
        for match in self._pattern.finditer(text):
            if len(self._labels[match.group()]) == 1:
                (denied if _DENIED.search(text[: match.start()]) else named).update(self._labels[match.group()])
        return named, denied

    def masked(self, text: str, label: str) -> str:
        """The folded text with `MASK` for every name of the label, also those that it shares with others."""
        return self._pattern.sub(
            lambda match: MASK if label in self._labels[match.group()] else match.group(), folded(text)
        )


def _names(label: str) -> Iterable[str]:
    name = folded(label)
    plain = re.sub(r"\(.*?\)", "", name).strip()
    parts = [part.strip() for part in _PARTS.split(name)] if _PARTS.search(name) else []
    return dict.fromkeys([name, *([plain] if plain else []), *(p for p in parts if len(p) >= _SHORTEST_PART)])


def _bounded(name: str) -> str:
    """A pattern for the name; Latin letters and digits at its ends end words."""
    start = r"(?<![0-9a-z])" if re.match(r"[0-9a-z]", name) else ""
    end = r"(?![0-9a-z])" if re.search(r"[0-9a-z]$", name) else ""
    return start + re.escape(name) + end


@lru_cache(maxsize=20_000)
def _simplified(character: str) -> str:
    if character < "\u2e80":
        return character
    found = _converter().convert(character)
    return found if len(found) == 1 else character


@lru_cache(maxsize=1)
def _converter() -> "OpenCC":
    from opencc import OpenCC

    return OpenCC("t2s")
