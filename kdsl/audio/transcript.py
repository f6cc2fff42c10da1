"""The sidecar of transcripts: what is said in each sound and when, one JSON line a sound."""

from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from kdsl.errors import KdslError
from kdsl.files import parsing
from kdsl.result_shards import records_at
from kdsl.text import writable

_EXPECTED = (
    'expected {"file": "a.wav", "seconds": 3.2, "transcript": "…", "words": [{"word": "…", "start": 0.5, "end": 0.8}]}'
)


@dataclass(frozen=True, slots=True)
class Word:
    """A word as it stands in the transcript, with the seconds from the sound's beginning at which it begins and
    ends; a whole phrase where its words' times are not known."""

    word: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Transcript:
    """What is said in one sound."""

    file: str
    seconds: float
    """How long the sound is."""
    text: str
    """Empty where nothing is said."""
    words: tuple[Word, ...] = ()
    """In their order; empty where nobody knows when they are said."""
    language: str = ""
    model: str = ""
    """What wrote it down."""
    caption: str = ""
    """What else is heard, in words, where somebody says so."""

    def times(self, start: int, end: int) -> tuple[float, float] | None:
        """When the characters [start, end) of `text` are said, in seconds; None where nobody knows.

        >>> heard = Transcript("a.wav", 2.0, "my order", (Word("my", 0.1, 0.3), Word("order", 0.4, 0.9)))
        >>> heard.times(3, 8)
        (0.4, 0.9)
        """
        place, found = 0, []
        for word in self.words:
            begins = self.text.find(word.word, place)
            if begins < 0:
                continue
            place = begins + len(word.word)
            if begins < end and place > start:
                found.append(word)
        return (found[0].start, found[-1].end) if found else None


def clock(seconds: float) -> str:
    """A time in a sound as players show it.

    >>> clock(3.9), clock(75.0), clock(3600.0)
    ('0:03', '1:15', '1:00:00')
    """
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def read_transcripts(path: Path) -> dict[str, Transcript]:
    """Read a sidecar of transcripts, or a folder of results.

    KdslError names the place of the first record of another shape. The last of several records about one sound counts.
    """
    transcripts = {}
    for place, record in records_at(path):
        with parsing(place, "not a transcript", _EXPECTED):
            transcript = transcript_of(record)
        transcripts[transcript.file] = transcript
    return transcripts


def transcript_record(transcript: Transcript) -> dict[str, Any]:
    """The JSON object that stands in the sidecar; times in hundredths of a second."""
    words = [{"word": w.word, "start": round(w.start, 2), "end": round(w.end, 2)} for w in transcript.words]
    return {
        "file": transcript.file,
        "seconds": round(transcript.seconds, 2),
        "language": transcript.language,
        "transcript": transcript.text,
        "words": words,
        "model": transcript.model,
        "caption": transcript.caption,
    }


def transcript_of(record: dict[str, Any]) -> Transcript:
    """The transcript that a JSON object stands for; raises whatever one of another shape leads to."""
    if not isinstance(record["file"], str) or not isinstance(record["transcript"], str):
        raise TypeError("file and transcript must be texts")
    seconds = float(record.get("seconds") or 0.0)
    if not isfinite(seconds) or seconds < 0:
        raise KdslError(f"seconds must be a number from 0, not {seconds}")
    told = {key: record.get(key) or "" for key in ("language", "model", "caption")}
    if not all(isinstance(value, str) for value in told.values()):
        raise TypeError("language, model and caption must be texts")
    words = tuple(_word(word) for word in record.get("words") or ())
    texts = {key: writable(value) for key, value in told.items()}
    return Transcript(record["file"], seconds, writable(record["transcript"]).strip(), words, **texts)


def _word(word: dict[str, Any]) -> Word:
    if not isinstance(word["word"], str):
        raise TypeError("a word must be a text")
    start, end = float(word["start"]), float(word["end"])
    if not (isfinite(start) and isfinite(end) and 0 <= start <= end):
        raise ValueError("a word must begin before it ends")
    return Word(writable(word["word"]), start, end)
