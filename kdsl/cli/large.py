"""The large model of a project, as the commands use it."""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from kdsl.cli.augmenting import FOLDER, IMAGES, active_rules, augmenter
from kdsl.cli.project import Project
from kdsl.models.calibrated import CalibratingTrainer
from kdsl.models.classifier import Trainer

if TYPE_CHECKING:
    from kdsl.cli.mining import TaskMining
    from kdsl.models.large import LargeModel
    from kdsl.training.tuning import Tuner

_log = logging.getLogger(__name__)

ANSWERS = "large.answers.jsonl"
JOINT = "joint"


def large_model(project: Project) -> "LargeModel | None":
    """None where the project has the embedded classifier or a recorded one."""
    config = project.config
    if config.large_model is None:
        return None
    from kdsl.models.large import LargeModel
    from kdsl.models.prompts import Prompts
    from kdsl.vlm.pixels import PixelBudget
    from kdsl.vlm.usage import Limits, Usage

    return LargeModel(
        config.large_model,
        project.tasks,
        config.checkpoint,
        Prompts(config.data.images, config.prompt.descriptions, config.prompt.ocr),
        PixelBudget(config.pixels.min, config.pixels.max),
        config.prompt.max_tokens,
        Usage(Limits(config.limits.calls, config.limits.tokens)),
    )


def trainers(
    project: Project, minings: "Sequence[TaskMining]", cross_validating: bool = False
) -> "Sequence[Trainer | CalibratingTrainer]":
    """What trains the classifier of each task. In cross-validation fine-tuned models get folders of their own."""
    large = large_model(project)
    config = project.config
    if config.augment.copies and not trains(project, large):
        _log.warning("augment.copies: large: %s is not trained here, so no copies are made", config.large)
    if large is None:
        return [
            mining.trainer if cross_validating else mining.trainer_sparing(active_rules(project, mining.task))
            for mining in minings
        ]
    if tunes(project, large):
        return tuners_of(project, minings, cross_validating=cross_validating)
    from kdsl.models.as_it_stands import AsItStands

    return [
        AsItStands(large, mining.task, config.checkpoint / mining.task.name / ANSWERS, config.seed)
        for mining in minings
    ]


def trains(project: Project, large: "LargeModel | None") -> bool:
    """Whether anything is learned from samples: not by a recorded model, nor by one that is used as it stands."""
    return project.config.recorded is None if large is None else tunes(project, large)


def tunes(project: Project, large: "LargeModel") -> bool:
    """Whether the project fine-tunes the large model, instead of using it as it stands."""
    return large.tunable and project.config.training.method != "none"


def tuners_of(
    project: Project,
    minings: "Sequence[TaskMining]",
    adapters: Literal["joint", "per_task"] | None = None,
    cross_validating: bool = False,
) -> "list[Tuner]":
    """What fine-tunes for each task, by the project's `adapters` or others; of joint ones any does it for all tasks.

    None where nothing is fine-tuned.
    """
    large, config = large_model(project), project.config
    if large is None or not tunes(project, large):
        return []
    from kdsl.training.fine_tuning import Recipe
    from kdsl.training.tuning import TaskSamples, Tuner

    recipe = Recipe(large.name, large.prompts, large.budget, large.max_tokens, config.training, config.seed)
    samples = [TaskSamples(mining.task, mining.table, mining.labels) for mining in minings]
    joint = (adapters or config.adapters) == "joint"
    augmenters = {
        mining.task.name: augmenter(
            project, mining.task, () if cross_validating else active_rules(project, mining.task)
        )
        for mining in minings
        if config.augment.copies
    }
    return [
        Tuner(
            large,
            recipe,
            own.task,
            samples if joint else [own],
            None if cross_validating else JOINT if joint else own.task.name,
            augmenters,
            config.checkpoint / FOLDER / IMAGES,
        )
        for own in samples
    ]
