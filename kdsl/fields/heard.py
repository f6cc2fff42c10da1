"""What is said in the sounds of a sample, such as voice messages, as words of its turns."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain

from kdsl.audio.transcript import Transcript
from kdsl.fields.field_text import Segment
from kdsl.sample import Sample, Turn


@dataclass(frozen=True, slots=True)
class Heard:
    """A sample in which something is said aloud."""

    sample: Sample
    """With the transcripts of each turn's sounds below its text, a line each."""
    segments: tuple[Segment, ...]
    """What the texts of its turns are made of: of each turn its own text, if there is one, and its transcripts."""
    turns: tuple[int, ...]
    """For each of `segments` the turn of `sample` that it is a part of."""


def written_down(samples: Iterable[Sample], transcripts: Mapping[str, Transcript]) -> list[Sample]:
    """The samples as they are compared with each other: what is said in sounds stands in the texts of their turns, and
    of the sounds those are left of which nobody knows what is said in them."""
    return [_written_down(sample, transcripts) if sample.audio else sample for sample in samples]


def _written_down(sample: Sample, transcripts: Mapping[str, Transcript]) -> Sample:
    heard = hear(sample, transcripts)
    turns = sample.turns if heard is None else heard.sample.turns

    def unknown(sounds: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(audio for audio in sounds if audio not in transcripts)

    turns = tuple(replace(turn, audio=unknown(turn.audio)) for turn in turns)
    return replace(sample, turns=turns, audio=unknown(sample.audio))


def hear(sample: Sample, transcripts: Mapping[str, Transcript]) -> Heard | None:
    """The sample with what is said in its sounds; None where nothing is said, as far as is known.

    A sound that belongs to no turn counts as said in the user's first turn. Where the user has none, one is added at
    the end, so that turns keep their indices.
    """
    said = {audio: transcripts[audio].text for audio in sample.audio if audio in transcripts}
    if not any(said.values()):
        return None
    placed = {audio for turn in sample.turns for audio in turn.audio}
    loose = [audio for audio in sample.audio if audio not in placed and said.get(audio)]
    turns = sample.turns
    if loose and not any(turn.role == "user" for turn in turns):
        turns = (*turns, Turn("user", ""))
    first = next((index for index, turn in enumerate(turns) if turn.role == "user"), None)

    def segments(index: int, turn: Turn) -> Iterator[Segment]:
        if turn.text:
            yield Segment(turn.text, index)
        for audio in turn.audio:
            if said.get(audio):
                yield Segment(said[audio], index, audio=audio)
        for audio in loose if index == first else ():
            yield Segment(said[audio], audio=audio)

    pieces = [tuple(segments(index, turn)) for index, turn in enumerate(turns)]
    texts = ["\n".join(segment.text for segment in each) for each in pieces]
    heard = tuple(replace(turn, text=text) for turn, text in zip(turns, texts, strict=True))
    of_turn = tuple(index for index, each in enumerate(pieces) for _ in each)
    return Heard(replace(sample, turns=heard), tuple(chain.from_iterable(pieces)), of_turn)
