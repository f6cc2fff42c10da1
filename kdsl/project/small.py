"""The small model of a project, and the questions about images that it writes and answers."""

from pathlib import Path
from typing import TYPE_CHECKING

from kdsl.errors import KdslError
from kdsl.pretrained import model_name

if TYPE_CHECKING:
    from kdsl.config import ProjectConfig
    from kdsl.project.project import Project
    from kdsl.rules.rulebase import RuleBase
    from kdsl.sample import Task
    from kdsl.small.captions import CaptionOutcome
    from kdsl.vlm.cache import CachedModel
    from kdsl.vlm.model import VisionLanguageModel

SMALL_ANSWERS_FILE = "small.jsonl"
"""In the checkpoint: what the small model answered while rules were mined."""


def require_small(config: "ProjectConfig") -> str:
    """The model that `small:` names; KdslError where it is an embedded part, which looks at no image."""
    if config.small_model is None:
        raise KdslError("small: lexical looks at no image; name a model, such as small=Qwen/Qwen2-VL-2B-Instruct")
    return config.small_model


def load_small(project: "Project", keeping: bool = True) -> "VisionLanguageModel":
    """The model that `small:` names; KdslError in one sentence where it names none, or cannot be loaded.

    Without `keeping` nothing that is prepared of pictures is kept in the checkpoint.
    """
    from kdsl.vlm.load import load_model
    from kdsl.vlm.picture_cache import PICTURES_FOLDER
    from kdsl.vlm.pixels import PixelBudget

    config, model = project.config, require_small(project.config)
    budget = PixelBudget(config.pixels.min, config.pixels.max)
    pictures = config.checkpoint / PICTURES_FOLDER if keeping else None
    return load_model(model, budget, consent=project.consent, pictures=pictures)


def cached_small(project: "Project") -> "CachedModel | None":
    """The small model with the answers in the checkpoint; None for `small: lexical`."""
    from kdsl.vlm.cache import CachedModel

    if project.config.small_model is None:
        return None
    return CachedModel(load_small(project), project.config.checkpoint / SMALL_ANSWERS_FILE)


def ask_questions(project: "Project", model: "CachedModel | None") -> list[str]:
    """Write and answer visual questions for all tasks with images, and fit their thresholds; returns what to tell.

    Questions of rules that people wrote are answered too. Nothing is done without a model, images, or a sidecar.
    """
    from kdsl.locks import claimed

    data = project.config.data
    if model is None or data.images is None:
        return []
    if data.questions is None:
        return ["data.questions is not set: no visual questions are asked"]
    with claimed(files=[data.questions]):
        return _ask_all(project, model, data.images, data.questions)


def _ask_all(project: "Project", model: "CachedModel", images_in: Path, sidecar: Path) -> list[str]:
    from kdsl.small.questions import answer_questions, fit_thresholds, write_questions
    from kdsl.small.wording import wording_of

    lines = []
    asked: dict[str, list[str]] = {}
    for task in project.tasks:
        samples = project.task_samples(task)
        images = list(dict.fromkeys(image for sample in samples for image in sample.images))
        if not images:
            continue
        written = write_questions(model, task, samples, images_in, project.config.mining.questions)
        questions = list(dict.fromkeys([*written.questions, *rule_questions(project, task)]))
        outcome = answer_questions(
            model.model, wording_of(task), images, questions, images_in, sidecar, project.progress
        )  # fmt: skip
        for question in questions:
            asked.setdefault(question, []).extend(images)
        dropped = f", {written.dropped} lines were none" if written.dropped else ""
        lines.append(
            f"{task.name}: {len(questions)} visual questions{dropped}; {outcome.images} images were asked about now"
        )
        if outcome.problems:
            image, reason = next(iter(outcome.problems.items()))
            lines.append(
                f"{task.name}: {len(outcome.problems)} images lack answers, the first being {image} ({reason})"
            )
    if asked:
        fit_thresholds(model.identity, asked, sidecar)
    return lines


def rule_questions(project: "Project", task: "Task") -> tuple[str, ...]:
    """`questions_of` the task's rule base."""
    return questions_of(project.rule_base(task))


def questions_of(base: "RuleBase") -> tuple[str, ...]:
    """The visual questions of the active rules, each once, those of rules of most weight together first."""
    asking = [rule for rule in base.active() if any(condition.question is not None for condition in rule.conditions)]
    statistics = base.statistics() if asking else {}
    weights: dict[str, float] = {}
    for rule in asking:
        entry = statistics.get((rule.id, rule.when_hash))
        weight = 0.0 if entry is None or entry.weight is None else entry.weight
        for condition in rule.conditions:
            if condition.question is not None:
                weights[condition.question] = weights.get(condition.question, 0.0) + weight
    return tuple(sorted(weights, key=lambda question: (-weights[question], question)))


def caption_images(project: "Project") -> "CaptionOutcome":
    """Describe the images of training and test samples; KdslError where the project lacks what that needs."""
    from kdsl.locks import claimed
    from kdsl.small.captions import fill_captions
    from kdsl.small.wording import wording_of

    data, folder = project.config.data, project.image_folder
    if data.captions is None:
        raise KdslError("data.captions is not set; name the sidecar file to fill, such as data/captions.jsonl")
    name, wording = model_name(project.config.small), wording_of(project.tasks[0])
    with claimed(files=[data.captions]):
        return fill_captions(
            lambda: load_small(project), name, wording, project.images(), folder, data.captions, project.progress
        )  # fmt: skip
