"""What a model is shown when it is asked why a sample has its label: as much of its images and sounds as it takes."""

from pathlib import Path

import pytest

from kdsl.audio.transcript import Transcript
from kdsl.fields.sidecar import Sidecars
from kdsl.fields.table import SampleFields
from kdsl.models.large.prompts import Prompts
from kdsl.reasons.wording import ask_why
from kdsl.sample import Label, Sample, Task, Turn
from kdsl.vlm.conversation import Audio, Picture

TASK = Task("t", (Label("refund", "asks for money back"), Label("exchange")))
SAMPLE = Sample(
    "1",
    "t",
    (Turn("user", "look", ("a.png",), ("a.amr",)), Turn("agent", "sure")),
    ("a.png",),
    "refund",
    audio=("a.amr",),
)
HEARD = Sidecars(transcripts={"a.amr": Transcript("a.amr", 2.0, "i want my money")})
PLACES = {"images": Path("images"), "audio": Path("audio")}
PICTURE, SOUND = Picture(Path("images/a.png")), Audio(Path("audio/a.amr"))


@pytest.mark.parametrize("sees", [True, False])
@pytest.mark.parametrize("hears", [True, False])
def test_pictures_and_sounds_are_shown_to_whom_takes_them(sees: bool, hears: bool) -> None:
    prompts = Prompts(**PLACES, sees=lambda: sees, hears=lambda: hears)
    [message] = ask_why(TASK, SampleFields(SAMPLE, HEARD), [], prompts)
    files = [piece for piece in message.pieces if not isinstance(piece, str)]
    assert files == [PICTURE] * sees + [SOUND] * hears
    said = [piece for piece in message.pieces if isinstance(piece, str)]
    assert said[:3] == ["User: look\n", "i want my money\n", "Agent: sure\n"]
    assert "refund" in said[-1]


def test_without_folders_words_alone_are_shown() -> None:
    [message] = ask_why(TASK, SampleFields(SAMPLE, HEARD), [], Prompts(None, hears=lambda: True))
    assert all(isinstance(piece, str) for piece in message.pieces)
