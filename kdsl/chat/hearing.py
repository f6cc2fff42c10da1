"""What a model that does not hear is told of sounds: what is said in them, as far as somebody wrote it down."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from kdsl.audio.transcript import Transcript
from kdsl.chat.dialogue import ChatTurn, Part
from kdsl.language import holds_chinese


@dataclass(frozen=True, slots=True)
class _Wording:
    said: str
    said_in: str
    described: str
    nothing: str
    unheard: str


_ENGLISH = _Wording(
    said="[sound: “{}”]",
    said_in="[sound of {}: “{}”]",
    described="[sound of {}]",
    nothing="[a sound without words]",
    unheard="[a sound that cannot be heard]",
)
_CHINESE = _Wording(
    said="【声音：“{}”】",
    said_in="【声音（{}）：“{}”】",
    described="【声音：{}】",
    nothing="【没有话语的声音】",
    unheard="【听不到的声音】",
)


def in_text(turns: Sequence[ChatTurn], transcripts: Mapping[str, Transcript]) -> tuple[ChatTurn, ...]:
    """The turns with words in place of sounds, Chinese ones where the turns are: what is said, and what else is heard.

    >>> heard = {"a.wav": Transcript("a.wav", 2.0, "where is my order")}
    >>> in_text([ChatTurn("user", (Part("audio", "a.wav"),))], heard)[0].text
    '[sound: “where is my order”]'
    """
    chinese = any(holds_chinese(turn.text) for turn in turns)
    wording = _CHINESE if chinese else _ENGLISH
    return tuple(
        ChatTurn(turn.role, tuple(_told(part, transcripts, wording) for part in turn.parts)) for turn in turns
    )


def unheard(turns: Iterable[ChatTurn], transcripts: Mapping[str, Transcript]) -> list[str]:
    """The sounds in the turns that have no transcript, each once."""
    return [*dict.fromkeys(name for turn in turns for name in turn.names("audio") if name not in transcripts)]


def _told(part: Part, transcripts: Mapping[str, Transcript], wording: _Wording) -> Part:
    if part.kind != "audio":
        return part
    return Part("text", _words(transcripts.get(part.content), wording))


def _words(heard: Transcript | None, wording: _Wording) -> str:
    if heard is None:
        return wording.unheard
    if not heard.caption:
        return wording.said.format(heard.text) if heard.text else wording.nothing
    if not heard.text:
        return wording.described.format(heard.caption)
    return wording.said_in.format(heard.caption, heard.text)
