"""Lets two customers speak instead of type: English voice messages by espeak-ng, as the embedded recogniser knows."""

import io
import subprocess
from dataclasses import replace
from pathlib import Path

from .samples import DemoSample

SPOKEN = {"物流进度": "where is my package", "退款进度": "where is my refund"}
"""What is said instead of the last question, in the first test dialogue of each label that shows no image."""
VOICE = ("espeak-ng", "-v", "en-us+f3", "-s", "130", "--stdout")
RATE = 24_000
AROUND = 0.3  # seconds of silence before and after


def with_voices(test: list[DemoSample]) -> list[DemoSample]:
    """The samples, in two of which the customer's last turn is a voice message."""
    waiting, changed = dict(SPOKEN), []
    for sample in test:
        if sample.task == "demo_intent" and not sample.images and sample.label in waiting:
            sample = replace(
                sample, instruction=last_turn_spoken(sample.instruction), spoken=waiting.pop(sample.label)
            )
        changed.append(sample)
    return changed


def last_turn_spoken(instruction: str) -> str:
    """The prompt with `<audio>` in the place of what the customer says last."""
    before, mark, after = instruction.rpartition("\n用户: ")
    _, line_feed, rest = after.partition("\n")
    return f"{before}{mark}<audio>{line_feed}{rest}"


def speak(text: str, path: Path) -> None:
    """Writes the sentence as Opus in an Ogg file."""
    import numpy as np
    import soundfile
    from scipy.signal import resample_poly

    said = subprocess.run([*VOICE, text], capture_output=True, check=True).stdout
    sound, rate = soundfile.read(io.BytesIO(said), dtype="float32")
    silence = np.zeros(int(AROUND * RATE), dtype=np.float32)
    sound = np.concatenate([silence, resample_poly(sound, RATE, rate).astype(np.float32), silence])
    soundfile.write(path, sound, RATE, format="OGG", subtype="OPUS")
