"""What a project predicts with."""

import logging
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import islice
from pathlib import Path

from kdsl.arbiter.multi_label_decision import AnyDecision
from kdsl.arbiter.predictor import Predictor
from kdsl.arbiter.prepared import Turn
from kdsl.arbiter.stream import Mode, StreamOutcome, predict_stream, without_repeats
from kdsl.audio.transcribe import Transcriber
from kdsl.data.answers import is_answered
from kdsl.data.sample_file import SampleFile, joined_samples
from kdsl.embeddings.sentence_vectors import SentenceVectors
from kdsl.errors import KdslError
from kdsl.fields.ocr import PageReader
from kdsl.fields.pages import PageFiller
from kdsl.fields.pictures import Pictures
from kdsl.fields.sidecar import Sidecars
from kdsl.fields.voices import TranscriptFiller
from kdsl.files import file_hash, require_no_input
from kdsl.models.embedded import Embedded
from kdsl.models.explanation import Explanation, leans_on_answer
from kdsl.processes import collecting_rarely
from kdsl.progress import track
from kdsl.project.project import Project
from kdsl.project.recorded import data_orders
from kdsl.project.small import load_small, questions_of
from kdsl.project.without_labels import train_untrained
from kdsl.rules.rulebase import RuleBase
from kdsl.sample import Sample, Task
from kdsl.small.vqa_filler import AnswerFiller, TaskQuestions
from kdsl.small.wording import wording_of
from kdsl.vlm.usage import Limits, Usage

_log = logging.getLogger(__name__)

_HELD = 2048
"""New images of which is known what was read of them, at most, where it is kept in no file."""


@dataclass(frozen=True)
class ImageReader:
    """Finds out about new images what the rules look at: the text on them, and answers to visual questions."""

    pages: PageFiller
    answers: AnswerFiller
    captions: Path | None
    """The sidecar of captions, where the project has some."""
    keeping: bool = True
    """Whether what is found is known for ever; else the images that came last are."""
    _found: dict[str, None] = field(default_factory=dict)
    """The images that may be forgotten, the one that came last standing last."""
    _uncaptioned: dict[str, None] = field(default_factory=dict)

    @property
    def sidecars(self) -> Sidecars:
        return self.pages.sidecars

    def learn(self, known: Sidecars) -> None:
        """Take over what the sidecar files say by now; what was found since and they do not have is kept."""
        self.sidecars.ocr.update(known.ocr)
        self.sidecars.captions.update(known.captions)
        for image, asked in known.answers.items():
            self.sidecars.answers.setdefault(image, {}).update(asked)

    def fill(self, samples: Sequence[Sample]) -> None:
        """Read all images of `samples` that are not known yet."""
        images = dict.fromkeys(image for sample in samples for image in sample.images)
        known = {image for image in images if self._knows(image)}
        self.pages.fill(samples)
        self.answers.fill(samples)
        if not self.keeping:
            self._forget([image for image in images if image in self._found or image not in known])
        if self.captions is not None:
            self._uncaptioned.update(dict.fromkeys(i for i in images if i not in self.sidecars.captions))

    def settle(self, samples: Sequence[Sample]) -> None:
        """See `Usage.settle`: these samples are decided."""
        self.answers.usage.settle(sample.key for sample in samples)

    def _knows(self, image: str) -> bool:
        return image in self.sidecars.ocr or image in self.sidecars.answers

    def _forget(self, images: Sequence[str]) -> None:
        """Note these images, which came now, and forget those that came longest ago where they are too many."""
        for image in images:
            self._found.pop(image, None)
            if self._knows(image):
                self._found[image] = None
        for image in list(islice(self._found, max(0, len(self._found) - max(_HELD, len(images))))):
            del self._found[image]
            self.sidecars.ocr.pop(image, None)
            self.sidecars.answers.pop(image, None)

    def asking(self, bases: Iterable[RuleBase]) -> "ImageReader":
        """The same with the visual questions that the rules in `bases` ask now."""
        tasks = {base.task: replace(self.answers.tasks[base.task], questions=questions_of(base)) for base in bases}
        return replace(self, answers=replace(self.answers, tasks=tasks))

    def tell(self) -> None:
        """Log counted warnings, if there is anything to warn of."""
        self.pages.tell()
        if self.sidecars.pictures is not None:
            self.sidecars.pictures.tell()
        self.answers.tell()
        if self.sidecars.vectors is not None:
            self.sidecars.vectors.tell()
        if self._uncaptioned:
            _log.warning(
                "%d images have no caption in %s, the first being %s: rules on captions do not hold there; name the "
                "samples as data.test and run `kdsl caption`",
                len(self._uncaptioned), self.captions, next(iter(self._uncaptioned)),
            )  # fmt: skip
            self._uncaptioned.clear()


@dataclass(frozen=True)
class ProjectPredictor:
    """Everything that a project predicts with, and what reads new images and sounds for it."""

    predictor: Predictor
    images: ImageReader
    sounds: TranscriptFiller
    _dialogues: Counter[tuple[str, bool]] = field(default_factory=Counter)
    """How many of a task ended with an answer of the agent, and how many without one, since the last `warn`."""

    @classmethod
    def open(
        cls,
        project: Project,
        files: Sequence[SampleFile] = (),
        tasks: Sequence[Task] | None = None,
        earlier: "ProjectPredictor | None" = None,
        keeping: bool = True,
    ) -> "ProjectPredictor":
        """Read the project's checkpoint and rule base; `files` are those whose samples will be predicted.

        Samples are of `tasks`, or of any task of the project. `earlier` is one that the project had before: weights of
        a large model that have not changed since are not loaded again, and what reads pictures and sounds goes on.

        What is found about new texts, images and sounds is kept in the project: sentence vectors in the checkpoint,
        text on images in data.ocr, answers about them in data.questions, transcripts in data.transcripts. Without
        `keeping` nothing of it is written to disk, and memory holds no more than what came last: for a process that is
        given texts of others without end.
        """
        return cls(*_ready(project, files, project.tasks if tasks is None else tasks, earlier, keeping))

    def with_current_rules(self, whole: bool = False) -> "ProjectPredictor":
        """See `Predictor.with_current_rules`; what was read of images and sounds is shared too."""
        predictor = self.predictor.with_current_rules(whole)
        return replace(self, predictor=predictor, images=self.images.asking(predictor.bases()))

    def decide(self, samples: Sequence[Sample]) -> list[AnyDecision]:
        """One decision for every sample, in their order; images that nobody has read are read first, and sounds that
        nobody has transcribed are transcribed.

        What a sample may cost is counted by its task and id, for each decision anew.
        """
        try:
            self.read(samples)
            decisions = self.predictor.decide(samples)
        finally:
            self.images.settle(samples)
        self._dialogues.update((sample.task, is_answered(sample)) for sample in samples if sample.turns)
        return decisions

    def read(self, samples: Sequence[Sample]) -> None:
        """Read all images and sounds of `samples` that are not known yet."""
        self.images.fill(samples)
        self.sounds.fill(samples)

    def prepare(self, samples: Sequence[Sample], turn: Turn | None) -> None:
        """Read the text on the pictures of `samples`, and prepare them for the large model if it is in this process:
        what `decide` would do first. A `Prepare` of `predict_stream`."""
        self.images.pages.fill(samples, None if turn is None else turn.ended)
        if self.predictor.large is None:
            return
        if turn is None:
            self.predictor.load_for(samples)  # only what is loaded tells how pictures are prepared
        else:
            self.predictor.large.prepare_pictures(samples, turn.come)

    def learn(self, known: Sidecars) -> None:
        """Take over what the sidecar files say by now; what was found since and they do not have is kept."""
        self.images.learn(known)
        self.sounds.learn(known)

    def close(self) -> None:
        """End the processes that read pictures and sounds as they come, if there are any."""
        self.images.pages.close()
        self.sounds.close()

    @property
    def counts_costs(self) -> bool:
        """Whether models are asked about samples, each of which may cost so much: see `limits`."""
        return self.predictor.large is not None or self.images.answers.load is not None

    def warn(self) -> None:
        """Log counted warnings of what was missing or unusable, if there was anything."""
        self.images.tell()
        self.sounds.tell()
        self.predictor.tell()
        for task in dict.fromkeys(task for task, _ in self._dialogues):
            shares = self.predictor.shares(task)
            if not self._dialogues[task, True] and leans_on_answer(shares):
                _log.warning(
                    "%s: none of %d dialogues ends with an answer of the agent, by which the model goes to %.0f %%; "
                    "if that is always so, set fields.last_agent: false and train again",
                    task, self._dialogues[task, False], 100 * shares["last_agent"],
                )  # fmt: skip
        self._dialogues.clear()

    def cost(self) -> str | None:
        """What the samples have cost so far, in a sentence; None where no model was asked."""
        usage = self.predictor.usage
        if usage is None or not usage.number:
            return None
        total, most = usage.total(), usage.most()
        dropped = f"; {total.dropped} pieces of prompts that were too long were dropped" if total.dropped else ""
        return (
            f"{total.calls} calls and {total.tokens} output tokens for {usage.number} samples, at most "
            f"{most.calls} and {most.tokens} for one{dropped}"
        )


@dataclass(frozen=True)
class Explained:
    """A decision with what a person wants to see of it."""

    decision: AnyDecision
    sidecars: Sidecars
    explanation: Explanation | None
    """What the classifier went by besides the sample; None for one that cannot tell."""


@dataclass(frozen=True)
class FilePredictions:
    """What predicting files into another came to."""

    outcome: StreamOutcome
    cost: str | None
    """See `ProjectPredictor.cost`."""


def predict_file(
    project: Project,
    files: Sequence[SampleFile],
    output: Path,
    batch: int = 256,
    mode: Mode = Mode.resume,
    tasks: Sequence[Task] | None = None,
    each: Callable[[list[AnyDecision]], None] = lambda decisions: None,
) -> FilePredictions:
    """Predict samples of files into another file, those of all tasks or of `tasks`; see `predict_stream`.

    `each` is given every batch of decisions as soon as it is made.
    """
    require_no_input(output, (file.path for file in files), "predictions")
    predictor = ProjectPredictor.open(project, files, tasks)
    state = predictor.predictor.state()
    input = file_hash(*(file.bytes_at for file in files))
    samples = track(samples_to_predict(project, files, tasks), "Predicting", None, project.progress)

    def decide(group: Sequence[Sample]) -> list[AnyDecision]:
        decisions = predictor.decide(group)
        each(decisions)
        return decisions

    try:
        with collecting_rarely():
            outcome = predict_stream(samples, decide, output, input, state, batch, mode, predictor.prepare)
    finally:
        predictor.warn()
    return FilePredictions(outcome, predictor.cost())


def samples_to_predict(
    project: Project, files: Sequence[SampleFile], tasks: Sequence[Task] | None
) -> Iterator[Sample]:
    """The samples of files, read as those of all the project's tasks or of `tasks` alone."""
    return joined_samples(
        files, project.samples_of if tasks is None else lambda file: file.samples(tasks, project.reading())
    )


def decide_files(
    project: Project, files: Sequence[SampleFile], batch: int = 256, tasks: Sequence[Task] | None = None
) -> Iterator[AnyDecision]:
    """The decisions on samples of files, those of all tasks or of `tasks`, as soon as a batch of them is made."""
    predictor = ProjectPredictor.open(project, files, tasks)
    samples = without_repeats(samples_to_predict(project, files, tasks))
    try:
        while group := list(islice(samples, batch)):
            yield from predictor.decide(group)
    finally:
        predictor.warn()


def explain_id(
    project: Project, files: Sequence[SampleFile], id: str, tasks: Sequence[Task] | None = None
) -> list[Explained]:
    """The decision on the sample of that id, of one sample for each task that has one; KdslError where none has."""
    named = [sample for sample in samples_to_predict(project, files, tasks) if sample.id == id]
    if not named:
        names = ", ".join(str(file.path) for file in files)
        raise KdslError(f"{names}: no sample has the id {id!r}; --explain takes the id of one sample in it")
    samples = list({sample.key: sample for sample in reversed(named)}.values())[::-1]  # one of each task
    return explain_samples(project, samples, files)


def explain_samples(project: Project, samples: Sequence[Sample], files: Sequence[SampleFile] = ()) -> list[Explained]:
    """The decisions on `samples`, which may come from `files`, with what a person wants to see of them."""
    names = {sample.task for sample in samples}
    predictor = ProjectPredictor.open(project, files, [task for task in project.tasks if task.name in names])
    decisions = predictor.decide(samples)
    predictor.warn()
    return [
        Explained(decision, predictor.images.sidecars, predictor.predictor.explain(decision.sample))
        for decision in decisions
    ]


def _ready(
    project: Project,
    files: Sequence[SampleFile],
    tasks: Sequence[Task],
    earlier: ProjectPredictor | None,
    keeping: bool,
) -> tuple[Predictor, ImageReader, TranscriptFiller]:
    config, data = project.config, project.config.data
    train_untrained(project, tasks)
    # Of its own: answers that no sidecar keeps must not reach what is mined or trained later.
    known = project.sidecars()
    answers = {image: dict(asked) for image, asked in known.answers.items()}
    ocr, transcripts = dict(known.ocr), dict(known.transcripts)
    sidecars = replace(known, ocr=ocr, captions=dict(known.captions), answers=answers, transcripts=transcripts)
    if not keeping:
        # Where the encoder is missing there are the vectors that were kept, and no others.
        if sidecars.vectors is not None and sidecars.vectors.available:
            sidecars = replace(sidecars, vectors=SentenceVectors(sidecars.vectors.encoder))
        if sidecars.pictures is not None and data.images is not None:
            sidecars = replace(sidecars, pictures=Pictures(data.images))
    large = None if earlier is None else earlier.predictor.large
    if config.large_model is not None and large is None:
        from kdsl.project.large import large_model  # with what it is trained by: a process for one text need not wait

        large = large_model(project, keeping)
    orders = data_orders(project, files)
    predictor = Predictor(
        tasks,
        config.checkpoint,
        project.rule_base,
        config.recorded,
        sidecars,
        large,
        orders,
        Embedded.of(config),
        config.abstain,
    )
    asking = AnswerFiller(
        sidecars,
        {task.name: TaskQuestions(wording_of(task), questions_of(predictor.base(task.name))) for task in tasks},
        data.images,
        data.questions,
        None if config.small_model is None else cache(lambda: load_small(project, keeping)),
        Usage(Limits(config.limits.calls, config.limits.tokens)) if large is None else large.usage,
        0 if large is None else large.calls,
        keeping,
    )
    reader = None if keeping else PageReader() if earlier is None else earlier.images.pages.reader
    images = ImageReader(
        PageFiller(sidecars, data.images, data.ocr, project.progress, reader),
        asking,
        data.captions if sidecars.captions else None,
        keeping,
    )
    transcriber = (
        Transcriber(config.speech, project.consent, os.cpu_count() or 1)
        if earlier is None
        else earlier.sounds.transcriber
    )
    sounds = TranscriptFiller(sidecars, data.audio, data.transcripts, transcriber, project.progress, keeping)
    return predictor, images, sounds
