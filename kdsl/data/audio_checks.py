"""Findings that need the sounds: missing, unreadable, silent and long ones, and those that nobody has transcribed."""

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from kdsl.data.finding import Finding, finding
from kdsl.errors import KdslError
from kdsl.files import inside
from kdsl.progress import Progress, track
from kdsl.sample import Sample

LONG_SECONDS = 30 * 60
"""From here on a sound is told: it hardly is a message, and takes minutes to be transcribed."""


class SoundFacts(Protocol):
    """What is known about one sound, as `kdsl.audio.decoding.audio_facts` gives it."""

    @property
    def problem(self) -> str | None: ...

    @property
    def detail(self) -> str: ...

    @property
    def seconds(self) -> float: ...


@dataclass(frozen=True)
class Sounds:
    """Where the sounds of samples lie, and what is known of them."""

    folder: Path | None = None
    listen: Callable[[Path], SoundFacts] | None = None
    """Tells what is in a file; None where nothing is there that decodes sounds."""
    transcribed: Collection[str] | None = None
    """Those with a line in `data.transcripts`; None where that is not set."""


NO_SOUNDS = Sounds()


@dataclass(frozen=True)
class _Missing:
    """Facts of a sound that is not opened."""

    problem: str | None
    detail: str = ""
    seconds: float = 0.0


def check_audio(
    splits: Mapping[str, Sequence[Sample]], sounds: Sounds, progress: Progress | None = None
) -> Iterator[Finding]:
    """The findings about sounds; listens to each of them once."""
    listed = {
        split: list(dict.fromkeys(s for sample in samples for s in sample.audio)) for split, samples in splits.items()
    }
    names = list(dict.fromkeys(name for each in listed.values() for name in each))
    if not names:
        return
    if sounds.folder is None or not sounds.folder.is_dir():
        what = "data.audio is not set" if sounds.folder is None else f"the folder {sounds.folder} does not exist"
        yield Finding("no-audio-folder", "", "", len(names), f"{what}, so that no sound can be found")
        return
    facts = _facts(names, sounds, progress)
    for split, of_split in listed.items():
        yield from _problems(split, of_split, facts, sounds.folder)
    if sounds.listen is None:
        message = "sounds were not listened to, as PyAV is missing; install the extra `voice`"
        yield Finding("unheard-audio", "", "", len(names), message)
    if sounds.transcribed is None:
        message = (
            "sounds count as without words, as data.transcripts is not set; name a file, and run `kdsl transcribe`"
        )
        yield Finding("no-transcripts", "", "", len(names), message)
        return
    for split, of_split in listed.items():
        without = [name for name in of_split if name not in sounds.transcribed]
        message = "sounds have no line in data.transcripts and count as without words; run `kdsl transcribe`"
        yield from finding("no-transcripts", split, "", without, message)


def _facts(names: Sequence[str], sounds: Sounds, progress: Progress | None) -> dict[str, SoundFacts]:
    def of(name: str) -> SoundFacts:
        try:
            path = inside(sounds.folder or Path(), name)
        except KdslError:
            return _Missing("outside")
        if sounds.listen is None or not path.is_file():
            return _Missing(None if path.is_file() else "unreadable" if path.exists() else "missing")
        return sounds.listen(path)

    # Decoders release the interpreter lock, so threads are enough.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(names, track(pool.map(of, names), "Listening", len(names), progress), strict=True))


def _problems(split: str, names: Sequence[str], facts: Mapping[str, SoundFacts], folder: Path) -> Iterator[Finding]:
    def having(problem: str) -> list[str]:
        named = [(name if name == name.strip() else repr(name), facts[name]) for name in names]
        return [f"{name} ({f.detail})" if f.detail else name for name, f in named if f.problem == problem]

    yield from finding("missing-audio", split, "", having("missing"), f"sounds are not in {folder}")
    message = f"names of sounds lead by links out of {folder}; these are never opened: put the files there"
    yield from finding("outside-audio", split, "", having("outside"), message)
    yield from finding("unreadable-audio", split, "", having("unreadable"), "sounds cannot be read; replace them")
    message = "sounds are damaged; what can be heard of them is taken"
    yield from finding("damaged-audio", split, "", having("damaged"), message)
    message = "sounds are videos, of which only the sound track is taken"
    yield from finding("video-audio", split, "", having("video"), message)
    yield from finding("silent-audio", split, "", having("silent"), "in sounds nothing can be heard")
    too_long = [name for name in names if facts[name].problem == "long"]
    message = "sounds are longer than KDSL decodes; cut them"
    yield from finding("endless-audio", split, "", too_long, message)
    lasting = [(name, facts[name].seconds) for name in names if name not in set(too_long)]
    long = [f"{name} ({seconds / 60:.0f} minutes)" for name, seconds in lasting if seconds > LONG_SECONDS]
    message = f"sounds last more than {LONG_SECONDS // 60} minutes; give what matters of them"
    yield from finding("long-audio", split, "", long, message)
