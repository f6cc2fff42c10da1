"""settings.yaml beside generate.py: which weights answer, and within which limits."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from kdsl.config_parts import Part, PixelsConfig, ProjectPath
from kdsl.yaml_file import read_yaml, validate, yaml_string

SETTINGS_FILE = "settings.yaml"

_TEXT = """\
# What generate.py does; KDSL wrote it. Paths begin in this file's folder.
#
# The contract of FusionBrain Challenge 3.0: one A100 with 80 GB, 16 cores, 243 GB of memory, no network, and 3.5 hours
# for all dialogues. An exception voids the try, so generate.py raises none: what fails is a short answer, a high
# perplexity, and a traceback on stderr.

# The weights: a model; a LoRA adapter for it, or null; an encoder of sounds or pictures and the projection that was
# learned for both, or null.
model: {model}
adapter: {adapter}
encoder: {encoder}
projection: {projection}
# What writes down sounds for a model that does not hear: pocketsphinx (English only) or a Whisper model.
speech: {speech}

# Told before every dialogue.
system: {system}
# Tokens of an answer, and of a dialogue; of a longer one the earliest turns are left out.
max_new_tokens: {max_new_tokens}
max_tokens: {max_tokens}
# The area of a picture. Many pictures in one turn get less each.
pixels: {{min: {min_pixels}, max: {max_pixels}}}
# How much of a sound is heard: the rest of a longer one is not decoded.
sound_seconds: {sound_seconds:g}
# e: exp of the mean in nats, as the metrics page defines perplexity; 2: exp2 of the same, as several solutions.
perplexity_base: {perplexity_base}

# Each answer gets the time that is left, divided by the questions that are still expected.
# For everything, loading included: less than the 3.5 hours of the contract.
hours: {hours:g}
# About how often generate_text and get_ppl are called, together. Nobody is told: too many make answers short.
questions: {questions}
# Seconds of one answer, at most.
longest: {longest:g}
"""


class Settings(Part):
    """What stands in settings.yaml; the comments of the file say what each key means."""

    model: ProjectPath
    adapter: ProjectPath | None = None
    encoder: ProjectPath | None = None
    projection: ProjectPath | None = None
    speech: Literal["pocketsphinx"] | ProjectPath = Field("pocketsphinx", union_mode="left_to_right")
    system: str = ""
    max_new_tokens: int = Field(128, ge=1)
    max_tokens: int = Field(4096, ge=64)
    pixels: PixelsConfig = PixelsConfig()
    sound_seconds: float = Field(30.0, gt=0)
    perplexity_base: Literal["e", 2] = "e"
    hours: float = Field(3.3, gt=0)
    questions: int = Field(10_000, ge=1)
    longest: float = Field(60.0, gt=0)


def read_settings(path: Path) -> Settings:
    """Raises KdslError in one sentence for a file that is missing or not as `settings_text` writes it."""
    file = read_yaml(path)
    return validate(Settings, file, file.value, {"folder": path.parent})


def settings_text(settings: Settings) -> str:
    """The file, for people to read and change."""
    values = settings.model_dump(exclude={"pixels"})
    for key in ("model", "adapter", "encoder", "projection", "speech", "system"):
        values[key] = "null" if values[key] is None else yaml_string(str(values[key]))
    return _TEXT.format(**values, min_pixels=settings.pixels.min, max_pixels=settings.pixels.max)
