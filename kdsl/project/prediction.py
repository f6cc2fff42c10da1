"""What a project predicts with."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kdsl.arbiter.predictor import Predictor
from kdsl.fields.pages import PageFiller
from kdsl.fields.sidecar import Sidecars
from kdsl.models.embedded import Embedded
from kdsl.project.large import large_model
from kdsl.project.project import Project
from kdsl.project.recorded import data_orders
from kdsl.project.small import load_small, rule_questions
from kdsl.sample import Sample
from kdsl.small.vqa_filler import AnswerFiller, TaskQuestions
from kdsl.small.wording import wording_of
from kdsl.vlm.usage import Limits, Usage

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ImageReader:
    """Finds out about new images what the rules look at: the text on them, and answers to visual questions."""

    pages: PageFiller
    answers: AnswerFiller
    captions: Path | None
    """The sidecar of captions, where the project has some."""
    _uncaptioned: dict[str, None] = field(default_factory=dict)

    @property
    def sidecars(self) -> Sidecars:
        return self.pages.sidecars

    def fill(self, samples: Sequence[Sample]) -> None:
        """Read all images of `samples` that are not known yet."""
        self.pages.fill(samples)
        self.answers.fill(samples)
        if self.captions is not None:
            images = (image for sample in samples for image in sample.images)
            self._uncaptioned.update(dict.fromkeys(i for i in images if i not in self.sidecars.captions))

    def tell(self) -> None:
        """Log counted warnings, if there is anything to warn of."""
        self.pages.tell()
        self.answers.tell()
        if self._uncaptioned:
            _log.warning(
                "%d images have no caption in %s, the first being %s: rules on captions do not hold there; name the "
                "samples as data.test and run `kdsl caption`",
                len(self._uncaptioned), self.captions, next(iter(self._uncaptioned)),
            )  # fmt: skip


def ready(project: Project, input: Path) -> tuple[Predictor, ImageReader]:
    """The predictor of a project's checkpoint, and what reads new images for it; `input` is what will be predicted."""
    config, data = project.config, project.config.data
    sidecars = project.sidecars()
    large = large_model(project)
    orders = data_orders(project, input)
    predictor = Predictor(
        project.tasks,
        config.checkpoint,
        config.rules,
        config.recorded,
        sidecars,
        large,
        orders,
        Embedded.of(config),
    )
    answers = AnswerFiller(
        sidecars,
        {task.name: TaskQuestions(wording_of(task), rule_questions(project, task)) for task in project.tasks},
        data.images,
        data.questions,
        None if config.small_model is None else lambda: load_small(project),
        Usage(Limits(config.limits.calls, config.limits.tokens)) if large is None else large.usage,
        0 if large is None else large.calls,
    )
    return predictor, ImageReader(
        PageFiller(sidecars, data.images, data.ocr), answers, data.captions if sidecars.captions else None
    )
