"""The small model of a project, and the questions about images that it writes and answers."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kdsl.errors import KdslError

if TYPE_CHECKING:
    from kdsl.cli.project import Project
    from kdsl.sample import Task
    from kdsl.small.answer_cache import CachedModel
    from kdsl.vlm.model import VisionLanguageModel

CACHE = "small.jsonl"
"""In the checkpoint: what the small model answered while rules were mined."""


def load_small(project: "Project") -> "VisionLanguageModel":
    """The model that `small:` names; KdslError in one sentence where it names none, or cannot be loaded."""
    from kdsl.vlm.load import load_model
    from kdsl.vlm.pixels import PixelBudget

    config = project.config
    if config.small_model is None:
        raise KdslError("small: lexical looks at no image; name a model, such as small=Qwen/Qwen2-VL-2B-Instruct")
    return load_model(config.small_model, PixelBudget(config.pixels.min, config.pixels.max))


def cached_small(project: "Project") -> "CachedModel | None":
    """The small model with the answers in the checkpoint; None for `small: lexical`."""
    from kdsl.small.answer_cache import CachedModel

    if project.config.small_model is None:
        return None
    return CachedModel(load_small(project), project.config.checkpoint / CACHE)


def small_name(name: str) -> str:
    """How a model is called in files: its hub id or address, and of a directory the last part alone."""
    path = Path(name).expanduser()
    return path.name if path.is_absolute() or path.is_dir() else name


def ask_questions(project: "Project", model: "CachedModel | None") -> list[str]:
    """Write and answer visual questions for all tasks with images, and fit their thresholds; returns what to tell.

    Questions of rules that people wrote are answered too. Nothing is done without a model, images, or a sidecar.
    """
    from kdsl.small.questions import answer_questions, fit_thresholds, write_questions
    from kdsl.small.wording import wording_of

    data, lines = project.config.data, []
    if model is None or data.images is None:
        return []
    if data.questions is None:
        return ["data.questions is not set: no visual questions are asked"]
    for task in project.tasks:
        samples = project.task_samples(task)
        images = list(dict.fromkeys(image for sample in samples for image in sample.images))
        if not images:
            continue
        written = write_questions(model, task, samples, data.images, project.config.mining.questions)
        questions = list(dict.fromkeys([*written.questions, *rule_questions(project, [task])]))
        outcome = answer_questions(model.model, wording_of(task), images, questions, data.images, data.questions)
        fit_thresholds(model.identity, images, questions, data.questions)
        dropped = f", {written.dropped} lines were none" if written.dropped else ""
        lines.append(
            f"{task.name}: {len(questions)} visual questions{dropped}; {outcome.images} images were asked about now"
        )
        if outcome.problems:
            image, reason = next(iter(outcome.problems.items()))
            lines.append(
                f"{task.name}: {len(outcome.problems)} images cannot be looked at, the first {image} ({reason})"
            )
    return lines


def rule_questions(project: "Project", tasks: "Iterable[Task]") -> "Sequence[str]":
    """The visual questions of all active rules of these tasks, each once."""
    from kdsl.rules.rulebase import RuleBase

    rules = [rule for task in tasks for rule in RuleBase.load(project.config.rules, task.name).active()]
    questions = (condition.question for rule in rules for condition in rule.conditions)
    return list(dict.fromkeys(question for question in questions if question is not None))
