"""The fields of samples: normalised texts with a way back to the original, and numbers."""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import compress

import numpy as np

from kdsl.data.answers import before_answer
from kdsl.embeddings.encoder import Vectors32
from kdsl.embeddings.sentence_vectors import SentenceVectors
from kdsl.fields import NUMBER_FIELDS, TEXT_FIELDS, ZONES
from kdsl.fields.cleaned_ocr import cleaned
from kdsl.fields.field_text import FieldText, Normalised, Segment
from kdsl.fields.heard import hear
from kdsl.fields.page_network import NETWORK_SIZE
from kdsl.fields.pictures import Pictures
from kdsl.fields.sidecar import Box, OcrPage, Sidecars
from kdsl.fields.visual import VIEWS, PictureFeatures
from kdsl.sample import Sample

_OCR_ZONES = {
    "ocr": "page",
    **{f"ocr.{zone}": zone for zone in ZONES if zone != "page"},
}
"""text field → the zone of the page that it reads"""
_PLACEHOLDERS = re.compile(r"<image>|<audio>|<http>|<video>")
_WORD = re.compile(r"\w")


class SampleFields:
    """The fields of one sample, each made when first asked for."""

    def __init__(self, sample: Sample, sidecars: Sidecars, turns: Normalised | None = None) -> None:
        """`turns` are the texts of the sample's turns as `_said` gives them, where they are normalised already."""
        self.sample = sample
        """As it was given."""
        self.shown = before_answer(sample) if "last_agent" in sidecars.left_out else sample
        """What is looked at: all but the agent's answer, where that is left out. Turns keep their indices."""
        self._heard = hear(self.shown, sidecars.transcripts)
        self.heard = self.shown if self._heard is None else self._heard.sample
        """`shown` with what is said in its sounds in the texts of their turns, for whoever reads or shows the turns;
        `shown` itself where nothing is said in sounds."""
        self.sidecars = sidecars
        """What is known about images and sounds, those of other samples too."""
        self._turns = turns
        self._texts: dict[str, FieldText] = {}
        self._of_turns: dict[tuple[int, ...], FieldText] = {}
        """The same by turns: of a bare text, `last_user`, `user` and `dialogue` are one."""

    def text(self, field: str) -> FieldText:
        """The text field of that name; an empty text where the sample has nothing of the kind."""
        made = self._texts.get(field)
        if made is None:
            made = self._texts[field] = self._make(field)
        return made

    def lines_of(self, height: Callable[[float], bool]) -> FieldText:
        """The OCR lines whose height, as a share of their page's, is one for which `height` is true."""
        segments, _, lines = self._lines
        chosen = [index for index, share in enumerate(self._line_heights) if height(share)]
        return FieldText(lines, chosen, segments)

    def number(self, field: str) -> float | None:
        """The number field of that name; None where it does not exist, such as the aspect without a known image.

        Numbers about an image are those of the first one that OCR has read; the seconds are those of all sounds that
        have a transcript.
        """
        if field == "turns":
            return float(len(self.shown.turns))
        if field == "image.count":
            return float(len(self.shown.images))
        if field == "audio.count":
            return float(len(self.shown.audio))
        if field == "audio.seconds":
            known = self.sidecars.transcripts
            lengths = [known[audio].seconds for audio in self.shown.audio if audio in known]
            return sum(lengths) if lengths else None
        if field == "image.aspect":
            for image in self.shown.images:
                page = self.sidecars.ocr.get(image)
                if page is not None:
                    width, height = page.original_size or page.size
                    return height / width
            return None
        if field in ("image.text_area", "image.text_lines"):
            page = next(iter(self.pages), None)
            if page is None:
                return None
            return text_area(page) if field == "image.text_area" else float(len(page.lines))
        raise ValueError(f"{field} is not a number field; number fields are {', '.join(NUMBER_FIELDS)}")

    def answer(self, question: str) -> float | None:
        """The highest probability of "yes" to a visual question over the sample's images; None where never asked."""
        asked = [self.sidecars.answers.get(image, {}).get(question) for image in self.shown.images]
        return max((probability for probability in asked if probability is not None), default=None)

    @property
    def questions(self) -> frozenset[str]:
        """The visual questions that were asked about any of the sample's images."""
        return frozenset(q for image in self.shown.images for q in self.sidecars.answers.get(image, ()))

    @cached_property
    def cleaned(self) -> "SampleFields":
        """The same sample as it reads on cleaned OCR pages (`kdsl.fields.cleaned_ocr`)."""
        pages = {page.image: cleaned(page) for page in self.pages}
        return SampleFields(self.sample, replace(self.sidecars, ocr=pages), self._said())

    @cached_property
    def pages(self) -> list[OcrPage]:
        """The OCR pages of the sample's images, of those that have one."""
        return [self.sidecars.ocr[image] for image in self.shown.images if image in self.sidecars.ocr]

    @property
    def picture(self) -> PictureFeatures | None:
        """What is seen on the first of the sample's images that can be read; None where there is none."""
        return None if self.seen is None else self.seen[1]

    @cached_property
    def seen(self) -> tuple[str, PictureFeatures] | None:
        """`picture` with the name of its image."""
        pictures = self.sidecars.pictures
        return None if pictures is None else self.first_seen(pictures.get)

    def first_seen(self, picture: Callable[[str], PictureFeatures | None]) -> tuple[str, PictureFeatures] | None:
        """The first of the sample's images of which `picture` gives something."""
        found = ((image, picture(image)) for image in self.shown.images)
        return next(((image, seen) for image, seen in found if seen is not None), None)

    @property
    def looked_at(self) -> bool:
        """Whether `seen` was asked for before: it stays what it was."""
        return "seen" in vars(self)

    def _said(self) -> Normalised:
        """The texts of all turns; of one with sounds its own and what is said in them are a text each."""
        if self._turns is None:
            parts = self.shown.turns if self._heard is None else self._heard.segments
            self._turns = Normalised.of([part.text for part in parts])
        return self._turns

    @cached_property
    def _lines(self) -> tuple[list[Segment], list[float], Normalised]:
        """The OCR lines of all pages, where each lies (see `middle`), and their texts."""
        lines = [(page, index, line) for page in self.pages for index, line in enumerate(page.lines)]
        segments = [Segment(line.text, None, page.image, index, line.box) for page, index, line in lines]
        middles = [middle(line.box, page.size[1]) for page, _, line in lines]
        return segments, middles, Normalised.of([segment.text for segment in segments])

    @cached_property
    def _line_heights(self) -> list[float]:
        """The height of every OCR line of all pages, as a share of its page's."""
        return [height_share(line.box, page.size[1]) for page in self.pages for line in page.lines]

    def _make(self, field: str) -> FieldText:
        if field in self.sidecars.left_out:
            return FieldText(Normalised.of([]), ())
        if field in _OCR_ZONES:
            segments, middles, lines = self._lines
            begin, end = ZONES[_OCR_ZONES[field]]
            # The page itself has all lines, those too that OCR put beyond its edges.
            inside = [field == "ocr" or begin <= share < end or share >= end == 1.0 for share in middles]
            chosen = list(compress(range(len(segments)), inside))
            return FieldText(lines, chosen, segments)
        if field == "caption":
            captions = self.sidecars.captions
            segments = [Segment(captions[image], image=image) for image in self.shown.images if image in captions]
            texts = Normalised.of([segment.text for segment in segments])
            return FieldText(texts, range(len(segments)), segments)
        if field == "voice":
            if self._heard is None:
                return FieldText(Normalised.of([]), ())
            aloud = [index for index, segment in enumerate(self._heard.segments) if segment.audio is not None]
            return FieldText(self._said(), aloud, self._heard.segments)
        turns = self.heard.turns
        if field in ("text", "dialogue"):
            chosen = [index for index, turn in enumerate(turns) if turn.text]
        elif field in ("user", "agent"):
            chosen = [index for index, turn in enumerate(turns) if turn.role == field and turn.text]
        elif field in ("last_user", "last_agent"):
            last = last_user_turn(self.heard) if field == "last_user" else last_agent_turn(self.heard)
            chosen = [] if last is None else [last]
        else:
            raise ValueError(f"{field} is not a text field; text fields are {', '.join(TEXT_FIELDS)}")
        if self._heard is None:
            same = self._of_turns.get(key := tuple(chosen))
            if same is None:
                same = self._of_turns[key] = FieldText(self._said(), chosen)
            return same
        said = [index for index, turn in enumerate(self._heard.turns) if turn in chosen]
        return FieldText(self._said(), said, self._heard.segments)


class FieldTable:
    """The fields of many samples, row i for `samples[i]`."""

    def __init__(self, samples: Sequence[Sample], sidecars: Sidecars) -> None:
        self.rows = [SampleFields(sample, sidecars) for sample in samples]

    def __len__(self) -> int:
        return len(self.rows)

    def texts(self, field: str) -> list[str]:
        """The normalised text of one field, one string a sample."""
        return [row.text(field).text for row in self.rows]

    def distinct_texts(self, fields: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
        """Of `fields` those that say something, each with its texts, and none that says what one before it says.

        On bare texts `last_user`, `user` and `dialogue` are one and the same: it counts once, as the first of them.
        """
        seen: list[list[str]] = []
        for field in fields:
            texts = self.texts(field)
            if any(texts) and texts not in seen:
                seen.append(texts)
                yield field, texts

    def vectors(self, field: str) -> Vectors32:
        """The sentence vectors of one text field, zeros where it is empty: [n_samples, size]. Needs an encoder."""
        if not self.rows:
            return np.zeros((0, 0), dtype=np.float32)
        vectors = self.sentence_vectors
        if vectors is None:
            raise ValueError("the samples have no encoder")
        return vectors.of(self.texts(field))

    @property
    def sentence_vectors(self) -> SentenceVectors | None:
        """The vectors of any texts, by the encoder that all rows share; None without one, or without a row."""
        return self.rows[0].sidecars.vectors if self.rows else None

    def pictures(self, view: str) -> Vectors32:
        """One of `kdsl.fields.visual.VIEWS`, flat, or `network`, what `kdsl.fields.page_network` computes: [n_samples,
        size].

        The row of a sample without a picture, or without a network, is NaN throughout.
        """
        if view == "network":
            known, size = self._activations(), NETWORK_SIZE
        else:
            self.look()
            seen = enumerate(row.picture for row in self.rows)
            known = {index: picture.views[view].ravel() for index, picture in seen if picture is not None}
            size = math.prod(VIEWS[view])
        found = np.full((len(self), size), np.nan, dtype=np.float32)
        for index, vector in known.items():
            found[index] = vector
        return found

    def _activations(self) -> dict[int, Vectors32]:
        """row → what the network computes of its picture, of the rows that have one."""
        self.look()
        asked: dict[Pictures, list[tuple[int, str]]] = {}
        for index, row in enumerate(self.rows):
            if row.seen is not None and row.sidecars.pictures is not None:
                asked.setdefault(row.sidecars.pictures, []).append((index, row.seen[0]))
        known = {}
        for pictures, places in asked.items():
            vectors = pictures.activations([image for _, image in places])
            for (index, _), vector in zip(places, vectors, strict=True):
                if vector is not None:
                    known[index] = vector.astype(np.float32)
        return known

    def look(self) -> None:
        """Look at the images of all samples that were not looked at, many at once; `tell_unseen` counts those that
        cannot be read."""
        unseen: dict[Pictures, list[SampleFields]] = {}
        for row in self.rows:
            if row.sidecars.pictures is not None and not row.looked_at:
                unseen.setdefault(row.sidecars.pictures, []).append(row)
        for pictures, rows in unseen.items():
            found = pictures.read(image for row in rows for image in row.shown.images)
            for row in rows:
                row.seen = row.first_seen(found.get)

    def tell_unseen(self) -> None:
        """Log one warning that counts the images that could not be looked at, for whoever learns from the samples."""
        for pictures in dict.fromkeys(row.sidecars.pictures for row in self.rows):
            if pictures is not None:
                pictures.tell()

    def numbers(self, field: str) -> list[float | None]:
        return [row.number(field) for row in self.rows]

    @property
    def sidecars(self) -> Sidecars:
        """What is known beside the samples, for all rows alike but for what copies know of their own images."""
        return self.rows[0].sidecars if self.rows else Sidecars()

    def select(self, indices: Iterable[int]) -> "FieldTable":
        """A table of some of the rows; rows are shared, not copied."""
        return FieldTable.of_rows([self.rows[index] for index in indices])

    def cleaned(self) -> "FieldTable":
        """The same samples as they read on cleaned OCR pages."""
        return FieldTable.of_rows(row.cleaned for row in self.rows)

    @classmethod
    def of_rows(cls, rows: Iterable[SampleFields]) -> "FieldTable":
        """A table of rows that are there already, shared and not copied."""
        table = cls((), Sidecars())
        table.rows = list(rows)
        return table

    def joined(self, other: "FieldTable") -> "FieldTable":
        """The rows of both, this table's first; rows are shared, not copied."""
        return FieldTable.of_rows([*self.rows, *other.rows])


PIECE = 8192
"""Samples whose fields are in memory at the same time, where all are looked at one after the other."""


def tables(samples: Sequence[Sample], sidecars: Sidecars) -> Iterator[FieldTable]:
    """The fields of many samples in pieces of `PIECE`, for who counts something and forgets them."""
    for first in range(0, len(samples), PIECE):
        yield FieldTable(samples[first : first + PIECE], sidecars)


def last_user_turn(sample: Sample) -> int | None:
    """Index of the last user turn with words in it (placeholders such as <image> are none); None without one."""
    for index in range(len(sample.turns) - 1, -1, -1):
        turn = sample.turns[index]
        if turn.role == "user" and _has_words(turn.text):
            return index
    return None


def last_agent_turn(sample: Sample) -> int | None:
    """Index of the last turn with words in it where the agent has it: what the agent answered; None otherwise."""
    for index in range(len(sample.turns) - 1, -1, -1):
        turn = sample.turns[index]
        if _has_words(turn.text):
            return index if turn.role == "agent" else None
    return None


def _has_words(text: str) -> bool:
    """Whether it says anything beside placeholders."""
    return _WORD.search(_PLACEHOLDERS.sub("", text) if "<" in text else text) is not None


def middle(box: Box, height: float) -> float:
    """Where the middle of a line lies on a page of that height: from 0, the upper edge, to 1."""
    return (box[1] + box[3]) / 2 / height


def height_share(box: Box, height: float) -> float:
    """The height of a line on a page of that height, as a share of it."""
    return (box[3] - box[1]) / height


def text_area(page: OcrPage) -> float:
    """The share of a page that its lines cover, 0 to 1; lines that overlap count twice, up to the whole page."""
    width, height = page.size
    covered = sum(
        max(0.0, min(x1, width) - max(x0, 0.0)) * max(0.0, min(y1, height) - max(y0, 0.0))
        for x0, y0, x1, y1 in (line.box for line in page.lines)
    )
    return min(covered / (width * height), 1.0)
