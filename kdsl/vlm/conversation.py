"""What a vision-language model is asked: messages of text, pictures and sounds."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

ChatRole = Literal["system", "user", "assistant"]


class Instruction(str):
    """Text that is never dropped to make a long prompt fit, such as the question itself or the list of labels."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Picture:
    """An image file, opened only when a model looks at it."""

    path: Path


@dataclass(frozen=True, slots=True)
class Audio:
    """A sound file, opened only when a model listens to it."""

    path: Path


Piece = str | Picture | Audio
"""Of a prompt that is too long, whole pieces are dropped, earliest first: pass a dialogue turn by turn."""


@dataclass(frozen=True, slots=True)
class Message:
    role: ChatRole
    pieces: tuple[Piece, ...]
    whole: bool = False
    """Whether it is dropped as a whole where a prompt is too long, as a turn of a chat is, and not piece by piece."""


Conversation = tuple[Message, ...]
"""A conversation that the model continues; the last message is the user's, or the beginning of the answer."""


def in_words(conversation: Conversation) -> str:
    """For people: the texts as they are, pictures as [picture: path] and sounds as [audio: path]."""
    return "".join(
        piece if isinstance(piece, str) else f"[{'picture' if isinstance(piece, Picture) else 'audio'}: {piece.path}]"
        for message in conversation
        for piece in message.pieces
    )


def ask(*pieces: Piece) -> Conversation:
    """A conversation of one user message."""
    return (Message("user", pieces),)


def begun(conversation: Conversation, *pieces: str) -> Conversation:
    """The conversation with the beginning of the answer, which the model goes on with; tokens do not cross pieces."""
    return (*conversation, Message("assistant", tuple(map(Instruction, pieces))))


def split_begun(conversation: Conversation) -> tuple[Conversation, tuple[str, ...]]:
    """The conversation up to the answer, and the pieces of the answer's beginning, if it has any."""
    if conversation and conversation[-1].role == "assistant":
        return conversation[:-1], tuple(map(str, conversation[-1].pieces))
    return conversation, ()


def pictures(conversation: Conversation) -> list[Picture]:
    """All pictures in order of appearance."""
    return [piece for message in conversation for piece in message.pieces if isinstance(piece, Picture)]


def sounds(conversation: Conversation) -> list[Audio]:
    """All sounds in order of appearance."""
    return [piece for message in conversation for piece in message.pieces if isinstance(piece, Audio)]


def drop_earliest(conversation: Conversation, n: int) -> tuple[Conversation, int]:
    """The conversation without its `n` earliest pieces that may go (or all of them, if fewer), and how many went.

    System messages, instructions and the very last piece stay; a message that lost all its pieces goes as a whole. One
    that is `whole` stays or goes with all its pieces, so that more than `n` may go; the last message stays.
    """
    kept: list[Message] = []
    dropped = 0
    for i, message in enumerate(conversation):
        if message.whole:
            goes = dropped < n and i < len(conversation) - 1 and message.role != "system"
            dropped += len(message.pieces) * goes
            kept += [] if goes else [message]
            continue
        pieces = []
        for j, piece in enumerate(message.pieces):
            last = i == len(conversation) - 1 and j == len(message.pieces) - 1
            if dropped < n and not last and message.role != "system" and not isinstance(piece, Instruction):
                dropped += 1
            else:
                pieces.append(piece)
        if pieces or not message.pieces:
            kept.append(Message(message.role, tuple(pieces)))
    return tuple(kept), dropped
