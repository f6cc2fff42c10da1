"""Dialogues whose turns hold texts, pictures and sounds, and what a model is asked of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, takewhile
from pathlib import Path
from typing import Literal, get_args

from kdsl.files import inside
from kdsl.sample import Role
from kdsl.vlm.conversation import Audio, Conversation, Instruction, Message, Picture, Piece

PartKind = Literal["text", "image", "audio"]
Kind = Literal["text", "image", "audio", "image_audio"]
"""What a dialogue holds: the types of question that FusionBrain Challenge 3.0 weighs apart."""
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class Part:
    """A text, or the name of a picture's or sound's file."""

    kind: PartKind
    content: str


@dataclass(frozen=True, slots=True)
class ChatTurn:
    """What is said at once, in its order."""

    role: Role
    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        """Its texts, a line each; empty where it only shows or plays something."""
        return "\n".join(part.content for part in self.parts if part.kind == "text").strip()

    def names(self, kind: Literal["image", "audio"]) -> list[str]:
        """The files of its pictures, or of its sounds."""
        return [part.content for part in self.parts if part.kind == kind]


@dataclass(frozen=True, slots=True)
class Dialogue:
    id: str
    turns: tuple[ChatTurn, ...]

    def questions(self) -> "Iterator[Question]":
        """The turns of the user that want an answer: the last of the dialogue, and those that the agent answers in
        words, or with an empty turn.

        Of several turns of the user without an answer between them it is the last: a picture may come before the
        question about it. Several turns of the agent in a row are one answer.
        """
        for number, turn in enumerate(self.turns, start=1):
            behind = self.turns[number:]
            if turn.role == "agent" or (behind and behind[0].role == "user"):
                continue
            answers = [*takewhile(lambda next: next.role == "agent", behind)]
            reference = "\n".join(answer.text for answer in answers if answer.text)
            if reference or not any(answer.parts for answer in answers):
                yield Question(number, kind_of(self.turns[:number]), reference)

    def asked(self, question: "Question", answers: Mapping[int, str]) -> tuple[ChatTurn, ...]:
        """The turns up to a question, where the questions before it, by their turn, have these answers."""
        turns: list[ChatTurn] = []
        replaced = False
        for number, turn in enumerate(self.turns[: question.turn], start=1):
            replaced = replaced and turn.role == "agent"
            turns += [] if replaced else [turn]
            if number in answers:
                turns.append(agent_says(answers[number]))
                replaced = True
        return tuple(turns)


@dataclass(frozen=True, slots=True)
class Question:
    """A turn of the user that wants an answer."""

    turn: int
    """Which turn of the dialogue it is, from 1."""
    kind: Kind
    """What the dialogue holds up to there."""
    reference: str
    """The right answer; empty where the dialogue does not have it."""


def kind_of(turns: Sequence[ChatTurn]) -> Kind:
    """What these turns hold.

    >>> kind_of([ChatTurn("user", (Part("audio", "a.wav"), Part("text", "What is it?")))])
    'audio'
    """
    held = {part.kind for turn in turns for part in turn.parts}
    if "audio" in held:
        return "image_audio" if "image" in held else "audio"
    return "image" if "image" in held else "text"


def agent_says(text: str) -> ChatTurn:
    """An answer as a turn."""
    return ChatTurn("agent", (Part("text", text),))


def conversation(
    dialogue: Dialogue | Sequence[ChatTurn], folder: Path, system: str = "", sounds: Path | None = None
) -> Conversation:
    """What a model goes on with: one message for all turns that a role has in a row.

    Pictures lie in `folder`, and so do sounds where `sounds` names no other folder for them. Where the conversation is
    too long, its earliest messages go, each as a whole; of the last one pictures and sounds go, but no text. Raises
    KdslError for a name that leads out of its folder.
    """
    turns = dialogue.turns if isinstance(dialogue, Dialogue) else dialogue
    told = [turn for turn in turns if any(part.content for part in turn.parts)]
    runs = [(role, [*run]) for role, run in groupby(told, key=lambda turn: turn.role)]
    messages = [Message("system", (system,))] if system else []
    for number, (role, run) in enumerate(runs, start=1):
        last = number == len(runs)
        pieces = _pieces(run, folder, folder if sounds is None else sounds, Instruction if last else str)
        messages.append(Message("user" if role == "user" else "assistant", pieces, whole=not last))
    return tuple(messages)


def _pieces(turns: Sequence[ChatTurn], images: Path, sounds: Path, text: type[str]) -> tuple[Piece, ...]:
    pieces: list[Piece] = []
    for part in (part for turn in turns for part in turn.parts if part.content):
        if part.kind == "image":
            pieces.append(Picture(inside(images, part.content)))
        elif part.kind == "audio":
            pieces.append(Audio(inside(sounds, part.content)))
        else:
            # Models put nothing between pieces.
            before = "\n" if pieces and isinstance(pieces[-1], str) else ""
            pieces.append(text(before + part.content))
    return tuple(pieces)
