"""The steps of `kdsl run` for one project."""

import os
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from kdsl.errors import KdslError
from kdsl.locks import claimed
from kdsl.project.dependencies import StepName, applies, digest, left
from kdsl.project.inputs import evaluation_folder, images_without_caption, predictions_file, unread_images
from kdsl.project.project import Project
from kdsl.project.step_record import DoneStep, StepRecord
from kdsl.project.without_labels import cold_tasks

if TYPE_CHECKING:
    from kdsl.arbiter.arbiter import Arbiter
    from kdsl.arbiter.multi_label_decision import AnyDecision
    from kdsl.evaluate.report import Summary

EVALUATION_FOLDS = 5
"""Of the cross-validation that judges a project without test samples."""
RECORD_FILE = "run.json"
"""In the checkpoint."""

_LEFT_OUT = {
    "all": "",
    "accepted": "; only accepted ones count",
    "proposed": "; accepted ones do not count",
    "none": "; the model decides alone",
}

Lines = list[str]
"""What a step tells of what it did."""


class Pipeline:
    """The steps in their order; each is done unless it is up to date, as `kdsl.project.dependencies` says."""

    def __init__(
        self, project: Project, workers: int | None = None, tell: Callable[[str], None] = lambda line: None
    ) -> None:
        """`workers` processes, one a core by default, search and read; `tell` is given what is done, line by line."""
        self._project = project
        self._workers = workers or os.cpu_count() or 1
        self._tell = tell
        self._config = project.config

    def run(self) -> "Summary | None":
        """All steps; returns how good model, rules and both are, None without labels to tell it by.

        Raises KdslError for what stops a step.
        """
        with claimed(folders=[self._config.checkpoint, self._config.rules]):
            self._require_test_labels()
            self.check()
            self.ocr()
            self.transcribe()
            self.captions()
            self.questions()
            self.mine()
            self.train()
            return self.evaluate()

    def places(self) -> list[tuple[str, Path]]:
        """Where to look next."""
        found = [("rules", self._config.rules)]
        if self._can_evaluate:
            found.append(("report", evaluation_folder(self._project)))
        return found if self._config.data.test is None else [*found, ("predictions", predictions_file(self._project))]

    def check(self) -> None:
        """Say what is wrong with the data; whether that stops anything is for the other steps to find out."""
        self._do("check", self._check)

    def ocr(self) -> None:
        """Read the text on images that nobody has read, where RapidOCR is installed."""
        self._do("ocr", self._ocr)

    def transcribe(self) -> None:
        """Write down what is said in sounds that nobody has transcribed, where the recogniser is installed."""
        self._do("transcribe", self._transcribe)

    def captions(self) -> None:
        """Describe images that have no caption yet, where there is a small model and a caption sidecar."""
        self._do("captions", self._captions)

    def questions(self) -> None:
        """Write and answer visual questions, where there is a small model and a question sidecar."""
        self._do("questions", self._questions)

    def mine(self) -> None:
        """Mine the rules of every task into the rule base."""
        self._do("mine", self._mine)

    def train(self) -> None:
        """Train the classifiers and fit the arbiters on the rule base as it is now."""
        self._do("train", self._train)

    def evaluate(self) -> "Summary | None":
        """Score model, rules and both, on the test samples or by cross-validation; None where nothing is labelled."""
        from kdsl.evaluate.report import Summary
        from kdsl.record_file import read_record

        if not self._can_evaluate:
            self._tell("evaluate: no labelled samples to measure by")
            return None
        found: list[Summary] = []
        work = self._cross_validate if self._config.data.test is None else self._predict_test
        self._do("evaluate", lambda: work(found.append))
        if found:
            return found[0]
        report = evaluation_folder(self._project) / "report.json"
        return read_record(Summary, report, "`kdsl evaluate` writes this file again")

    @cached_property
    def _can_evaluate(self) -> bool:
        return self._config.data.test is not None or len(cold_tasks(self._project)) < len(self._project.tasks)

    @cached_property
    def _record(self) -> StepRecord:
        return StepRecord(self._config.checkpoint / RECORD_FILE)

    def _do(self, step: StepName, work: Callable[[], Lines]) -> None:
        """Do a step, unless it was done before and nothing has changed since; tell what came of it."""
        if not applies(self._config, step):
            return
        project, inputs = self._project, digest(self._project, step)
        known = self._record.done(step, inputs, left(project, step))
        if known is not None:
            lines, note = known.lines, " (unchanged)"
        else:
            self._tell(f"{step} …")
            lines, note = work(), ""
            self._record.add(step, DoneStep(inputs, left(project, step), lines))
        for line in lines:
            self._tell(f"{step}{note}: {line}")

    def _require_test_labels(self) -> None:
        """Raise KdslError for test samples that results cannot be measured on: not after minutes of mining."""
        from kdsl.evaluate.predictions import labelled_samples

        if self._config.data.test is not None:
            labelled_samples(self._config.data.test, self._project.samples("test"), self._project.tasks)

    def _check(self) -> Lines:
        findings = self._project.check().findings
        lines = [
            f"{finding.split} {finding.task}: {finding.count} {finding.message}".replace(" :", ":").lstrip(": ")
            for finding in findings
        ]
        return [*lines, f"findings: {len(findings)}; `kdsl check` lists them in full" if findings else "no findings"]

    def _ocr(self) -> Lines:
        from kdsl.fields.ocr import fill_ocr, require_ocr

        data, missing = self._config.data, unread_images(self._project)
        if data.ocr is None or missing is None:
            return ["data.ocr is not set: left out"]
        if not missing:
            return ["the text of all images is there"]
        if data.images is None:
            return [f"data.images is not set: {len(missing)} images are taken as without text"]
        try:
            require_ocr()
        except KdslError as error:
            return [f"{len(missing)} images are taken as without text: {error}"]
        with claimed(files=[data.ocr]):
            known = dict(self._project.sidecars().ocr)
            outcome = fill_ocr(missing, data.images, data.ocr, self._workers, self._project.progress, known)
        failed = f", {len(outcome.problems)} cannot be read: `kdsl ocr` lists them" if outcome.problems else ""
        return [f"{outcome.read} images read{failed}"]

    def _transcribe(self) -> Lines:
        from kdsl.project.transcribing import transcribe_step

        return transcribe_step(self._project, self._workers)

    def _captions(self) -> Lines:
        from kdsl.project.small import caption_images

        if not images_without_caption(self._project):
            return ["all images have one"]
        outcome = caption_images(self._project)
        failed = f", {len(outcome.problems)} cannot be described: `kdsl caption` lists them"
        return [f"{outcome.described} images described{failed if outcome.problems else ''}"]

    def _questions(self) -> Lines:
        from kdsl.project.small import ask_questions

        return ask_questions(self._project, self._project.small)

    def _mine(self) -> Lines:
        from kdsl.project.mining import mine
        from kdsl.project.task import TaskProject

        cold = cold_tasks(self._project)
        labelled = [task for task in self._project.tasks if task not in cold]
        tasks = [TaskProject.of(self._project, task) for task in labelled]  # checked before any is mined
        lines = [f"{task.name}: no labelled samples to mine" for task in cold]
        return [*lines, *(line for own in tasks for line in mine(self._project, own, self._workers).notes())]

    def _train(self) -> Lines:
        from kdsl.models.explanation import goes_by
        from kdsl.project.training import train_project

        lines = []
        for trained in train_project(self._project):
            lines.append(_told(trained.arbiter))
            lines.extend(f"{trained.task.name}: {clause}" for clause in trained.arbiter.deciding_less())
            if (by := goes_by(trained.shares)) is not None:
                lines.append(f"{trained.task.name}: {by}")
            if trained.taught is not None:
                lines.append(trained.taught.told(trained.task.name))
            if trained.left_over is not None:
                lines.append(trained.left_over.told(trained.task.name))
        return lines

    def _predict_test(self, scored: "Callable[[Summary], None]") -> Lines:
        from kdsl.data.sample_file import SampleFile
        from kdsl.evaluate.predictions import decision_results
        from kdsl.project.evaluation import write_results
        from kdsl.project.prediction import predict_file
        from kdsl.project.runs import sample_set

        project, test, output = self._project, self._config.data.test, predictions_file(self._project)
        assert test is not None
        samples = project.samples("test")
        self._require_test_labels()  # of one step alone, too
        decisions: list[AnyDecision] = []
        with claimed(files=[output]):
            output.unlink(missing_ok=True)
            predict_file(project, [SampleFile(test)], output, each=decisions.extend)
        folder = evaluation_folder(project)
        with claimed(folders=[folder]):
            results = decision_results(samples, decisions, project.tasks)
            scored(write_results(project, sample_set(project, test), results, folder).summary)
        return [f"{len(samples)} test samples predicted"]

    def _cross_validate(self, scored: "Callable[[Summary], None]") -> Lines:
        from kdsl.project.evaluation import evaluate_project

        folder = evaluation_folder(self._project)
        scored(evaluate_project(self._project, EVALUATION_FOLDS, self._workers, folder).summary)
        return [f"cross-validation with {EVALUATION_FOLDS} folds, as data.test is not set"]


def _told(arbiter: "Arbiter") -> str:
    """What training a task came to, in a line."""
    if arbiter.model is None or arbiter.both is None:
        return f"{arbiter.task}: goes by the names and descriptions of its labels"
    return (
        f"{arbiter.task}: out of fold, weighted F1 {arbiter.model.weighted_f1:.3f} alone and "
        f"{arbiter.both.weighted_f1:.3f} with rules"
        + (_LEFT_OUT[arbiter.listens_to] if arbiter.rules else "; there are none")
    )
