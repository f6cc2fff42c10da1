"""What agrees and what does not, in a table of 80 columns."""

import textwrap
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import zip_longest

WIDTH = 80


class Verdict(StrEnum):
    same = "same"
    differs = "DIFFERS"
    told = "-"
    """A figure that need not agree."""
    not_run = "not run"


@dataclass(frozen=True)
class Finding:
    peer: str
    what: str
    figures: str
    verdict: Verdict


def shares(peer: str, what: str, equal: int, total: int, more: str = "") -> Finding:
    """So many of so many are equal; none at all counts as a difference, as nothing was compared."""
    verdict = Verdict.same if equal == total > 0 else Verdict.differs
    return Finding(peer, what, f"{equal} of {total}{more and '; ' + more}", verdict)


def within(peer: str, what: str, difference: float, bound: float) -> Finding:
    """A difference that must not be over `bound`; one that is no number is over it."""
    verdict = Verdict.same if difference <= bound else Verdict.differs
    return Finding(peer, what, f"{difference:.1e}, at most {bound:.0e}", verdict)


def table(findings: Sequence[Finding]) -> str:
    """A block for each peer, a line or more for each finding."""
    lines: list[str] = []
    peer = None
    for finding in findings:
        if finding.peer != peer:
            peer = finding.peer
            lines += ["", peer] if lines else [peer]
        what, figures = textwrap.wrap(finding.what, 34), textwrap.wrap(finding.figures, 32)
        for number, (left, right) in enumerate(zip_longest(what, figures, fillvalue="")):
            end = "" if number else finding.verdict
            lines.append(f"  {_padded(left, 35)}{_padded(right, 34)}{end}".rstrip())
    return "\n".join(lines)


def failed(findings: Sequence[Finding]) -> bool:
    """Whether something differs that should agree."""
    return any(finding.verdict is Verdict.differs for finding in findings)


def _padded(text: str, width: int) -> str:
    shown = sum(2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in text)
    return text + " " * max(0, width - shown)
