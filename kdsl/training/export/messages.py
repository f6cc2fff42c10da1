"""Conversations as messages of plain text with placeholders, as LLaMA-Factory and ms-swift read them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from kdsl.sample import AUDIO_PLACEHOLDER, IMAGE_PLACEHOLDER
from kdsl.vlm.conversation import Audio, Conversation, Picture, pictures, sounds

_THEIR_OWN = (
    IMAGE_PLACEHOLDER, AUDIO_PLACEHOLDER, "<video>", "<img>", "<bbox>", "<ref-object>", "<cot-process>",
    "<start-image>",
)  # fmt: skip
"""What the trainers put something else in the place of, wherever it stands in a text."""


def media_columns(parts: Mapping[str, Sequence[dict[str, Any]]]) -> list[str]:
    """Those of a record's lists of files that any record fills."""
    records = [each for part in parts.values() for each in part]
    return [column for column in ("images", "audios") if any(each[column] for each in records)]


@dataclass
class MessageWriter:
    """Writes conversations so that each trainer makes the tokens of them that KDSL makes."""

    special: Iterable[str]
    """The special tokens of the tokenizer, which trainers read in texts too."""
    names: Mapping[Picture | Audio, str]
    """The files of pictures and sounds, in the export."""
    sound: str = AUDIO_PLACEHOLDER
    """What stands for a sound, `{}` being its number in the conversation."""
    changed: set[str] = field(default_factory=set)
    """The words in texts that a trainer would have taken for something else, and which got a space inside."""

    def __post_init__(self) -> None:
        words = sorted({*_THEIR_OWN, *(each for each in self.special if len(each) > 1)}, key=len, reverse=True)
        self._words = re.compile("|".join(map(re.escape, words)))

    def record(self, conversation: Conversation, answer: str | None) -> dict[str, Any]:
        """`messages`, `images` and `audios` of one conversation, whose answer is left out where it is None."""
        numbers = count(1)
        messages = []
        for message in conversation:
            parts: list[str] = []
            said = ""
            for piece in message.pieces:
                if isinstance(piece, str):
                    said += piece  # a word may begin in one piece and end in the next
                    continue
                parts.append(self.plain(said))
                said = ""
                parts.append(IMAGE_PLACEHOLDER if isinstance(piece, Picture) else self.sound.format(next(numbers)))
            parts.append(self.plain(said))
            messages.append({"role": message.role, "content": "".join(parts)})
        if answer is not None:
            messages.append({"role": "assistant", "content": self.plain(answer)})
        return {
            "messages": messages,
            "images": [self.names[each] for each in pictures(conversation)],
            "audios": [self.names[each] for each in sounds(conversation)],
        }

    def plain(self, text: str) -> str:
        """The text with a space behind the first letter of what a trainer would take for something else."""
        return self._words.sub(self._spaced, text)

    def _spaced(self, match: re.Match[str]) -> str:
        self.changed.add(match[0])
        return f"{match[0][0]} {match[0][1:]}"
