"""How often the small model may be asked while rules are searched."""


class CallBudget:
    """Calls that are left. Answers that are known from an earlier run count too, so that a run that was interrupted
    asks what an uninterrupted one asks."""

    def __init__(self, calls: int) -> None:
        self.calls = self._left = calls
        self.refused = 0
        """Calls that were wanted beyond the budget."""

    def take(self, wanted: int) -> int:
        """How many of so many calls may be made, which are then spent."""
        granted = min(wanted, self._left)
        self._left -= granted
        self.refused += wanted - granted
        return granted

    def take_all(self, wanted: int) -> bool:
        """Whether so many calls may be made, which are then spent; without all of them none is."""
        if wanted > self._left:
            self.refused += wanted
            return False
        return self.take(wanted) == wanted
