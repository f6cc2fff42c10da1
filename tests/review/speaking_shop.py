"""A small project with voice messages, as browsers play them and as they do not, of which some are broken or gone."""

import wave
from pathlib import Path

import numpy as np
from rule_files import TASK, rule

from kdsl.audio.transcript import Transcript, Word
from kdsl.config import ProjectConfig
from kdsl.fields.sidecar import Sidecars
from kdsl.review.dataset import Dataset, Source
from kdsl.review.live import LiveSite
from kdsl.rules.rulebase import RuleBase
from kdsl.sample import Label, Sample, Task, Turn

REFUND, PARCEL = "refund", "parcel"
SAID = "where is my order"
WORDS = tuple(Word(word, 1.5 + i, 2.25 + i) for i, word in enumerate(SAID.split()))
SECONDS = 6.0


def write_tone(path: Path, seconds: float = SECONDS, rate: int = 16_000) -> bytes:
    """A tone of 440 Hz as a WAV file of one channel and 16 bits; its bytes."""
    tone = np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate)) / rate)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((8000 * tone).astype("<i2").tobytes())
    return path.read_bytes()


def write_amr(path: Path, seconds: float = 1.0) -> bytes:
    """A file of AMR, frames of 20 ms at 12.2 kbit/s, as phones send them; its bytes."""
    path.write_bytes(b"#!AMR\n" + round(seconds * 50) * (b"\x3c" + bytes(range(31))))
    return path.read_bytes()


def open_speaking_shop(folder: Path) -> LiveSite:
    """One rule on `order` and `refund`, which is said in a.wav; the samples s0 to s5 hold a sound each, s6 two."""
    sounds = folder / "sounds"
    sounds.mkdir(parents=True)
    write_tone(sounds / "a.wav")
    write_amr(sounds / "phone.amr")
    (sounds / "broken.wav").write_bytes((sounds / "a.wav").read_bytes()[:30])
    (sounds / "empty.wav").write_bytes(b"")
    (folder / "secret.wav").write_bytes((sounds / "a.wav").read_bytes())
    names = ["a.wav", "phone.amr", "broken.wav", "empty.wav", "../secret.wav", "gone.wav"]
    samples = [
        Sample(f"s{i}", TASK, (Turn("user", "", (), (name,)),), (), (PARCEL, REFUND)[i % 2], audio=(name,))
        for i, name in enumerate(names)
    ]
    loose = Sample("s6", TASK, (Turn("user", "order"),), (), PARCEL, audio=("phone.amr", "a.wav"))
    known = {"a.wav": Transcript("a.wav", SECONDS, SAID, WORDS, "en", "pocketsphinx")}
    known |= {name: Transcript(name, 1.0, "my order") for name in names[1:3]}
    known["empty.wav"] = Transcript("empty.wav", 0.0, "")
    base = RuleBase(folder / "rules", TASK)
    (folder / "rules" / TASK).mkdir(parents=True)
    base.save(rule(PARCEL, {"user": ["order", "refund"]}))
    config = ProjectConfig(
        tasks=[TASK], rules=folder / "rules", checkpoint=folder / "checkpoint", data={"audio": sounds}
    )
    dataset = Dataset(
        [Task(TASK, (Label(REFUND), Label(PARCEL)))], {TASK: [*samples, loose]}, Sidecars(transcripts=known)
    )
    return LiveSite(config, Source(lambda: dataset), "Ada")
