"""Answers to the visual questions of rules about the images of samples, as the sidecar `data.questions` has them."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kdsl.data.images import picture_path
from kdsl.distributed.schemas import answer_schema
from kdsl.distributed.steps.media import MediaWorker, Named
from kdsl.errors import KdslError
from kdsl.pretrained import model_name
from kdsl.project.project import Project
from kdsl.project.small import load_small, require_small, rule_questions
from kdsl.small.picture_chunks import Unreadable, answered
from kdsl.small.questions import QuestionAnswers, score_questions
from kdsl.small.wording import wording_of

if TYPE_CHECKING:
    import pyarrow

_AT_ONCE = 16
"""Questions about images that a model is asked together."""


@dataclass(frozen=True)
class Questions:
    """The step behind `kdsl questions` over shards: a model a process, on its own GPU where there is one."""

    gpus: float = 0.0
    batch: int = 64
    needs: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    name: str = "questions"

    def state(self, project: Project) -> str:
        """The model's name, and what the active rules ask. KdslError without a model, images or questions."""
        model = require_small(project.config)
        asked = {task.name: rule_questions(project, task) for task in project.tasks}
        if not any(asked.values()):
            raise KdslError(f"{project.config.rules}: no active rule asks a visual question; none is to be answered")
        told = [str(project.image_folder), model_name(model), asked]
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()

    def schema(self, project: Project) -> "pyarrow.Schema":
        return answer_schema()

    def open(self, project: Project) -> MediaWorker:
        model, folder = load_small(project, keeping=False), project.image_folder
        tasks = {task.name: (wording_of(task), rule_questions(project, task)) for task in project.tasks}

        def look(named: Sequence[Named]) -> Iterator[tuple[Named, dict[str, Any] | str]]:
            for task, (wording, questions) in tasks.items():
                images = [image for of, image in named if of == task]
                if not questions or not images:
                    continue

                def score(
                    part: list[str], wording: Any = wording, questions: Sequence[str] = questions
                ) -> list[QuestionAnswers]:
                    return score_questions(model, wording, [picture_path(folder, image) for image in part], questions)

                for image, answers in answered(images, folder, max(1, _AT_ONCE // len(questions)), score):
                    yield (task, image), _record(image, answers, model.identity)

        return MediaWorker(lambda sample: sample.images, look)


def _record(image: str, answers: QuestionAnswers | Unreadable, model: str) -> dict[str, Any] | str:
    """A question that got neither yes nor no is left out; where that goes for all of them, it is what is wrong."""
    if isinstance(answers, Unreadable):
        return answers.reason
    return {"image": image, "model": model, "answers": answers.yes} if answers.yes else answers.problem
