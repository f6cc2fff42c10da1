"""A recogniser that hears by the pitch of a tone what is said: sounds that tests make are really transcribed."""

from collections.abc import Mapping, Sequence

import numpy as np

from kdsl.audio.pieces import Piece
from kdsl.audio.recogniser import Heard
from kdsl.audio.transcript import Word

SPEECH = "org/tones"
"""What `speech:` may name where `Tones` stand for what is loaded."""


class Tones:
    """Hears `喂`, and a second after the sound begins the words of the pitch nearest to its own."""

    name, at_once, longest = "tones", 4, 30.0

    def __init__(self, words: Mapping[float, str]) -> None:
        """Hertz → what a tone of that pitch says."""
        self._words = words

    def recognise(self, pieces: Sequence[Piece]) -> list[Heard | str]:
        return [self._heard(piece) for piece in pieces]

    def _heard(self, piece: Piece) -> Heard:
        pitch = np.count_nonzero(np.diff(np.signbit(piece.samples))) / 2 / piece.seconds
        words = self._words[min(self._words, key=lambda known: abs(known - pitch))]
        return Heard(f"喂 {words}", (Word("喂", 0.2, 0.4), Word(words, 1.0, 1.5)))
