"""The best rules that a search has seen, one for each set of samples."""

import heapq
from dataclasses import dataclass

from kdsl.bitmaps import Bitmap
from kdsl.mining.node import Key

_ELITE = 20


@dataclass(slots=True)
class Found:
    """A rule that the search has seen: its samples, weighted counts and reward."""

    key: Key
    bits: Bitmap
    hits: float
    correct: float
    reward: float


class BestRules:
    """The best rules seen, `size` of them; of rules that hold on the same samples the best one.

    The same samples in other words would only crowd others out.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._rules: dict[bytes, Found] = {}
        self._elite: list[float] = []
        """The largest rewards seen, a heap."""
        self.floor = 0.0
        """Rules up to this reward need not be added."""

    @property
    def enough(self) -> float:
        """Rewards up to this one are not among the 20 best seen."""
        return self._elite[0] if len(self._elite) == _ELITE else 0.0

    def rules(self) -> list[Found]:
        """Best first; ties by key, so that a seed gives the same rules."""
        return sorted(self._rules.values(), key=lambda found: (-found.reward, found.key))[: self._size]

    def add(self, rule: Found) -> bool:
        """Keep a rule where it is better than what is known; whether it is among the 20 best."""
        samples = rule.bits.tobytes()
        known = self._rules.get(samples)
        if known is not None:
            if known.reward >= rule.reward:
                return False
            if known.reward in self._elite:
                self._elite.remove(known.reward)
                heapq.heapify(self._elite)
        self._rules[samples] = rule
        changed = len(self._elite) < _ELITE or rule.reward > self._elite[0]
        if len(self._elite) < _ELITE:
            heapq.heappush(self._elite, rule.reward)
        elif changed:
            heapq.heapreplace(self._elite, rule.reward)
        if len(self._rules) >= 2 * self._size:
            self._rules = {found.bits.tobytes(): found for found in self.rules()}
            self.floor = min(found.reward for found in self._rules.values())
        return changed
