"""The tokens that a peer makes of what KDSL would train on, beside KDSL's own."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from peering.table import Finding, Verdict, shares


@dataclass(frozen=True)
class Encoded:
    """A training example: the tokens of prompt and answer, of which the last `learned` are in the loss."""

    ids: tuple[int, ...]
    learned: int

    def pictured(self, picture: int) -> int:
        """How many tokens stand for pictures."""
        return self.ids.count(picture)


def compare_tokens(
    peer: str, ours: Sequence[Encoded], theirs: Sequence[Encoded], picture: int, ending: Sequence[int]
) -> list[Finding]:
    """Both in the same order. The peer may learn `ending` behind the end token, which no score depends on."""
    end = tuple(ending)
    prompts = answers = pictured = 0
    for own, other in zip(ours, theirs, strict=False):
        shown = other.ids[: len(other.ids) - len(end)] if end and other.ids[-len(end) :] == end else other.ids
        start, begun = len(own.ids) - own.learned, len(other.ids) - other.learned
        prompts += own.ids[:start] == other.ids[:begun]
        answers += own.ids[start:] == shown[begun:]
        pictured += own.pictured(picture) == other.pictured(picture)
    behind = Counter(other.ids[-len(end) :] == end for other in theirs) if end else Counter()
    total = max(len(ours), len(theirs))
    return [
        shares(peer, "tokens of the prompt", prompts, total),
        shares(peer, "tokens of the answer, to its end", answers, total),
        shares(peer, "number of picture tokens", pictured, total, _range([each.pictured(picture) for each in theirs])),
        Finding(peer, "learns a line break behind the end", f"{behind[True]} of {len(theirs)}", Verdict.told),
    ]


def compare_pictures(peer: str, ours: Sequence[int], theirs: Sequence[int], most: int) -> Finding:
    """Numbers of tokens of pictures that the peer sizes itself: told, as KDSL does not choose them."""
    pairs = sorted({(a, b) for a, b in zip(ours, theirs, strict=False) if a != b})
    told = ", ".join(f"{b} ({a})" for a, b in pairs[:6]) or "the same"
    return Finding(peer, f"the same pictures unsized, budget {most}: tokens (KDSL's)", told, Verdict.told)


def _range(counts: Sequence[int]) -> str:
    return f"{min(counts)} to {max(counts)}" if counts else ""
