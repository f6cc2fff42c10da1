"""The large model of a project, as the commands use it."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from kdsl.errors import KdslError
from kdsl.project.augmentation import AUGMENTED_FOLDER, COPIES_FOLDER, augmenter, rules_of
from kdsl.project.project import Project

if TYPE_CHECKING:
    from kdsl.models.large.model import LargeModel
    from kdsl.models.large.prompts import Prompts
    from kdsl.models.large.weights import LargeWeights
    from kdsl.models.soft_labels import SoftLabels
    from kdsl.project.task import Learn, Learner, TaskProject
    from kdsl.training.tuning import Tuner

_log = logging.getLogger(__name__)

LARGE_ANSWERS_FILE = "large.answers.jsonl"
JOINT = "joint"


def large_model(project: Project, keeping: bool = True) -> "LargeModel | None":
    """None where the project has the embedded classifier or a recorded one; `keeping` is that of `LargeWeights`."""
    config, weights = project.config, weights_of(project, keeping)
    if config.large_model is None or weights is None:
        return None
    from kdsl.hosts import contact, is_address
    from kdsl.models.large.model import LargeModel
    from kdsl.project.counting import require_parameters
    from kdsl.retrieval.embedding import Embedder
    from kdsl.vlm.usage import Limits, Usage

    if config.training.target != "label" and is_address(config.large_model):
        raise KdslError(
            f"training.target: {config.training.target} needs a model in this process, but `large: "
            f"{config.large_model}` is a server; set `target: label`, or name the model's directory"
        )
    if is_address(config.large_model):
        contact(config.large_model, project.consent)  # asked for before anything is done, not in the midst of it
    require_parameters(project)
    usage = Usage(Limits(config.limits.calls, config.limits.tokens))
    large = LargeModel(weights, project.tasks, prompts_of(project, weights), usage, config.training.target)
    shown = config.prompt
    if shown.neighbours and shown.embeddings == "model":
        embedder = Embedder(weights.embedding_model, config.data.images, weights.release, sees=weights.sees)
        large.prompts = replace(large.prompts, embedder=embedder)
    return large


def prompts_of(project: Project, weights: "LargeWeights | None" = None) -> "Prompts":
    """What the project shows its large model, before anything is learned from samples; neighbours by their texts."""
    from kdsl.fields.ocr_budget import estimated_tokens
    from kdsl.models.large.prompts import Prompts
    from kdsl.vlm.tokens import token_counter

    config, shown = project.config, project.config.prompt
    prompts = Prompts(
        config.data.images,
        shown.descriptions,
        shown.ocr,
        shown.ocr_tokens,
        shown.neighbours,
        shown.knowledge,
        count=estimated_tokens if config.large_model is None else token_counter(config.large_model),
        audio=config.data.audio,
    )
    weights = weights or weights_of(project)
    return prompts if weights is None else replace(prompts, sees=weights.sees, hears=weights.hears)


def weights_of(project: Project, keeping: bool = True) -> "LargeWeights | None":
    """Nothing is loaded yet; None where the project has the embedded classifier or a recorded one."""
    config = project.config
    if config.large_model is None:
        return None
    from kdsl.config_parts import PixelsConfig
    from kdsl.models.large.training_record import TrainingRecord
    from kdsl.models.large.weights import LargeWeights
    from kdsl.vlm.pixels import PixelBudget

    pixels = PixelBudget(config.pixels.min, config.pixels.max)
    record = TrainingRecord.of(config.large_model)
    if record is not None:
        pixels = record.budget(pixels, is_default=config.pixels == PixelsConfig())
    return LargeWeights(
        config.large_model, config.checkpoint, pixels, config.prompt.max_tokens, project.consent, keeping
    )


def with_learners(
    project: Project,
    tasks: "Sequence[TaskProject]",
    holding_out: bool = False,
    soft_labels: "Mapping[str, SoftLabels] | None" = None,
) -> "list[TaskProject]":
    """The tasks, each with what trains its classifier, and with when a decision is handed to a person.

    Raises KdslError where the project lacks what training needs.

    `holding_out` is for what is fitted on some of the samples, as in cross-validation: fine-tuned models get folders
    of their own, and no rule of the rule base is shown to a model, since it was mined on all samples.
    `soft_labels`: task → what it learns besides; None is what the project has in `data.distilled`.
    """
    large, config = large_model(project), project.config
    tasks = [replace(own, abstain=config.abstain) for own in tasks]
    if config.augment.copies and not trains(project, large):
        _log.warning("augment.copies: large: %s is not trained here, so no copies are made", config.large)
    if large is None:
        _tell_unread(project)
        return [
            replace(own, learn=learn) for own, learn in zip(tasks, _embedded(project, tasks, soft_labels), strict=True)
        ]
    if tunes(project, large):
        return _with_tuners(project, large, tasks, holding_out, soft_labels)
    large.prompts = informed(project, large.prompts, holding_out)
    from kdsl.models.large.zero_shot import ZeroShot

    _tell_no_soft_labels(project)
    _require_target(project, large)
    return [
        replace(
            own,
            learn=_always(
                ZeroShot(large, own.task, config.checkpoint / own.task.name / LARGE_ANSWERS_FILE, config.seed)
            ),
        )
        for own in tasks
    ]


def _always(learner: "Learner") -> "Learn":
    """A learner that has nothing to do with rules."""
    return lambda rules: learner


def trains(project: Project, large: "LargeModel | None") -> bool:
    """Whether anything is learned from samples: not by a recorded model, nor by one that is used as it stands."""
    return project.config.recorded is None if large is None else tunes(project, large)


def informed(project: Project, prompts: "Prompts", holding_out: bool) -> "Prompts":
    """With what is known besides samples: labels, the knowledge folder and accepted rules.

    No rules where samples are held out: they were mined on all of them. Raises KdslError for a folder that cannot be
    read.
    """
    if prompts.knowledge == 0:
        return prompts
    from kdsl.retrieval.knowledge import label_passages, read_knowledge, rule_passages

    config = project.config
    folder = [] if config.data.knowledge is None else read_knowledge(config.data.knowledge)
    passages = {}
    for task in project.tasks:
        rules = [] if holding_out else project.rule_base(task).rules
        accepted = [rule for rule in rules if rule.status == "accepted"]
        labels = [] if prompts.descriptions else label_passages(task)  # these are shown already
        passages[task.name] = [*labels, *rule_passages(task, accepted), *folder]
    return replace(prompts, passages=passages)


def _soft_labels(project: Project) -> "Mapping[str, SoftLabels]":
    if project.config.data.distilled is None:
        return {}
    from kdsl.project.soft_labels import soft_labelled_samples

    return soft_labelled_samples(project, project.learned_sidecars())


def _embedded(
    project: Project, tasks: "Sequence[TaskProject]", soft_labels: "Mapping[str, SoftLabels] | None"
) -> "list[Learn]":
    """What trains embedded and recorded classifiers, with what a teacher adds where they can learn from it."""
    from kdsl.augmentation.trainer import AugmentingTrainer
    from kdsl.models.embedded import Embedded, EmbeddedTrainer
    from kdsl.models.recorded import RecordedTrainer, read_recorded
    from kdsl.project.recorded import data_orders

    config = project.config
    if config.recorded is not None:
        _tell_no_soft_labels(project)
        orders = data_orders(project)
        return [_always(RecordedTrainer(read_recorded(config.recorded, own.task, orders))) for own in tasks]
    if config.large != "linear":
        _tell_no_soft_labels(project)
        soft_labels = {}
    added = _soft_labels(project) if soft_labels is None else soft_labels
    found = []
    for own in tasks:
        plain = EmbeddedTrainer(own.task, Embedded.of(config), config.seed, added.get(own.task.name))
        if config.augment.copies == 0:
            found.append(_always(plain))
            continue
        copying = AugmentingTrainer(plain, augmenter(project, own.task))
        found.append(copying.sparing)
    return found


def _tell_no_soft_labels(project: Project) -> None:
    """Warn where a teacher's labels were to be learned by a model that does not."""
    path, large = project.config.data.distilled, project.config.large
    learns = "learns from people's labels alone" if large == "neighbours" else "learns from no samples"
    if path is not None and path.exists():
        _log.warning("%s: not learned from, as `large: %s` %s", path, large, learns)


def _tell_unread(project: Project) -> None:
    """Warn of what is for the prompts of a large model, where there is none."""
    config, shown = project.config, project.config.prompt
    if config.recorded is not None:
        if shown.ocr or shown.neighbours or shown.knowledge:
            _log.warning("prompt: nothing of it is used, as `large: %s` was asked elsewhere", config.large)
        return
    if shown.neighbours and shown.embeddings == "model":
        _log.warning("prompt.embeddings: `large: %s` has no hidden states, so texts make neighbours", config.large)
    if shown.knowledge and config.data.knowledge is not None:
        _log.warning("data.knowledge: not read, as `large: %s` has no prompt to show it in", config.large)


def _require_target(project: Project, large: "LargeModel") -> None:
    """Raise KdslError where a model was fine-tuned here to answer in another form than the project expects."""
    from kdsl.models.large.training_record import TrainingRecord

    record = TrainingRecord.of(large.weights.name)
    if record is not None and record.target not in (None, large.target):
        raise KdslError(
            f"{large.weights.name}: was fine-tuned with training.target: {record.target}, but the project has "
            f"{large.target}; set it to {record.target}"
        )


def tunes(project: Project, large: "LargeModel") -> bool:
    """Whether the project fine-tunes the large model, instead of using it as it stands."""
    return large.weights.tunable and project.config.training.method != "none"


def tuners_of(
    project: Project,
    tasks: "Sequence[TaskProject]",
    adapters: Literal["joint", "per_task"] | None = None,
) -> "list[Tuner]":
    """What fine-tunes for each task, by the project's `adapters` or others; of joint ones any does it for all tasks.

    None where nothing is fine-tuned.
    """
    large = large_model(project)
    if large is None or not tunes(project, large):
        return []
    large.prompts = informed(project, large.prompts, holding_out=False)
    return _tuners(project, large, tasks, adapters or project.config.adapters, holding_out=False)


def _with_tuners(
    project: Project,
    large: "LargeModel",
    tasks: "Sequence[TaskProject]",
    holding_out: bool,
    soft_labels: "Mapping[str, SoftLabels] | None",
) -> "list[TaskProject]":
    large.prompts = informed(project, large.prompts, holding_out)
    tuners = _tuners(project, large, tasks, project.config.adapters, holding_out, soft_labels)
    return [replace(own, learn=tuner.sparing) for own, tuner in zip(tasks, tuners, strict=True)]


def _tuners(
    project: Project,
    large: "LargeModel",
    tasks: "Sequence[TaskProject]",
    adapters: Literal["joint", "per_task"],
    holding_out: bool,
    soft_labels: "Mapping[str, SoftLabels] | None" = None,
) -> "list[Tuner]":
    from kdsl.training.fine_tuning import Recipe
    from kdsl.training.tuning import TaskSamples, Tuner

    config = project.config
    recipe = Recipe(
        large.weights.name,
        large.prompts,
        large.weights.budget,
        large.weights.max_tokens,
        config.training,
        config.seed,
        most_tokens=config.limits.tokens,
        pictures=large.weights.pictures,
    )
    reasons = learned_reasons(project)
    soft_labels = _soft_labels(project) if soft_labels is None else soft_labels
    samples = [
        TaskSamples(own.task, own.table, own.labels, reasons.get(own.task.name, {}), soft_labels.get(own.task.name))
        for own in tasks
    ]
    joint = adapters == "joint"
    augmenters = {
        own.task.name: augmenter(project, own.task, () if holding_out else rules_of(project, own.task))
        for own in tasks
        if config.augment.copies
    }
    return [
        Tuner(
            large,
            recipe,
            own.task,
            samples if joint else [own],
            None if holding_out else JOINT if joint else own.task.name,
            augmenters,
            config.checkpoint / AUGMENTED_FOLDER / COPIES_FOLDER,
            project.progress,
        )
        for own in samples
    ]


def learned_reasons(project: Project) -> dict[str, dict[str, str]]:
    """Task → sample id → why it has its label; nothing where answers hold labels alone.

    KdslError where the project wants reasons but has none.
    """
    config = project.config
    if config.training.target == "label":
        return {}
    from kdsl.reasons.reason_file import ReasonFile

    path = config.data.reasons
    if path is None or not path.exists():
        where = "data.reasons is not set" if path is None else f"{path} does not exist"
        raise KdslError(
            f"training.target: {config.training.target} needs reasons, but {where}; make them with `kdsl reasons`, or "
            "set `target: label`"
        )
    return ReasonFile.read(path, project.tasks).of_samples(project.samples("train"))
