"""A hit, and the evidence for it: what each condition of the rule found in the sample."""

from collections.abc import Sequence
from typing import Any

from kdsl.fields.sidecar import Box
from kdsl.fields.table import Place, SampleFields, Segment
from kdsl.rules.condition import Condition
from kdsl.rules.matcher import first_occurrence
from kdsl.rules.meaning import Nearest, nearest
from kdsl.rules.rule import Rule

Terms = tuple[tuple[str, str, bool], ...]
"""(normalised, as the rule file writes it, whether only whole words count): what a condition on terms looks for."""

Explained = tuple[int, Condition, str, Terms]
"""Index, condition, field and terms (none where it is negated): the same for every hit of a rule."""


class Evidence:
    """What one condition of a rule that hits found in the sample.

    - Terms: `term` as the rule file writes it, and where it occurs first: `turn`, or `image`, `line` and `box`, and
      the character `span` [start, end) in the original text of that turn, OCR line or caption.
    - A number: `value` (None where the sample has none) and `comparison` such as ">1.8".
    - A meaning: `similarity` of the nearest piece to the nearest `wording`, and `at`, the least that holds; where it
      holds also where the piece stands, as for terms, `span` being all of it.
    - A visual question: `question` and `probability` of yes (None where never asked).
    - A negated condition on terms: `absent`, the terms that do not occur.
    """

    __slots__ = ("_row", "condition", "field", "index", "nearest", "segment", "span", "term")

    def __init__(self, explained: Explained, row: SampleFields) -> None:
        self.index, self.condition, self.field, terms = explained
        """`index`: position of the condition in `rule.conditions`."""
        self._row = row
        self.term: str | None
        self.segment: Segment | None
        """Where the term or meaning stands: a turn, an OCR line or a caption."""
        self.span: tuple[int, int] | None
        meaning = self.condition.meaning
        self.nearest: Nearest | None = None if meaning is None else nearest(meaning, row)
        """What comes nearest to the wordings of a meaning; of a negated one it is not near enough."""
        if terms:
            text = row.text(self.field)
            self.term, start, end = _earliest(text.text, terms)
            self.segment, self.span = text.place(start, end)
        elif self.nearest is not None and not self.negated:
            self.term = None
            self.segment, self.span = self.nearest.piece.place
        else:
            self.term = self.segment = self.span = None

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
    def value(self) -> float | None:
        return None if self.condition.comparison is None else self._row.number(self.field)

    @property
    def probability(self) -> float | None:
        return None if self.question is None else self._row.answer(self.question)

    @property
    def place(self) -> Place | None:
        """Segment and span of the term or meaning in the original text; None without either."""
        return None if self.segment is None or self.span is None else (self.segment, self.span)

    @property
    def turn(self) -> int | None:
        """Index into `Sample.turns`."""
        return None if self.segment is None else self.segment.turn

    @property
    def image(self) -> str | None:
        return None if self.segment is None else self.segment.image

    @property
    def line(self) -> int | None:
        """Index into the lines of the image's OCR page."""
        return None if self.segment is None else self.segment.line

    @property
    def box(self) -> Box | None:
        return None if self.segment is None else self.segment.box

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
            "similarity": None if self.nearest is None else round(self.nearest.similarity, 4),
            "wording": None if self.nearest is None else self.nearest.wording,
            "at": None if self.condition.meaning is None else self.condition.meaning.at,
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

    __slots__ = ("_evidence", "_explained", "_row", "rule")

    def __init__(self, rule: Rule, explained: Sequence[Explained], row: SampleFields) -> None:
        self.rule = rule
        self._explained = explained
        self._row = row
        self._evidence: tuple[Evidence, ...] | None = None

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        if self._evidence is None:
            row = self._row
            self._evidence = tuple([Evidence(explained, row) for explained in self._explained])
        return self._evidence

    def __repr__(self) -> str:
        return f"Hit({self.rule.id}, {self.evidence})"


def _earliest(text: str, terms: Terms) -> tuple[str, int, int]:
    """The term that occurs first, of equally early ones the longest, as written, and its span; one must occur."""
    best, start, end = "", len(text), 0
    for term, written, whole in terms:
        found = first_occurrence(text, term, start + 1) if whole else text.find(term, 0, start + len(term))
        if found >= 0 and (found < start or found + len(term) > end):
            best, start, end = written, found, found + len(term)
    return best, start, end
