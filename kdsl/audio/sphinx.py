"""Speech recognition on embedded parts: PocketSphinx, whose package holds its acoustic and language model.

English only, and much worse than Whisper. Source: Huggins-Daines et al. 2006, "PocketSphinx: a free, real-time
continuous speech recognition system for hand-held devices".
"""

import re
from collections.abc import Sequence
from importlib.util import find_spec

from kdsl.audio.decoding import RATE, Samples
from kdsl.audio.pieces import LONGEST_PIECE, Piece
from kdsl.audio.recogniser import Heard
from kdsl.audio.transcript import Word
from kdsl.config import EMBEDDED_SPEECH
from kdsl.distribution import install_command
from kdsl.errors import KdslError

_VARIANT = re.compile(r"\(\d+\)$")
"""Of a word's pronunciation, as in `refund(2)`."""
_NO_WORD = re.compile(r"<.*>|\[.*\]|\+\+.*\+\+")
"""Silence, noise, and the ends of what is said: `<sil>`, `[NOISE]`, `</s>`."""


def sphinx_installed() -> bool:
    """Whether PocketSphinx is there."""
    return find_spec("pocketsphinx") is not None


def require_sphinx() -> None:
    """Raise KdslError when PocketSphinx is not installed."""
    if not sphinx_installed():
        raise KdslError(f"recognising speech needs PocketSphinx; install it with: {install_command('voice')}")


class SphinxRecogniser:
    """Implements `Recogniser`. Loading takes a third of a second; one object is for one thread."""

    name = EMBEDDED_SPEECH
    at_once = 1
    longest = LONGEST_PIECE

    def __init__(self) -> None:
        """Raises KdslError when PocketSphinx is not installed."""
        require_sphinx()
        from pocketsphinx import Decoder

        self._decoder = Decoder(samprate=RATE, loglevel="FATAL")
        self._frames_a_second = float(self._decoder.config["frate"])

    def recognise(self, pieces: Sequence[Piece]) -> list[Heard | str]:
        """See `Recogniser.recognise`."""
        return [self._heard(piece.samples) for piece in pieces]

    def _heard(self, samples: Samples) -> Heard:
        self._decoder.start_utt()
        # As a whole, so that what was heard before makes no difference.
        self._decoder.process_raw((samples * 32767).astype("<i2").tobytes(), full_utt=True)
        self._decoder.end_utt()
        words = []
        for segment in self._decoder.seg() or ():
            if not _NO_WORD.fullmatch(segment.word):
                # `end_frame` is the last one of the word.
                start, end = segment.start_frame, segment.end_frame + 1
                word = _VARIANT.sub("", segment.word)
                words.append(Word(word, start / self._frames_a_second, end / self._frames_a_second))
        return Heard(" ".join(word.word for word in words), tuple(words), "en" if words else "")
