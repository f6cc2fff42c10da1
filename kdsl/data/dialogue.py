"""Dialogues as text: `用户: …` and `客服: …` at line starts, `User: …` and `Agent: …` in English tasks, images as
`<image>` and sounds as `<audio>`; and the prompts they stand in."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kdsl.language import in_chinese
from kdsl.sample import AUDIO_PLACEHOLDER, IMAGE_PLACEHOLDER, Role, Sample, Task, Turn

START_MARKER = "<用户与客服的对话 START>"
END_MARKER = "<用户与客服的对话 END>"
_PLACEHOLDER = re.compile(f"{IMAGE_PLACEHOLDER}|{AUDIO_PLACEHOLDER}")


@dataclass(frozen=True, slots=True)
class Speakers:
    """What the roles are called in one language."""

    user: str
    agent: str

    @property
    def starts(self) -> re.Pattern[str]:
        """Finds where a turn starts; the group `user` is None for the agent's turns."""
        return re.compile(rf"^(?:(?P<user>{self.user})|{self.agent})[:：][ \t]*", re.MULTILINE)


CHINESE, ENGLISH = Speakers("用户", "客服"), Speakers("User", "Agent")


def speakers_of(task: Task) -> Speakers:
    """Those that the task's prompts are written with."""
    return CHINESE if in_chinese(task) else ENGLISH


class Waiting:
    """The images and sounds of a record that its placeholders have not taken yet; None names no file."""

    def __init__(self, images: Iterable[str | None] = (), audio: Iterable[str | None] = ()) -> None:
        self._files = {IMAGE_PLACEHOLDER: iter(images), AUDIO_PLACEHOLDER: iter(audio)}

    def take(self, placeholder: str) -> str | None:
        """The next one, `LEFT_OUT` for one that cannot be had, and None where none is left."""
        return next(self._files[placeholder], None)

    def pass_over(self, text: str) -> None:
        """Without those whose placeholders stand in `text`."""
        for placeholder in _PLACEHOLDER.findall(text):
            self.take(placeholder)


def parse_dialogue(text: str, waiting: Waiting, speakers: Speakers = CHINESE) -> tuple[Turn, ...]:
    """The turns of `text`; every placeholder takes the next of the files that are `waiting` into its turn.

    A turn lasts until the next line that starts with a role, so its text may hold line breaks. A placeholder for which
    none is left, or None, stays in the text. Raises ValueError when the text does not begin with a role.
    """
    starts = list(speakers.starts.finditer(text))
    before = text[: starts[0].start()] if starts else text
    if before.strip():
        raise ValueError(f"{before.strip()[:40]!r} does not begin with {speakers.user}: or {speakers.agent}:")
    ends = [*(match.start() for match in starts[1:]), len(text)][: len(starts)]
    return tuple(
        turn_of_text("user" if match["user"] else "agent", text[match.end() : end], waiting)
        for match, end in zip(starts, ends, strict=True)
    )  # fmt: skip


def turn_of_text(role: Role, text: str, waiting: Waiting) -> Turn:
    """A turn whose placeholders became its images and sounds, as far as there are any; one of `LEFT_OUT` goes."""
    taken: dict[str, list[str]] = {IMAGE_PLACEHOLDER: [], AUDIO_PLACEHOLDER: []}

    def stays(match: re.Match[str]) -> str:
        file = waiting.take(match[0])
        if file:
            taken[match[0]].append(file)
        return match[0] if file is None else ""

    kept = _PLACEHOLDER.sub(stays, text).strip()
    return Turn(role, kept, tuple(taken[IMAGE_PLACEHOLDER]), tuple(taken[AUDIO_PLACEHOLDER]))


def without_placeholders(text: str) -> str:
    """What a text says, without what stands for images and sounds."""
    return _PLACEHOLDER.sub("", text)


def speakers_in(text: str, task: Task) -> Speakers | None:
    """Those whose mark the text begins with; None where it begins with none.

    English marks count in English tasks only, Chinese ones in all.
    """
    known = (CHINESE,) if in_chinese(task) else (ENGLISH, CHINESE)
    return next((speakers for speakers in known if speakers.starts.match(text.lstrip())), None)


def dialogue_text(turns: Sequence[Turn], speakers: Speakers = CHINESE, audio: bool = False) -> str:
    """The turns as `用户: …` and `客服: …` lines, an `<image>` for each image after the text of its turn.

    With `audio` an `<audio>` for each sound stands behind them.
    """
    names = {"user": speakers.user, "agent": speakers.agent}
    return "\n".join(f"{names[turn.role]}: {_marked(turn, audio)}" for turn in turns)


def fill_prompt(task: Task, sample: Sample, audio: bool = False) -> str:
    """The task's prompt for one sample, with exactly one `<image>` for each of the sample's images.

    With `audio` there is exactly one `<audio>` for each of its sounds too; without it none is added, and those of the
    prompt go. Without a prompt in the task it is the dialogue, or the bare text of a sample with one user turn.
    """
    if task.prompt:
        names = json.dumps(task.label_names, ensure_ascii=False, separators=(",", ":"))
        dialogue = dialogue_text(sample.turns, speakers_of(task), audio)
        # In one pass: a label or a dialogue may hold the words that stand for the other.
        filled = {"{labels}": names, "{dialogue}": dialogue}
        prompt = task.prompt if audio else task.prompt.replace(AUDIO_PLACEHOLDER, "")
        text = re.sub("|".join(map(re.escape, filled)), lambda match: filled[match[0]], prompt)
    elif len(sample.turns) == 1 and sample.turns[0].role == "user":
        text = _marked(sample.turns[0], audio)
    else:
        text = dialogue_text(sample.turns, speakers_of(task), audio)
    text = _with_exactly(len(sample.audio), AUDIO_PLACEHOLDER, text) if audio else text
    return _with_exactly(len(sample.images), IMAGE_PLACEHOLDER, text)


def _marked(turn: Turn, audio: bool) -> str:
    """The text of a turn with a placeholder for each of its files."""
    return turn.text + IMAGE_PLACEHOLDER * len(turn.images) + AUDIO_PLACEHOLDER * (len(turn.audio) if audio else 0)


def _with_exactly(count: int, placeholder: str, text: str) -> str:
    """The text with so many placeholders: those that are too many are the first, those that are missing come first."""
    missing = count - text.count(placeholder)
    return text.replace(placeholder, "", -missing) if missing < 0 else placeholder * missing + text


def dialogue_in_prompt(task: Task, text: str) -> str | None:
    """What stands at `{dialogue}` where `text` is the filled prompt of `task`; None when it is not.

    Empty for a prompt without a dialogue.
    """
    if not task.prompt:
        return None
    pattern = re.escape(task.prompt).replace(r"\{dialogue\}", "(?P<dialogue>.*)", 1).replace(r"\{labels\}", ".*")
    for placeholder in (IMAGE_PLACEHOLDER, AUDIO_PLACEHOLDER):
        pattern = pattern.replace(re.escape(placeholder), f"(?:{placeholder})?")
    match = re.fullmatch(f"(?:{_PLACEHOLDER.pattern})*{pattern}", text, re.DOTALL)
    return None if match is None else match.groupdict().get("dialogue", "")
