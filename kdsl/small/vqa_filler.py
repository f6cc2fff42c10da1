"""Visual questions about the images of samples to predict: asked within the limits, counted where they are not."""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kdsl.data.images import picture_path
from kdsl.fields.sidecar import Sidecars
from kdsl.fields.vqa import PLAIN, moved, read_answers
from kdsl.json_file import append_jsonl
from kdsl.sample import Sample, SampleKey
from kdsl.small.picture_chunks import Unreadable, answered
from kdsl.small.questions import QuestionAnswers, score_questions
from kdsl.small.wording import Wording
from kdsl.vlm.model import VisionLanguageModel
from kdsl.vlm.usage import Cost, Usage

_log = logging.getLogger(__name__)
_AT_ONCE = 16


@dataclass(frozen=True)
class TaskQuestions:
    """The visual questions that the rules of a task ask, the most important first."""

    wording: Wording
    questions: tuple[str, ...]


@dataclass
class AnswerFiller:
    """Adds answers about new images to `sidecars` and to the question sidecar."""

    sidecars: Sidecars
    tasks: Mapping[str, TaskQuestions]
    """Task → what its active rules ask."""
    folder: Path | None
    """Of the images."""
    sidecar: Path | None
    """Where answers are kept, and the thresholds of questions; None keeps answers in memory alone."""
    load: Callable[[], VisionLanguageModel] | None
    """Opens the small model once an answer is missing; None where there is none."""
    usage: Usage = field(default_factory=Usage)
    """What samples cost, and their limits."""
    reserved: int = 0
    """Calls a sample that are left to the large model."""
    keeping: bool = True
    """Whether new answers are added to the sidecar, where that is no folder of results."""
    _model: VisionLanguageModel | None = None
    _thresholds: dict[str, float] = field(default_factory=dict)
    _problems: dict[str, str] = field(default_factory=dict)
    """Image → why questions about it have no answer."""
    _limited: int = 0
    """Samples for which the limits did not allow all questions."""

    def fill(self, samples: Sequence[Sample]) -> None:
        """Ask the questions that rules ask about the images of `samples` and that have no answer yet."""
        asked: dict[tuple[str, tuple[str, ...]], list[str]] = {}
        for sample in samples:
            self._limited += self._choose(sample, asked)
        if asked and self.load is not None:
            self._open(self.load)
            with ExitStack() as stack:
                kept = (
                    None if self.sidecar is None or os.path.isdir(self.sidecar) or not self.keeping else self.sidecar
                )
                append = None if kept is None else stack.enter_context(append_jsonl(kept))
                for (task, questions), images in asked.items():
                    self._ask(self.tasks[task].wording, questions, images, append)

    def tell(self) -> None:
        """Log a counted warning for each reason why questions were not answered, and forget it."""
        if self._problems:
            image, reason = next(iter(self._problems.items()))
            _log.warning(
                "visual questions about %d images have no answer and count as no, the first being %s (%s)",
                len(self._problems), image, reason,
            )  # fmt: skip
            self._problems.clear()
        if self._limited:
            _log.warning(
                "for %d samples `limits` did not allow all visual questions of the rules; the others count as no",
                self._limited,
            )
            self._limited = 0

    def _choose(self, sample: Sample, asked: dict[tuple[str, tuple[str, ...]], list[str]]) -> bool:
        """Note what to ask about the sample's images, and charge it; whether the limits left something out."""
        task, limited = self.tasks.get(sample.task), False
        if task is None:
            return False
        for image in sample.images:
            known = self.sidecars.answers.get(image, {})
            missing = [question for question in task.questions if question not in known]
            if not missing or image in self._problems or any(image in images for images in asked.values()):
                continue
            if self.load is None or self.folder is None:
                self._problems[image] = "`small:` names no model" if self.load is None else "data.images is not set"
                continue
            allowed = [q for q in missing if self._charge(sample.key)]
            limited |= len(allowed) < len(missing)
            if allowed:
                asked.setdefault((sample.task, tuple(allowed)), []).append(image)
        return limited

    def _charge(self, sample: SampleKey) -> bool:
        """Yes or no is one token and the end."""
        if not self.usage.allows(sample, calls=1 + self.reserved, tokens=2):
            return False
        self.usage.charge(sample, Cost(calls=1, tokens=2))
        return True

    def _open(self, load: Callable[[], VisionLanguageModel]) -> None:
        if self._model is None:
            self._model = load()
            if self.sidecar is not None and self.sidecar.exists():
                thresholds = read_answers(self.sidecar).thresholds
                self._thresholds = {q: t for (q, model), t in thresholds.items() if model == self._model.identity}

    def _ask(
        self,
        wording: Wording,
        questions: Sequence[str],
        images: Sequence[str],
        append: Callable[[dict[str, Any]], None] | None,
    ) -> None:
        model, folder = self._model, self.folder
        assert model is not None and folder is not None

        def score(part: list[str]) -> list[QuestionAnswers]:
            return score_questions(model, wording, [picture_path(folder, image) for image in part], questions)

        for image, answers in answered(images, folder, _AT_ONCE, score):
            if isinstance(answers, Unreadable):
                self._problems[image] = answers.reason
                continue
            if answers.missing:
                self._problems[image] = answers.problem
            # Next time a file outside the folder may hold another picture.
            if append is not None and answers.yes and not os.path.isabs(image):
                append({"image": image, "model": model.identity, "answers": answers.yes})
            known = self.sidecars.answers.setdefault(image, {})
            known.update({q: moved(p, self._thresholds.get(q, PLAIN)) for q, p in answers.yes.items()})
