"""The steps of `kdsl run` for one project: what each depends on, and what it leaves."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from kdsl.arbiter.arbiter import ARBITER_FILE
from kdsl.arbiter.stream import file_hash
from kdsl.errors import KdslError
from kdsl.fields.sidecar import Sidecars
from kdsl.locks import claimed
from kdsl.mining.archive import ARCHIVE_FILE
from kdsl.project.inputs import contents, image_stamps
from kdsl.project.project import Project, Split
from kdsl.project.step_record import Steps
from kdsl.sample import Sample

if TYPE_CHECKING:
    from kdsl.evaluate.report import TaskResult

EVALUATION_FOLDS = 5
"""Of the cross-validation that judges a project without test samples."""


_LEFT_OUT = {"all": "", "accepted": "; only accepted ones count", "none": "; the model decides alone"}


class Chain:
    """Each method does one step unless it is up to date, and tells on stderr what came of it."""

    def __init__(self, project: Project, workers: int) -> None:
        self._project = project
        self._workers = workers
        self._config = project.config
        self._checkpoint = project.config.checkpoint
        self._evaluation = self._checkpoint / "evaluation"
        self._predictions = self._checkpoint / "predictions.jsonl"
        self._steps = Steps(self._checkpoint / "run.json")

    def check(self) -> None:
        """Say what is wrong with the data; whether that stops anything is for the other steps to find out."""
        from kdsl.data.checks import check_samples

        def work() -> list[str]:
            splits = {split: self._project.samples(split) for split in self._splits}
            notes = {split: self._project.notes(split) for split in self._splits}
            findings = check_samples(splits, self._project.tasks, self._config.data.images, notes).findings
            lines = [
                f"{finding.split} {finding.task}: {finding.count} {finding.message}".replace(" :", ":").lstrip(": ")
                for finding in findings
            ]
            return [
                *lines,
                f"findings: {len(findings)}; `kdsl check` lists them in full" if findings else "no findings",
            ]

        self._steps.do("check", [self._data, self._image_files], [], work)

    def ocr(self) -> None:
        """Read the text on images that have none yet, where RapidOCR is installed."""
        from kdsl.fields.ocr import fill_ocr, require_ocr

        data = self._config.data
        images = dict.fromkeys(
            image for split in self._splits for s in self._project.samples(split) for image in s.images
        )
        known = self._project.sidecars().ocr
        missing = [image for image in images if image not in known]

        def work() -> list[str]:
            if data.ocr is None or not missing:
                return ["the text of all images is there" if data.ocr is not None else "data.ocr is not set: left out"]
            if data.images is None:
                return [f"data.images is not set: {len(missing)} images are taken as without text"]
            try:
                require_ocr()
            except KdslError as error:
                return [f"{len(missing)} images are taken as without text: {error}"]
            with claimed(files=[data.ocr]):
                outcome = fill_ocr(missing, data.images, data.ocr, self._workers)
            failed = f", {len(outcome.problems)} cannot be read: `kdsl ocr` lists them" if outcome.problems else ""
            return [f"{outcome.read} images read{failed}"]

        self._steps.do("ocr", [missing, self._image_files, data.ocr], [], work)

    def captions(self) -> None:
        """Describe images that have no caption yet, where there is a small model and a caption sidecar."""
        from kdsl.project.small import caption_images

        data = self._config.data
        if self._config.small_model is None or data.captions is None or data.images is None:
            return
        known = self._project.sidecars().captions
        missing = sorted(
            {i for split in self._splits for s in self._project.samples(split) for i in s.images} - {*known}
        )

        def work() -> list[str]:
            if not missing:
                return ["all images have one"]
            outcome = caption_images(self._project)
            failed = (
                f", {len(outcome.problems)} cannot be described: `kdsl caption` lists them" if outcome.problems else ""
            )
            return [f"{outcome.described} images described{failed}"]

        self._steps.do("captions", [missing, self._image_files, data.captions], [], work)

    def questions(self) -> None:
        """Write and answer visual questions, where there is a small model and a question sidecar."""
        from kdsl.project.small import ask_questions, rule_questions

        data = self._config.data
        if self._config.small_model is None or data.questions is None or data.images is None:
            return
        # Rules that mining finds ask what was answered before it: only questions of people are new.
        answers = self._project.sidecars().answers
        new = [
            question
            for task in self._project.tasks
            for question in rule_questions(self._project, task)
            if any(question not in answers.get(i, ()) for s in self._project.task_samples(task) for i in s.images)
        ]
        inputs = [self._data, self._image_files, self._config.small, self._config.pixels, data.questions]
        inputs += [self._config.mining.questions, new]
        self._steps.do("questions", inputs, [], lambda: ask_questions(self._project, self._project.small))

    def mine(self) -> None:
        """Mine the rules of every task into the rule base."""
        from kdsl.project.mining import mine
        from kdsl.project.task import TaskProject

        def work() -> list[str]:
            tasks = [TaskProject.of(self._project, task) for task in self._project.tasks]
            return [line for own in tasks for line in mine(self._project, own, self._workers).notes()]

        self._steps.do("mine", self._mining_inputs, self._task_files(ARCHIVE_FILE), work)

    def train(self) -> None:
        """Train the classifiers and fit the arbiters on the rule base as it is now."""
        from kdsl.project.training import train_project

        def work() -> list[str]:
            return [
                f"{arbiter.task}: out of fold, weighted F1 {arbiter.model.weighted_f1:.3f} alone and "
                f"{arbiter.both.weighted_f1:.3f} with rules"
                + (_LEFT_OUT[arbiter.listens_to] if arbiter.rules else "; there are none")
                for arbiter in train_project(self._project)
            ]

        archives = file_hash(*self._task_files(ARCHIVE_FILE))
        rules = contents(self._config.rules / task.name for task in self._project.tasks)
        inputs = [*self._mining_inputs, archives, rules, *self._large_inputs, *self._learned]
        self._steps.do("train", inputs, self._task_files(ARBITER_FILE), work)

    def evaluate(self) -> Path:
        """Score model, rules and both, on the test samples or by cross-validation; returns the report."""
        report = self._evaluation / "report.json"
        if self._config.data.test is None:
            inputs: list[object] = [*self._mining_inputs, EVALUATION_FOLDS, *self._large_inputs, *self._learned]
            self._steps.do("evaluate", inputs, [report], self._cross_validate)
        else:
            inputs = [file_hash(*self._task_files(ARBITER_FILE)), self._data, self._pages("test"), self._mining_inputs]
            inputs.append(contents(self._config.rules / task.name for task in self._project.tasks))
            # Two classifiers may lead to the same arbiter, and yet say different things about test samples.
            inputs += [*self._large_inputs, *self._learned]
            self._steps.do("evaluate", inputs, [report, self._predictions], self._predict_test)
        return report

    def places(self) -> list[tuple[str, Path]]:
        """Where to look next."""
        found = [("rules", self._config.rules), ("report", self._evaluation)]
        return found if self._config.data.test is None else [*found, ("predictions", self._predictions)]

    def _predict_test(self) -> list[str]:
        from kdsl.evaluate.predictions import read_results
        from kdsl.project.prediction import predict_file

        test = self._config.data.test
        assert test is not None
        with claimed(files=[self._predictions]):
            self._predictions.unlink(missing_ok=True)
            predict_file(self._project, test, self._predictions)
        samples = self._project.samples("test")
        self._write(read_results(self._predictions, test, samples, self._project.tasks))
        return [f"{len(samples)} test samples predicted"]

    def _cross_validate(self) -> list[str]:
        from kdsl.project.cross_validation import cross_validate_project

        self._write(cross_validate_project(self._project, EVALUATION_FOLDS, self._workers))
        return [f"cross-validation with {EVALUATION_FOLDS} folds, as data.test is not set"]

    def _write(self, results: "list[TaskResult]") -> None:
        from kdsl.evaluate.folder import write_evaluation
        from kdsl.evaluate.report import summarise

        with claimed(folders=[self._evaluation]):
            write_evaluation(self._evaluation, results, summarise(results, self._config.seed))

    @property
    def _splits(self) -> list[Split]:
        return ["train"] if self._config.data.test is None else ["train", "test"]

    @cached_property
    def _data(self) -> str:
        """Contents of the data files, and the tasks."""
        data = self._config.data
        files = [path for path in (data.train, data.test) if path is not None]
        return f"{file_hash(*files)} {self._project.tasks!r}"

    @cached_property
    def _image_files(self) -> list[tuple[str, int, int]]:
        return image_stamps(self._project, self._splits)

    @cached_property
    def _mining_inputs(self) -> list[object]:
        """Everything that rules depend on; of pages and captions only those of the training samples."""
        config = self._config
        train = config.data.train
        recorded = None if config.recorded is None else file_hash(config.recorded)
        return [
            None if train is None else file_hash(train),
            self._project.tasks,
            self._pages("train"),
            self._answers,
            config.mining,
            config.seed,
            config.small,
            config.large,
            recorded,
            config.rules,
            # The rules depend on the classifier only where they are weighted by its mistakes.
            (config.prompt, config.augment) if config.mining.focus else None,
        ]

    @property
    def _large_inputs(self) -> list[object]:
        """What the classifier depends on besides."""
        config = self._config
        if config.large_model is None:
            return [] if config.recorded is not None else [config.prompt]
        knowledge = None if config.data.knowledge is None else contents([config.data.knowledge])
        return [
            knowledge,
            self._image_files,
            config.adapters,
            config.pixels,
            config.prompt,
            config.limits,
            config.training,
        ]

    @property
    def _learned(self) -> list[object]:
        """What is learned besides the training samples: copies of them, a teacher's labels, and reasons where answers
        hold them."""
        data, large = self._config.data, self._config.large_model is not None
        files = [data.distilled] + ([data.reasons] if large and self._config.training.target != "label" else [])
        return [self._config.augment, *(file_hash(path) for path in files if path is not None and path.exists())]

    @property
    def _answers(self) -> list[object]:
        """Of the training images alone: those about test images are made while predicting."""
        images = sorted({image for sample in self._project.samples("train") for image in sample.images})
        answers = self._project.sidecars().answers
        return [(image, sorted(answers.get(image, {}).items())) for image in images]

    def _pages(self, split: Split) -> list[object]:
        return _known(self._project.samples(split), self._project.sidecars())

    def _task_files(self, name: str) -> list[Path]:
        return [self._checkpoint / task.name / name for task in self._project.tasks]


def _known(samples: list[Sample], sidecars: Sidecars) -> list[object]:
    """What is known about the images of the samples."""
    images = sorted({image for sample in samples for image in sample.images})
    return [(image, sidecars.ocr.get(image), sidecars.captions.get(image)) for image in images]
