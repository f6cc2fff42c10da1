"""One kind of problem in a data set."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_EXAMPLES = 5


@dataclass(frozen=True)
class Finding:
    """How many samples, images or labels of one split have a problem, and a few of them.

    `split` and `task` are empty where the problem is not of one of them.
    """

    kind: str
    split: str
    task: str
    count: int
    message: str
    examples: tuple[str, ...] = ()


def finding(kind: str, split: str, task: str, places: Sequence[str], message: str) -> Iterator[Finding]:
    """One finding with the first few of `places`; none when there are no places."""
    if places:
        yield Finding(kind, split, task, len(places), message, tuple(places[:_EXAMPLES]))
