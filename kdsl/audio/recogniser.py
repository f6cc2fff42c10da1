"""What speech recognition is asked for and gives: the words of pieces of sound."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from kdsl.audio.pieces import Piece
from kdsl.audio.transcript import Word


@dataclass(frozen=True, slots=True)
class Heard:
    """What is said in one piece."""

    text: str
    """Empty where nothing is said."""
    words: tuple[Word, ...] = ()
    """With seconds from the beginning of the piece; empty where nobody knows when they are said."""
    language: str = ""
    """Such as "en"; empty where nobody knows."""


class Recogniser(Protocol):
    """Writes down what is said."""

    @property
    def name(self) -> str:
        """What stands as `model` in the sidecar."""

    @property
    def at_once(self) -> int:
        """How many pieces are best given at once."""

    @property
    def longest(self) -> float:
        """Seconds of a piece, at most."""

    def recognise(self, pieces: Sequence[Piece]) -> list[Heard | str]:
        """What is said in each piece, or why that cannot be known of this one.

        Raises KdslError where it cannot be known of any.
        """
