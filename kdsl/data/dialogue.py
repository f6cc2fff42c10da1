"""Dialogues as text: `用户: …` and `客服: …` at line starts, `User: …` and `Agent: …` in English tasks, images as
`<image>`; and the prompts they stand in."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kdsl.data.image_names import LEFT_OUT
from kdsl.language import in_chinese
from kdsl.sample import AUDIO_PLACEHOLDER, IMAGE_PLACEHOLDER, Role, Sample, Task, Turn

START_MARKER = "<用户与客服的对话 START>"
END_MARKER = "<用户与客服的对话 END>"


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


def parse_dialogue(text: str, images: Iterator[str | None], speakers: Speakers = CHINESE) -> tuple[Turn, ...]:
    """The turns of `text`; every `<image>` takes the next of `images` out of the text and into its turn.

    A turn lasts until the next line that starts with a role, so its text may hold line breaks. A placeholder for which
    no image is left, or None, stays in the text. Raises ValueError when the text does not begin with a role.
    """
    starts = list(speakers.starts.finditer(text))
    before = text[: starts[0].start()] if starts else text
    if before.strip():
        raise ValueError(f"{before.strip()[:40]!r} does not begin with {speakers.user}: or {speakers.agent}:")
    ends = [*(match.start() for match in starts[1:]), len(text)][: len(starts)]
    return tuple(
        take_images("user" if match["user"] else "agent", text[match.end() : end], images)
        for match, end in zip(starts, ends, strict=True)
    )  # fmt: skip


def take_images(role: Role, text: str, images: Iterator[str | None]) -> Turn:
    """A turn whose `<image>` placeholders became its images, as far as there are images; one of `LEFT_OUT` goes."""
    pieces = text.split(IMAGE_PLACEHOLDER)
    kept, taken = pieces[0], []
    for piece in pieces[1:]:
        image = next(images, None)
        if image is None:
            kept += IMAGE_PLACEHOLDER
        elif image != LEFT_OUT:
            taken.append(image)
        kept += piece
    return Turn(role, kept.strip(), tuple(taken))


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
    pattern = pattern.replace(re.escape(IMAGE_PLACEHOLDER), f"(?:{IMAGE_PLACEHOLDER})?")
    match = re.fullmatch(f"(?:{IMAGE_PLACEHOLDER})*{pattern}", text, re.DOTALL)
    return None if match is None else match.groupdict().get("dialogue", "")
