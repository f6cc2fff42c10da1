"""Conversations as messages of plain text with placeholders, as LLaMA-Factory and ms-swift read them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from typing import Any

from kdsl.sample import AUDIO_PLACEHOLDER, IMAGE_PLACEHOLDER
from kdsl.vlm.control_tokens import ControlTokens
from kdsl.vlm.conversation import Audio, Conversation, Picture, pictures, sounds

_THEIR_OWN = (
    IMAGE_PLACEHOLDER, AUDIO_PLACEHOLDER, "<video>", "<img>", "<bbox>", "<ref-object>", "<cot-process>",
    "<start-image>",
)  # fmt: skip
"""What the trainers put something else in the place of, wherever it stands in a text."""
_OWN_WORDS = re.compile("|".join(map(re.escape, _THEIR_OWN)))


def media_columns(parts: Mapping[str, Sequence[dict[str, Any]]]) -> list[str]:
    """Those of a record's lists of files that any record fills."""
    records = [each for part in parts.values() for each in part]
    return [column for column in ("images", "audios") if any(each[column] for each in records)]


class MessageWriter:
    """Writes conversations so that a trainer makes the tokens of them that KDSL makes."""

    def __init__(
        self, added: Iterable[str], names: Mapping[Picture | Audio, str], sound: str = AUDIO_PLACEHOLDER
    ) -> None:
        """`added`: the tokenizer's added tokens, which KDSL breaks up too; `names`: the files of pictures and sounds,
        in the export; `sound`: what stands for one, `{}` being its number in the conversation."""
        self._plain = ControlTokens([*added, *_THEIR_OWN])
        self._names = names
        self._sound = sound
        self.changed: set[str] = set()
        """The words in texts that the trainers alone would take for something else."""

    def record(self, conversation: Conversation, answer: str | None) -> dict[str, Any]:
        """`messages`, `images` and `audios` of one conversation, whose answer is left out where it is None."""
        numbers = count(1)
        messages = []
        for message in conversation:
            self._look_at("".join(piece if isinstance(piece, str) else "\0" for piece in message.pieces))
        for message in self._plain.plain_texts(conversation):
            parts = [
                piece
                if isinstance(piece, str)
                else IMAGE_PLACEHOLDER
                if isinstance(piece, Picture)
                else self._sound.format(next(numbers))
                for piece in message.pieces
            ]
            messages.append({"role": message.role, "content": "".join(parts)})
        if answer is not None:
            self._look_at(answer)
            messages.append({"role": "assistant", "content": self.plain(answer)})
        return {
            "messages": messages,
            "images": [self._names[each] for each in pictures(conversation)],
            "audios": [self._names[each] for each in sounds(conversation)],
        }

    def plain(self, text: str) -> str:
        """The text with spaces inside of whatever a trainer would take for something else."""
        return self._plain.plain(text)

    def _look_at(self, text: str) -> None:
        self.changed.update(_OWN_WORDS.findall(text))
