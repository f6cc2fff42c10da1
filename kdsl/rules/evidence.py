"""A hit, and the evidence for it: what each condition of the rule found in the sample."""

from collections.abc import Sequence
from typing import Any

from kdsl.audio.transcript import clock
from kdsl.embeddings.encoder import Vectors32
from kdsl.embeddings.sentence_vectors import SentenceVectors
from kdsl.fields.field_text import FieldText, Place, Segment
from kdsl.fields.sidecar import Box
from kdsl.fields.table import SampleFields, height_share
from kdsl.rules.condition import Condition
from kdsl.rules.matcher import first_occurrence, is_bounded
from kdsl.rules.meaning import Nearest, nearest, wording_vectors
from kdsl.rules.rule import Rule
from kdsl.rules.sight import Region, colour_share, region
from kdsl.text import normalise

Terms = tuple[tuple[str, str, bool], ...]
"""(normalised, as the rule file writes it, whether only whole words count): what a condition on terms looks for."""


class Explained:
    """What is the same for every hit of a rule about one of its conditions, and made once for all of them."""

    __slots__ = ("_wordings", "_words", "condition", "field", "index", "plain", "sees", "terms")

    def __init__(self, index: int, condition: Condition) -> None:
        """`index`: position of the condition in `rule.conditions`."""
        self.index = index
        self.condition = condition
        self.field = condition.field
        written = () if condition.negated else condition.sought
        self.terms: Terms = tuple((form := normalise(term), term, is_bounded(form)) for term in written)
        self.plain = bool(self.terms) and condition.size is None
        """Whether it looks for terms in texts of any size."""
        self.sees = condition.colour is not None or condition.image_kind is not None
        """Whether it may be seen in a region of an image."""
        self._wordings: tuple[SentenceVectors, Vectors32] | None = None
        self._words: dict[str | None, str] = {}

    def as_found(self, term: str | None) -> Condition:
        """The condition, of several terms only `term`, the one that was found."""
        if term is None:
            return self.condition
        size = self.condition.size
        if size is not None:
            return self.condition.model_copy(update={"size": size.model_copy(update={"terms": (term,)})})
        return self.condition.model_copy(update={"terms": (term,)})

    def words(self, term: str | None) -> str:
        """`as_found` in words."""
        if term not in self._words:
            self._words[term] = str(self.as_found(term))
        return self._words[term]

    def nearest(self, row: SampleFields) -> Nearest | None:
        """What comes nearest to the wordings of a meaning; None for another condition, and where nothing does."""
        meaning, vectors = self.condition.meaning, row.sidecars.vectors
        if meaning is None or vectors is None:
            return None
        if self._wordings is None or self._wordings[0] is not vectors:
            self._wordings = vectors, wording_vectors(meaning, vectors)
        return nearest(meaning, row, self._wordings[1])


def searched(condition: Condition, row: SampleFields) -> FieldText:
    """The text in which the terms of a condition are looked for."""
    return row.text(condition.field) if condition.size is None else row.lines_of(condition.size.height.holds)


class Evidence:
    """What one condition of a rule that hits found in the sample.

    - Terms: `term` as the rule file writes it, and where it occurs first: `turn`, or `image`, `line` and `box`, and
      the character `span` [start, end) in the original text of that turn, OCR line or caption.
      What is said in a sound has it as `audio`, its span is one of the transcript, and `seconds` [start, end] tell
      when it is said, where the transcript knows.
      In large type `value` is the line's height as a share of the page's, and `comparison` what it must be.
    - A number: `value` (None where the sample has none) and `comparison` such as ">1.8".
    - A colour: `value`, the zone's share, and `comparison`; the zone as `image` and `box` (None without a picture).
    - A kind of image: `kind`, what it is, and the whole image as `image` and `box` (None without a picture).
    - A meaning: `similarity` of the nearest piece to the nearest `wording`, and `at`, the least that holds; where it
      holds also where the piece stands, as for terms, `span` being all of it.
    - A visual question: `question` and `probability` of yes (None where never asked).
    - A negated condition on terms: `absent`, the terms that do not occur.
    """

    __slots__ = ("_explained", "_row", "nearest", "region", "segment", "span", "term")

    def __init__(self, explained: Explained, row: SampleFields) -> None:
        self._explained = explained
        self._row = row
        self.term: str | None
        self.segment: Segment | None
        """Where the term or meaning stands: a turn, a transcript, an OCR line or a caption."""
        self.span: tuple[int, int] | None
        self.nearest = None if explained.condition.meaning is None else explained.nearest(row)
        """What comes nearest to the wordings of a meaning; of a negated one it is not near enough."""
        self.region: Region | None = region(explained.condition, row) if explained.sees else None
        """Where a colour or a kind is seen."""
        if explained.terms:
            text = searched(explained.condition, row)
            self.term, start, end = _earliest(text.text, explained.terms)
            self.segment, self.span = text.place(start, end)
        elif self.nearest is not None and not self.negated:
            self.term = None
            self.segment, self.span = self.nearest.piece.place
        else:
            self.term = self.segment = self.span = None

    @property
    def index(self) -> int:
        """Position of the condition in `rule.conditions`."""
        return self._explained.index

    @property
    def condition(self) -> Condition:
        return self._explained.condition

    @property
    def field(self) -> str:
        return self._explained.field

    @property
    def negated(self) -> bool:
        return self.condition.negated

    @property
    def as_found(self) -> Condition:
        """The condition, of several terms only the one that was found."""
        return self._explained.as_found(self.term)

    @property
    def words(self) -> str:
        """`as_found` in words."""
        return self._explained.words(self.term)

    @property
    def comparison(self) -> str | None:
        compared = self.condition.compared
        return None if compared is None else str(compared)

    @property
    def question(self) -> str | None:
        return self.condition.question

    @property
    def absent(self) -> tuple[str, ...] | None:
        return self.condition.sought if self.condition.negated and self.condition.sought else None

    @property
    def value(self) -> float | None:
        if self.condition.comparison is not None:
            return self._row.number(self.field)
        if self.condition.colour is not None:
            return colour_share(self.condition.colour, self._row)
        if self.condition.size is None or self.segment is None or self.segment.image is None:
            return None
        return height_share(self.segment.box or (0, 0, 0, 0), self._row.sidecars.ocr[self.segment.image].size[1])

    @property
    def seen(self) -> str | None:
        """In a few words what was seen, for a condition on sight or large type: `orange 0.41, >0.3` or `photo`."""
        condition, value = self.condition, self.value
        if condition.colour is not None and value is not None:
            return f"{condition.colour.colour} {value:.2f}, {condition.colour.share}"
        if condition.size is not None and value is not None:
            return f"height {value:.3f}, {condition.size.height}"
        return self.kind

    @property
    def said(self) -> str | None:
        """In a few words where it is said aloud: `0:03 in order.wav`."""
        if self.audio is None:
            return None
        return self.audio if self.seconds is None else f"{clock(self.seconds[0])} in {self.audio}"

    @property
    def detail(self) -> str | None:
        """What the condition in words does not say yet: what came nearest in meaning, what was seen, and where it is
        said aloud."""
        if self.nearest is not None:
            near = str(self.nearest)
            return near if self.said is None else f"{near}, {self.said}"
        if self.said is not None:
            return self.said
        return self.seen if self.kind is None or self.negated else None

    @property
    def kind(self) -> str | None:
        """What kind of image a condition on the kind found."""
        picture = self._row.picture if self.condition.image_kind is not None else None
        return None if picture is None else picture.kind

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
        return self.region.image if self.region is not None else None if self.segment is None else self.segment.image

    @property
    def line(self) -> int | None:
        """Index into the lines of the image's OCR page."""
        return None if self.segment is None else self.segment.line

    @property
    def audio(self) -> str | None:
        """The sound in which it is said."""
        return None if self.segment is None else self.segment.audio

    @property
    def seconds(self) -> tuple[float, float] | None:
        """When it is said, from the beginning of `audio`; None where the transcript does not know."""
        if self.audio is None or self.span is None:
            return None
        return self._row.sidecars.transcripts[self.audio].times(*self.span)

    @property
    def box(self) -> Box | None:
        """In pixels of the image's OCR page, or of the image itself where it has none."""
        return self.region.box if self.region is not None else None if self.segment is None else self.segment.box

    def record(self) -> dict[str, Any]:
        """The JSON object that stands in a prediction; what does not apply is left out."""
        explained, segment, span = self._explained, self.segment, self.span
        condition, nearest = explained.condition, self.nearest
        # Nearly all evidence; what follows would find the same, in several times the time.
        if explained.plain and segment is not None and segment.turn is not None and segment.audio is None:
            assert span is not None
            return {
                "condition": explained.index,
                "field": explained.field,
                "term": self.term,
                "turn": segment.turn,
                "span": list(span),
            }
        box, seconds = self.box, self.seconds
        entries = {
            "condition": self.index,
            "field": self.field,
            "negated": condition.negated or None,
            "term": self.term,
            "turn": self.turn,
            "image": self.image,
            "line": self.line,
            "box": None if box is None else list(box),
            "audio": self.audio,
            "seconds": None if seconds is None else [round(second, 2) for second in seconds],
            "span": None if span is None else list(span),
        }
        if condition.negated and condition.sought:
            entries["absent"] = list(condition.sought)
        if nearest is not None:
            entries |= {"similarity": round(nearest.similarity, 4), "wording": nearest.wording}
        if condition.meaning is not None:
            entries["at"] = condition.meaning.at
        if not condition.terms:  # most conditions have some, and nothing of the following
            entries |= {
                "comparison": self.comparison,
                "value": self.value,
                "kind": self.kind,
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
