"""What each step of `kdsl run` depends on: the one table that says when a step has to be done again."""

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from kdsl.config import EMBEDDED, RECORDED, ProjectConfig
from kdsl.project import inputs
from kdsl.project.project import Project
from kdsl.version import RESULTS_VERSION

StepName = Literal["check", "ocr", "transcribe", "captions", "questions", "mine", "train", "evaluate"]
Input = Callable[[Project], object]
"""Gives a value of stable `repr` that is another one when what a step reads is another."""


@dataclass(frozen=True)
class Reads:
    """Something that a step reads, in projects where it matters."""

    keys: tuple[str, ...] = ()
    """Keys of kdsl.yaml whose values count, such as `mining.focus`; a part's name stands for all of its keys.

    Keys of files are not among these: of a file its content counts, as one of the inputs.
    """
    inputs: tuple[Input, ...] = ()
    where: Callable[[ProjectConfig], bool] = lambda config: True


def _asks_small(config: ProjectConfig) -> bool:
    return config.small_model is not None


def _asks_large(config: ProjectConfig) -> bool:
    return config.large_model is not None


def _is_recorded(config: ProjectConfig) -> bool:
    return config.recorded is not None


def _looks_at_mistakes(config: ProjectConfig) -> bool:
    return config.mining.focus > 0


def _learns_reasons(config: ProjectConfig) -> bool:
    return config.large_model is not None and config.training.target != "label"


def _is_distilled(config: ProjectConfig) -> bool:
    return config.data.distilled is not None


def _is_embedded(config: ProjectConfig) -> bool:
    return config.large in EMBEDDED


def _has_unlabelled(config: ProjectConfig) -> bool:
    return config.data.unlabelled is not None


def _has_test(config: ProjectConfig) -> bool:
    return config.data.test is not None


_NAMING = Reads(("data.columns", "data.labels"))
"""How files of samples are read."""
_SAMPLES = Reads(
    ("seed", "encoder", "fields"),
    (
        inputs.task_files,
        inputs.train_samples,
        inputs.train_pages,
        inputs.train_transcripts,
        inputs.train_vqa,
        inputs.train_images,
        inputs.sentence_encoder,
    ),
)
_SEARCH = Reads(
    (
        "mining.max_conditions", "mining.iterations", "mining.focus", "mining.least_precision", "mining.max_samples",
        "small",
    )
)  # fmt: skip
_SMALL = Reads(("small", "pixels", "mining.calls"), (inputs.train_images,), _asks_small)
_MISTAKES = Reads(("large", "prompt"), where=_looks_at_mistakes)
"""Of the embedded classifier, whose mistakes mining looks at."""
_UNLABELLED = Reads((), (inputs.unlabelled_samples, inputs.page_network), _has_unlabelled)
"""What mining looks at rules on, besides the samples of data.train that have no label."""
_CLASSIFIER = (
    Reads(("large", "prompt", "augment", "abstain")),
    Reads((), (inputs.page_network,), _is_embedded),
    Reads(
        ("pixels", "limits", "adapters", "training"),
        (inputs.train_images, inputs.train_audio, inputs.knowledge_files),
        _asks_large,
    ),
    Reads((), (inputs.reasons_file,), _learns_reasons),
    Reads((), (inputs.recorded_answers, inputs.test_samples), _is_recorded),
    # Distilled samples that are like a test sample are left out.
    Reads((), (inputs.distilled_file, inputs.test_samples, inputs.all_images), _is_distilled),
    # Of a task without labelled samples they tell what samples have in common; else accepted rules label them.
    Reads((), (inputs.unlabelled_samples,)),
)

DEPENDENCIES: dict[StepName, tuple[Reads, ...]] = {
    "check": (
        _NAMING,
        Reads(
            ("encoder", "fields"),
            (
                inputs.task_files,
                inputs.train_samples,
                inputs.test_samples,
                inputs.all_images,
                inputs.all_audio,
                inputs.all_transcripts,
                inputs.sentence_encoder,
            ),
        ),
    ),
    "ocr": (
        _NAMING,
        Reads((), (inputs.can_read_images, inputs.all_images)),
    ),
    "transcribe": (
        _NAMING,
        Reads(("speech",), (inputs.can_transcribe, inputs.all_audio)),
    ),
    "captions": (
        _NAMING,
        Reads(("small", "pixels"), (inputs.task_files, inputs.all_images)),
    ),
    "questions": (
        _NAMING,
        Reads(("small", "pixels", "mining.questions"), (inputs.task_files, inputs.train_samples, inputs.train_images)),
    ),
    # Of the rule base only where it lies: that people decide about rules gives no reason to mine again.
    "mine": (_NAMING, _SAMPLES, _SEARCH, _SMALL, _MISTAKES, _UNLABELLED, Reads(("rules",))),
    "train": (
        _NAMING,
        _SAMPLES,
        _SEARCH,
        _SMALL,
        *_CLASSIFIER,
        Reads((), (inputs.mined_files, inputs.rule_files)),
    ),
    "evaluate": (
        _NAMING,
        _SAMPLES,
        _SEARCH,
        _SMALL,
        *_CLASSIFIER,
        Reads((), (inputs.rule_files,)),
        Reads(
            ("limits",),
            (
                inputs.trained_files,
                inputs.test_samples,
                inputs.all_pages,
                inputs.all_transcripts,
                inputs.all_images,
                inputs.all_audio,
            ),
            _has_test,
        ),
        Reads((), (inputs.all_audio,), _asks_large),
    ),
}
"""Where a step reads more than stands here, `tests/project/test_dependencies.py` fails."""

LEFT: dict[StepName, Input] = {
    "ocr": inputs.unread_images,
    "transcribe": inputs.sounds_without_transcript,
    "captions": inputs.images_without_caption,
    "questions": lambda project: (inputs.train_vqa(project), inputs.unanswered_questions(project)),
    "mine": inputs.mined_files,
    "train": inputs.trained_files,
    "evaluate": inputs.evaluation_files,
}
"""What a step leaves, beside the rules: where that is not as it left it, the step is done again. Other commands write
the same files, perhaps by other settings."""


def applies(config: ProjectConfig, step: StepName) -> bool:
    """Whether the project has what the step is for: images are described and asked about by a small model."""
    if step not in ("captions", "questions"):
        return True
    if step == "questions" and config.data.train is None:
        return False
    sidecar = config.data.captions if step == "captions" else config.data.questions
    return config.small_model is not None and config.data.images is not None and sidecar is not None


def digest(project: Project, step: StepName) -> str:
    """Hash of everything that the step depends on."""
    found = [reads for reads in DEPENDENCIES[step] if reads.where(project.config)]
    keys = dict.fromkeys(key for reads in found for key in reads.keys)
    values = [(key, value_of(project.config, key)) for key in keys]
    read = [(each.__name__, each(project)) for each in dict.fromkeys(each for reads in found for each in reads.inputs)]
    return hashed(RESULTS_VERSION, step, values, read)


def left(project: Project, step: StepName) -> str:
    """Hash of what the step has left by now."""
    return hashed(LEFT[step](project)) if step in LEFT else ""


def hashed(*values: object) -> str:
    """Hash of values of stable `repr`."""
    return hashlib.sha256(repr(values).encode("utf-8", "surrogatepass")).hexdigest()


def value_of(config: ProjectConfig, key: str) -> object:
    """The value of a key of kdsl.yaml, or of a part; what lies in the project's folder is told from there.

    So a project that is moved, or run from another folder, is up to date.
    """
    value: Any = config
    for name in key.split("."):
        value = getattr(value, name)
    if isinstance(value, BaseModel):
        return [(name, value_of(config, f"{key}.{name}")) for name in type(value).model_fields]
    return value_told(value, config.folder)


def value_told(value: object, folder: Path) -> object:
    """The same of a value that is no part, in a project in `folder`."""
    if isinstance(value, str) and value.startswith(RECORDED):
        return RECORDED  # of its file the content counts
    if isinstance(value, Path) or (isinstance(value, str) and os.path.isdir(value)):
        return os.path.relpath(value, folder)
    return value


def keys_of(part: type[BaseModel], before: str = "") -> Iterator[str]:
    """All keys of kdsl.yaml, dotted, without those that stand for a part."""
    for name, field in part.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from keys_of(kind, f"{before}{name}.")
        else:
            yield f"{before}{name}"
