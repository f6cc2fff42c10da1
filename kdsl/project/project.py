"""A project: its configuration, tasks, samples and sidecars, and what can be done with them from Python."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from kdsl.errors import KdslError
from kdsl.project.read_once import ReadOnce

if TYPE_CHECKING:
    # Command modules import this one before they know whether they will run: pydantic and YAML must wait.
    from kdsl.arbiter.arbiter import Arbiter
    from kdsl.arbiter.decision import Decision
    from kdsl.arbiter.multi_label_decision import MultiLabelDecision
    from kdsl.audio.transcribe import TranscribeOutcome
    from kdsl.config import ProjectConfig
    from kdsl.data.checks import Report
    from kdsl.data.feedback import FeedbackLog
    from kdsl.data.feedback_samples import FeedbackSamples
    from kdsl.data.forms import Reading
    from kdsl.data.label_log import LabelLog
    from kdsl.data.notes import Notes
    from kdsl.data.sample_file import SampleFile
    from kdsl.embeddings.sentence_vectors import SentenceVectors
    from kdsl.evaluate.report import Summary
    from kdsl.fields.ocr import OcrOutcome
    from kdsl.fields.pictures import Pictures
    from kdsl.fields.sidecar import Sidecars
    from kdsl.fields.table import FieldTable
    from kdsl.hosts import Consent
    from kdsl.progress import Progress
    from kdsl.project.in_memory import MemoryPredictor
    from kdsl.project.label_issues import LabelIssue
    from kdsl.project.mining import MinedTask
    from kdsl.project.sample_files import SampleFiles
    from kdsl.rules.rulebase import RuleBase
    from kdsl.sample import Sample, Task
    from kdsl.vector_cache import VectorCache
    from kdsl.vlm.cache import CachedModel


Split = Literal["train", "test"]


@dataclass(frozen=True)
class Project:
    """What kdsl.yaml describes, read when first asked for, and again only where a file has changed since.

    `kdsl.open` opens one that is there, `Project.create` makes a new one. Every step does what the command of that
    name does, and writes the same files.
    """

    config: "ProjectConfig"
    progress: "Progress | None" = None
    """Where long work says how far it is."""
    kept: ReadOnce = field(default_factory=ReadOnce, repr=False, compare=False)
    """What was read of the project's files and made of them so far."""

    @classmethod
    def open(
        cls,
        path: Path | None = None,
        overrides: "Sequence[str] | Mapping[str, object]" = (),
        progress: "Progress | None" = None,
    ) -> "Project":
        """The project of a configuration, a file or its folder, ./kdsl.yaml by default, with overrides.

        These are `key=value` texts or values by key; see `kdsl.config.load_config`. Raises KdslError for a mistake in
        the configuration, in an override or in a task file.
        """
        from kdsl.config import load_config
        from kdsl.project.several_labels import require_possible

        project = cls(_with_image_folder(load_config(path, overrides), progress), progress)
        if not project.config.tasks:
            return project  # of dialogues
        seen: set[str] = set()
        for task in project.tasks:
            if task.name in seen:
                raise KdslError(f"tasks: two task files have the name {task.name!r}; give each task a name of its own")
            seen.add(task.name)
        require_possible(project.config, project.tasks)
        return project

    @classmethod
    def create(cls, folder: str | Path, tasks: "Sequence[str | Path | Task] | None" = None) -> "Project":
        """Make a new project, as `kdsl init` does, and open it; `tasks` are the shipped ones by default.

        Else they are names of shipped tasks, task files, or `kdsl.Task` objects, which become files in the project.
        Raises KdslError, before anything is written, where the folder holds a project already.

        >>> import tempfile
        >>> from kdsl.sample import Label, Task
        >>> folder = tempfile.TemporaryDirectory()
        >>> project = Project.create(folder.name, [Task("returns", (Label("refund"), Label("exchange")))])
        >>> project.tasks[0].label_names
        ('refund', 'exchange')
        >>> folder.cleanup()
        """
        from kdsl.files import path_given
        from kdsl.project.create import create_project

        return cls.open(create_project(path_given(folder, "folder"), tasks))

    @cached_property
    def tasks(self) -> "list[Task]":
        """Raises KdslError for a project of dialogues that has none, for whatever would classify."""
        from kdsl.tasks import load_task

        if not self.config.tasks:
            raise KdslError(
                f"{self.config.folder / 'kdsl.yaml'}: names no tasks, so there is nothing to classify; add `tasks:`, "
                "or answer dialogues with kdsl chat"
            )
        return [load_task(name, self.config.folder) for name in self.config.tasks]

    def task(self, name: str | None = None) -> "Task":
        """The task of that name; of a project with one task its name may be left out. KdslError for any other."""
        found = [task for task in self.tasks if name in (None, task.name)]
        if len(found) != 1:
            names = ", ".join(task.name for task in self.tasks)
            asked = "no task is named" if name is None else f"the project has no task {name!r}"
            raise KdslError(f"{self.config.folder}: {asked}; name one of {names}")
        return found[0]

    def samples(self, split: Split = "train") -> "list[Sample]":
        """All samples of a split; KdslError when the configuration names no file for it."""
        return self._sample_files.split(split)[0]

    def rules(self, task: str | None = None) -> "RuleBase":
        """The rule base of a task, as its files are now; of a project with one task its name may be left out.

        `project.rules().table` lists the rules with what was measured about them; in a notebook both show themselves.
        """
        return self.rule_base(self.task(task))

    def check(self) -> "Report":
        """What is wrong with the samples, as `kdsl check` finds it."""
        from kdsl.data.checks import check_samples
        from kdsl.data.feedback_samples import check_feedback
        from kdsl.project.known_media import sounds_to_check

        splits: dict[str, list[Sample]] = {split: self.samples(split) for split in self.splits}
        notes: dict[str, Notes] = {split: self.notes(split) for split in self.splits}
        vectors = self.vectors and self.vectors.if_available()
        encode = None if vectors is None else vectors.of
        left_out, feedback = self.config.fields.left_out, self.feedback()
        told = notes, self.progress, left_out, encode, sounds_to_check(self)
        report = check_samples(splits, self.tasks, self.config.data.images, *told)
        report.findings.extend(check_feedback(feedback, self.label_log.given(), self.tasks))
        return replace(report, feedback=feedback.people())

    def label_issues(self, task: str | None = None) -> "list[LabelIssue]":
        """Training samples whose labels are probably wrong, as `kdsl check --labels` finds them, the most doubtful
        first; of a project with one task its name may be left out.

        Samples that contradict or repeat another one are among them; what people decided about is not. Raises
        KdslError where `train` has not been run.
        """
        from kdsl.project.label_issues import project_label_issues

        return project_label_issues(self, self.task(task))

    def ocr(self, workers: int | None = None) -> "OcrOutcome":
        """Read the text on all images that `data.ocr` does not have yet, as `kdsl ocr` does, in `workers` processes.

        Raises KdslError where there is no image folder, no sidecar file, or no RapidOCR.
        """
        from kdsl.fields.ocr import fill_ocr
        from kdsl.locks import claimed
        from kdsl.processes import require_workers

        require_workers(workers)
        data, folder = self.config.data, self.image_folder
        if data.ocr is None:
            raise KdslError("data.ocr is not set; name the sidecar file to fill, such as data/ocr.jsonl")
        with claimed(files=[data.ocr]):
            return fill_ocr(self.images(), folder, data.ocr, workers, self.progress)

    def transcribe(self, workers: int | None = None) -> "TranscribeOutcome":
        """Write down what is said in all sounds that `data.transcripts` does not have yet, as `kdsl transcribe` does;
        the embedded recogniser of `speech` in `workers` processes.

        Raises KdslError where there is no folder of sounds, no sidecar file, or no such recogniser.
        """
        from kdsl.processes import require_workers
        from kdsl.project.transcribing import transcribe_project

        require_workers(workers)
        return transcribe_project(self, workers)

    def mine(self, workers: int | None = None) -> "list[MinedTask]":
        """Find rules in the training samples and merge them into the rule base, as `kdsl mine` does.

        What people decided stays. Raises KdslError for samples that nothing can be learned from.
        """
        from kdsl.processes import require_workers
        from kdsl.project.mining import mine_project

        require_workers(workers)
        return mine_project(self, workers)

    def train(self) -> "list[Arbiter]":
        """Train the classifiers and fit the arbiters on the rule base as it is now, as `kdsl train` does.

        An arbiter tells how good model and rules are out of fold, and which rules it listens to. Raises KdslError
        where `mine` has not been run on these samples.
        """
        from kdsl.project.training import train_project

        return [trained.arbiter for trained in train_project(self)]

    def export_model(self, output: str | Path, task: str | None = None, adapter: str | Path | None = None) -> Path:
        """Write what was fine-tuned as one model without LoRA into a folder, as `kdsl export-model` does; the folder.

        `task`: whose adapter, where each task has its own. `adapter`: the directory of one from elsewhere instead.
        Raises KdslError where nothing was fine-tuned, and for a folder that holds anything but an earlier export.
        """
        from kdsl.files import path_given
        from kdsl.project.exporting import plan_export

        place = path_given(output, "output")
        given = None if adapter is None else path_given(adapter, "adapter")
        plan_export(self, task, given).write(place, self.progress)
        return place

    def predict(self, samples: object, task: str | None = None) -> "list[Decision | MultiLabelDecision]":
        """One decision for every sample, in their order.

        `samples` is one text, dict like `{"text": …}` or `kdsl.Sample`, or a list of these, or a DataFrame with
        columns such as `text`, `turns`, `images` and `id`. In a project with several tasks, records say which one they
        are of, or `task` names it for all. What is trained is read once, and again when its files change. Raises
        KdslError for anything that is no sample, and where `train` has not been run.
        """
        return self._in_memory.decide(samples, task)

    def evaluate(self, folds: int = 5, workers: int | None = None) -> "Summary":
        """Cross-validate on the training samples, as `kdsl evaluate --cross-validate` does: model, rules and both.

        The result shows itself in a notebook; report, tables and plots go into the checkpoint's `cross-validation`.
        """
        from kdsl.processes import require_workers
        from kdsl.project.evaluation import evaluate_project

        require_workers(workers)
        return evaluate_project(self, folds, workers).summary

    def run(self, workers: int | None = None) -> "Summary | None":
        """Check, read images and sounds, mine, train and evaluate, as `kdsl run` does: whatever is not up to date.

        None where no sample has a label, so that nothing can be measured.
        """
        from kdsl.processes import require_workers
        from kdsl.project.steps import Pipeline

        require_workers(workers)
        return Pipeline(self, workers).run()

    def review(self, by: str | None = None, port: int = 8321, browser: bool = True) -> None:
        """Open the page on which people decide about rules, as `kdsl review` does; Ctrl-C ends it.

        `by` is who decides, the user by default. Every decision lands in the rule files at once. Raises KdslError
        where kdsl[review] is not installed, and for a port that is taken.
        """
        # The page is a window into the project, above it in the house: see docs/architecture.md.
        from kdsl.review.serving import serve_review

        with suppress(KeyboardInterrupt):
            serve_review(self, by, port=port, browser=browser)

    @property
    def splits(self) -> "list[Split]":
        """The splits that have samples: the configuration names a file for them, or people labelled some."""
        known: list[tuple[Split, bool]] = [
            ("train", self._sample_files.has_train),
            ("test", self.config.data.test is not None),
        ]
        return [split for split, there in known if there]

    def notes(self, split: Split) -> "Notes":
        """What was not read of a split's file."""
        return self._sample_files.split(split)[1]

    @cached_property
    def _sample_files(self) -> "SampleFiles":
        from kdsl.project.sample_files import SampleFiles

        return SampleFiles(self)

    @cached_property
    def label_log(self) -> "LabelLog":
        """The labels that people gave to samples."""
        from kdsl.data.label_log import LabelLog

        return LabelLog(self.config.data.label_log, feedback=self.feedback_log)

    @cached_property
    def feedback_log(self) -> "FeedbackLog":
        """What people said about decisions of `kdsl serve`."""
        from kdsl.data.feedback import FeedbackLog

        return FeedbackLog(self.config.data.feedback_log)

    def feedback(self) -> "FeedbackSamples":
        """What of the feedback is trained on; nothing where there is none."""
        return self._sample_files.feedback()

    def reading(self) -> "Reading":
        """For one reading of data: what kdsl.yaml says about files of samples, and where their images lie."""
        return self._sample_files.reading()

    def iterate_samples(self, path: Path) -> "Iterator[Sample]":
        """The samples of any file, one at a time; of the project's own files those that were read already."""
        return self._sample_files.iterate(path)

    def iterate_training(self) -> "Iterator[Sample]":
        """The training samples, one at a time in memory where nobody has labelled any or given feedback since."""
        return self._sample_files.iterate_train()

    def samples_of(self, file: "SampleFile") -> "Iterator[Sample]":
        """The same of a file that may be a pipe."""
        is_plain = file.content is None
        return self.iterate_samples(file.path) if is_plain else file.samples(self.tasks, self.reading())

    @property
    def train_file(self) -> Path:
        """What training samples are known by: their file, where none is named that of feedback."""
        return self.config.data.train or self.config.data.feedback_log

    def samples_so_far(self) -> "list[Sample]":
        """The training samples; none where their file is not there yet."""
        return [] if self.awaits_samples or "train" not in self.splits else self.samples("train")

    @property
    def awaits_samples(self) -> bool:
        """Whether the file of training samples that kdsl.yaml names is not there."""
        from kdsl.files import is_there

        return self.config.data.train is not None and not is_there(self.config.data.train)

    def task_samples(self, task: "Task", split: Split = "train") -> "list[Sample]":
        """The samples of one task."""
        return [sample for sample in self.samples(split) if sample.task == task.name]

    def has_labels(self, task: "Task") -> bool:
        """Whether any training sample of a task has a label; what learns from samples can do nothing without one."""
        known = self.task_samples(task) if "train" in self.splits else []
        return any(sample.answer is not None for sample in known)

    def field_table(self, task: "Task", split: Split = "train", rows: "Sequence[int] | None" = None) -> "FieldTable":
        """The fields of the samples of one task, of all or of those at `rows`; their texts are normalised once for all
        that looks at them."""
        from kdsl.fields.table import FieldTable

        samples, sidecars = self.samples(split), self._learnable(self.sidecars())

        def make() -> FieldTable:
            of_task = self.task_samples(task, split)
            return FieldTable(of_task if rows is None else [of_task[row] for row in rows], sidecars)

        chosen = None if rows is None else tuple(rows)
        return self.kept.made(("fields", task.name, split, rows is None), (samples, sidecars, chosen), make)

    def field_tables(self, task: "Task", split: Split = "train") -> "Iterator[FieldTable]":
        """The same in pieces, for what looks at all samples, however many: of few the table that is kept."""
        from kdsl.fields.table import PIECE, tables

        samples = self.task_samples(task, split)
        if len(samples) <= PIECE:
            return iter([self.field_table(task, split)])
        return tables(samples, self._learnable(self.sidecars()))

    def rule_base(self, task: "Task") -> "RuleBase":
        """The rules of one task as their files are now; it is one object, which mining and others write to."""
        from kdsl.locks import held
        from kdsl.rules.rulebase import RuleBase

        folder = self.config.rules
        base = self.kept.made(("rules", folder, task.name), (), lambda: RuleBase.load(folder, task.name))
        if base.changed_outside():
            with held(folder, shared=True):
                base.refresh()
        return base

    def images(self) -> list[str]:
        """The images of all samples, as often as they occur; of the test samples too, where there are any."""
        return [image for split in self.splits for sample in self.samples(split) for image in sample.images]

    def audio(self) -> list[str]:
        """The sounds of all samples, as `images`."""
        return [sound for split in self.splits for sample in self.samples(split) for sound in sample.audio]

    @property
    def image_folder(self) -> Path:
        """The folder of the images; KdslError where the configuration names none that exists."""
        folder = self.config.data.images
        if folder is None or not folder.is_dir():
            what = "is not set" if folder is None else f"{folder} is no folder"
            raise KdslError(f"data.images {what}; name the folder that image file names are relative to")
        return folder

    def sidecars(self) -> "Sidecars":
        """What OCR, transcribing, captioning and visual questions found, of the sidecar files that are configured and
        exist.

        With the sentence vectors, and what is seen on the images, both of which are made when first asked for; and
        which fields are left out.
        """
        from kdsl.project.known_media import read_sidecars

        return read_sidecars(self)

    @property
    def vectors(self) -> "SentenceVectors | None":
        """The sentence vectors of `encoder:`, kept in the checkpoint; None without an encoder."""
        from kdsl.config import NO_ENCODER

        encoder, checkpoint = self.config.encoder, self.config.checkpoint
        if encoder == NO_ENCODER:
            return None
        return self.kept.made(("vectors", encoder, checkpoint), (), self._new_vectors)

    def _new_vectors(self) -> "SentenceVectors":
        from kdsl.embeddings.load import load_encoder
        from kdsl.embeddings.sentence_vectors import SentenceVectors

        return SentenceVectors(load_encoder(self.config.encoder, self.consent), self._vector_cache, self.progress)

    @cached_property
    def pictures(self) -> "Pictures | None":
        """What is seen on images, looked for when it is first asked for and kept in the checkpoint; None without
        `data.images`, and where `fields.visual` is false."""
        from kdsl.fields.pictures import Pictures

        folder = self.config.data.images
        if folder is None or not self.config.fields.visual:
            return None
        return Pictures(folder, self._vector_cache, self.progress)

    @cached_property
    def _vector_cache(self) -> "VectorCache":
        from kdsl.vector_cache import VECTORS_FILE, VectorCache

        return VectorCache(self.config.checkpoint / VECTORS_FILE)

    def learned_sidecars(self) -> "Sidecars":
        """`sidecars` for what learns from training samples; one warning counts images whose text nobody has read, and
        one sounds without a transcript.

        Without vectors where their encoder is not installed, of which one warning tells too: what learned from those
        that were kept could make nothing of new texts.
        """
        from kdsl.project.known_media import warn_of_unread

        known, samples = self.sidecars(), self.samples_so_far()
        self.kept.made("warned", (known, samples), lambda: warn_of_unread(self, known, samples))
        return self._learnable(known)

    def _learnable(self, known: "Sidecars") -> "Sidecars":
        if known.vectors is None or known.vectors.if_available() is not None:
            return known
        return self.kept.made("without vectors", (known,), lambda: replace(known, vectors=None))

    @property
    def consent(self) -> "Consent":
        """For contact with servers that are not this machine."""
        from kdsl.hosts import Consent, is_address

        return Consent(self.config.folder, tuple(filter(is_address, self.config.typed_models)))

    @cached_property
    def small(self) -> "CachedModel | None":
        """The small model, loaded when first asked for, with the answers that it gave before; None where lexical."""
        from kdsl.project.small import cached_small

        return cached_small(self)

    @cached_property
    def _in_memory(self) -> "MemoryPredictor":
        from kdsl.project.in_memory import MemoryPredictor

        return MemoryPredictor(self)


def _with_image_folder(config: "ProjectConfig", progress: "Progress | None") -> "ProjectConfig":
    """The same with the unpacked folder as `data.images`, where that is an archive."""
    images = config.data.images
    if images is None or images.suffix.lower() != ".zip" or not images.is_file():
        return config
    from kdsl.data.image_archive import unpacked

    return config.model_copy(update={"data": config.data.model_copy(update={"images": unpacked(images, progress)})})
