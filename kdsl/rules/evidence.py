"""A hit, and the evidence for it: what each condition of the rule found in the sample."""

from typing import Any

from kdsl.fields.sidecar import Box
from kdsl.fields.table import FieldText, Place
from kdsl.rules.condition import Condition
from kdsl.rules.rule import Rule


class Evidence:
    """What one condition of a rule that hits found in the sample.

    - Terms: `term` as the rule file writes it, and where it occurs first: `turn`, or `image`, `line` and `box`, and the
      character `span` [start, end) in the original text of that turn, OCR line or caption.
    - A number: `value` (None where the sample has none) and `comparison` such as ">1.8".
    - A visual question: `question` and `probability` of yes (None where never asked).
    - A negated condition on terms: `absent`, the terms that do not occur.
    """

    __slots__ = ("_end", "_place", "_start", "_text", "condition", "index", "probability", "term", "value")

    def __init__(
        self,
        index: int,
        condition: Condition,
        term: str | None = None,
        text: FieldText | None = None,
        start: int = 0,
        end: int = 0,
        value: float | None = None,
        probability: float | None = None,
    ) -> None:
        self.index = index
        """Position of the condition in `rule.conditions`."""
        self.condition = condition
        self.term = term
        self.value = value
        self.probability = probability
        self._text, self._start, self._end = text, start, end
        self._place: Place | None = None

    @property
    def field(self) -> str:
        return self.condition.field

    @property
    def negated(self) -> bool:
        return self.condition.negated

    @property
    def comparison(self) -> str | None:
        return None if self.condition.comparison is None else str(self.condition.comparison)

    @property
    def question(self) -> str | None:
        return self.condition.question

    @property
    def absent(self) -> tuple[str, ...] | None:
        return self.condition.terms if self.condition.negated and self.condition.terms else None

    @property
    def place(self) -> Place | None:
        """Segment and span of the term in the original text, looked up when first asked for; None without a term."""
        if self._place is None and self._text is not None:
            self._place = self._text.place(self._start, self._end)
        return self._place

    @property
    def turn(self) -> int | None:
        """Index into `Sample.turns`."""
        return None if self.place is None else self.place.segment.turn

    @property
    def span(self) -> tuple[int, int] | None:
        return None if self.place is None else self.place.span

    @property
    def image(self) -> str | None:
        return None if self.place is None else self.place.segment.image

    @property
    def line(self) -> int | None:
        """Index into the lines of the image's OCR page."""
        return None if self.place is None else self.place.segment.line

    @property
    def box(self) -> Box | None:
        return None if self.place is None else self.place.segment.box

    def record(self) -> dict[str, Any]:
        """The JSON object that stands in a prediction; what does not apply is left out."""
        entries = {
            "condition": self.index,
            "field": self.field,
            "negated": self.negated or None,
            "term": self.term,
            "turn": self.turn,
            "image": self.image,
            "line": self.line,
            "box": None if self.box is None else list(self.box),
            "span": None if self.span is None else list(self.span),
            "absent": None if self.absent is None else list(self.absent),
            "comparison": self.comparison,
            "value": self.value,
            "question": self.question,
            "probability": self.probability,
        }
        return {key: value for key, value in entries.items() if value is not None}

    def __repr__(self) -> str:
        return f"Evidence({self.record()})"


class Hit:
    """A rule that holds on a sample, with one piece of evidence for each of its conditions, in their order."""

    __slots__ = ("evidence", "rule")

    def __init__(self, rule: Rule, evidence: tuple[Evidence, ...]) -> None:
        self.rule = rule
        self.evidence = evidence

    def __repr__(self) -> str:
        return f"Hit({self.rule.id}, {self.evidence})"
