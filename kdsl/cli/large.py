"""The large model of a project, as the commands use it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from kdsl.cli.project import Project
from kdsl.models.calibrated import CalibratingTrainer
from kdsl.models.classifier import Trainer

if TYPE_CHECKING:
    from kdsl.cli.mining import TaskMining
    from kdsl.models.large import LargeModel
    from kdsl.models.prompts import Prompts
    from kdsl.training.tuning import Tuner

ANSWERS = "large.answers.jsonl"
JOINT = "joint"


def large_model(project: Project) -> "LargeModel | None":
    """None where the project has the embedded classifier or a recorded one."""
    config = project.config
    if config.large_model is None:
        return None
    from kdsl.models.large import LargeModel
    from kdsl.models.prompts import Prompts
    from kdsl.retrieval.embedding import Embedder
    from kdsl.vlm.pixels import PixelBudget
    from kdsl.vlm.tokens import token_counter
    from kdsl.vlm.usage import Limits, Usage

    shown = config.prompt
    large = LargeModel(
        config.large_model,
        project.tasks,
        config.checkpoint,
        Prompts(
            config.data.images,
            shown.descriptions,
            shown.ocr,
            shown.ocr_tokens,
            shown.neighbours,
            shown.knowledge,
            count=token_counter(config.large_model),
        ),
        PixelBudget(config.pixels.min, config.pixels.max),
        config.prompt.max_tokens,
        Usage(Limits(config.limits.calls, config.limits.tokens)),
    )
    if shown.neighbours and shown.embeddings == "model":
        embedder = Embedder(large.embedding_model, config.data.images, large.release)
        large.prompts = replace(large.prompts, embedder=embedder)
    return large


def trainers(
    project: Project, minings: "Sequence[TaskMining]", cross_validating: bool = False
) -> "Sequence[Trainer | CalibratingTrainer]":
    """What trains the classifier of each task. In cross-validation fine-tuned models get folders of their own."""
    large = large_model(project)
    if large is None:
        return [mining.trainer for mining in minings]
    config = project.config
    if tunes(project, large):
        return tuners_of(project, minings, cross_validating=cross_validating)
    large.prompts = informed(project, large.prompts, cross_validating)
    from kdsl.models.as_it_stands import AsItStands

    return [
        AsItStands(large, mining.task, config.checkpoint / mining.task.name / ANSWERS, config.seed)
        for mining in minings
    ]


def informed(project: Project, prompts: "Prompts", cross_validating: bool) -> "Prompts":
    """With what is known besides samples: labels, the knowledge folder and accepted rules.

    No rules in cross-validation: they were mined on all samples. Raises KdslError for a folder that cannot be read.
    """
    if prompts.knowledge == 0:
        return prompts
    from kdsl.retrieval.knowledge import label_passages, read_knowledge, rule_passages
    from kdsl.rules.rulebase import RuleBase

    config = project.config
    folder = [] if config.data.knowledge is None else read_knowledge(config.data.knowledge)
    passages = {}
    for task in project.tasks:
        rules = [] if cross_validating else RuleBase.load(config.rules, task.name).active(("accepted",))
        labels = [] if prompts.descriptions else label_passages(task)  # these are shown already
        passages[task.name] = [*labels, *rule_passages(task, rules), *folder]
    return replace(prompts, passages=passages)


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

    large.prompts = informed(project, large.prompts, cross_validating)
    recipe = Recipe(large.name, large.prompts, large.budget, large.max_tokens, config.training, config.seed)
    samples = [TaskSamples(mining.task, mining.table, mining.labels) for mining in minings]
    joint = (adapters or config.adapters) == "joint"
    return [
        Tuner(
            large,
            recipe,
            own.task,
            samples if joint else [own],
            None if cross_validating else JOINT if joint else own.task.name,
        )
        for own in samples
    ]
