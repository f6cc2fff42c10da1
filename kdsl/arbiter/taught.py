"""What accepted rules taught a classifier, to be told."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Taught:
    """How many unlabelled samples a task has, what accepted rules say about them, and how much of it is learned."""

    unlabelled: int
    rules: int = 0
    """Accepted ones, as they stand."""
    labelled: int = 0
    """Unlabelled samples that these rules label."""
    learned: int = 0
    """Of those, the samples that the classifier learned from."""
    weight: float = 0.0
    """What each of them counts against a sample that people labelled."""
    hindrance: str = ""
    """Why none is learned from, where one can tell without trying."""

    def told(self, task: str) -> str:
        """The same in a line."""
        if self.hindrance:
            return f"{task}: none of {self.unlabelled} unlabelled samples is learned from: {self.hindrance}"
        rules = "1 accepted rule labels" if self.rules == 1 else f"{self.rules} accepted rules label"
        said = f"{task}: {rules} {self.labelled} of {self.unlabelled} unlabelled samples"
        if self.weight == 0.0:
            return f"{said}; the classifier learns from none, as that does not make its log loss smaller out of fold"
        return f"{said}; the classifier learns from {self.learned}, each at {self.weight:g} of a labelled sample"

    def record(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "unlabelled": self.unlabelled,
            "rules": self.rules,
            "labelled": self.labelled,
            "learned": self.learned,
            "weight": self.weight,
        }
