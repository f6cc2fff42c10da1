"""Distillation of a project: the teacher's words on its unlabelled samples, and what is kept of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from kdsl.arbiter.arbiter import Arbiter
from kdsl.arbiter.fit import fold_rules
from kdsl.arbiter.trained import active_rules, usable_rules
from kdsl.config import ProjectConfig
from kdsl.data.duplicates import like_labelled
from kdsl.data.readers import read_samples
from kdsl.data.sample_file import SampleFile
from kdsl.data.writers import plain_record
from kdsl.distillation.distilled_file import targets_record, write_distilled
from kdsl.distillation.rounds import SelfTraining, self_training
from kdsl.distillation.rule_votes import rule_votes
from kdsl.distillation.student import Student
from kdsl.distillation.teacher import TeacherLabels, ask_teacher
from kdsl.errors import Hint, KdslError
from kdsl.fields.heard import written_down
from kdsl.fields.table import FieldTable
from kdsl.label_matrix import require_one_label
from kdsl.locks import claimed
from kdsl.models.soft_labels import SoftLabelLearner, SoftLabels
from kdsl.progress import reported
from kdsl.project.asked import open_model, shown_prompts
from kdsl.project.large import with_learners
from kdsl.project.mining import archive_path, mined_rules_of
from kdsl.project.prediction import ProjectPredictor
from kdsl.project.project import Project
from kdsl.project.task import Learner, TaskProject
from kdsl.sample import Sample
from kdsl.vlm.free_text import shortened

TEACHER_ANSWERS_FILE = "teacher.answers.jsonl"
"""In the checkpoint: what the teacher answered."""


@dataclass(frozen=True)
class DistilledTask:
    """What came of one task's unlabelled samples."""

    name: str
    labels: tuple[str, ...]
    pool: tuple[Sample, ...]
    labelled: int
    """Unlabelled samples that are like one that people labelled, and were left out."""
    repeated: int
    """Of ids that occurred before, and were left out."""
    teacher_labels: TeacherLabels
    training: SelfTraining

    def records(self, teacher: str) -> list[dict[str, Any]]:
        """The lines of `data.distilled`."""
        said, best = self.teacher_labels, self.training.best
        rows = np.flatnonzero(self.training.kept).tolist()
        return [distilled_record(self.labels, self.pool[row], said, row, teacher, best) for row in rows]

    def record(self) -> dict[str, Any]:
        """What was asked, how well the teacher agrees with model and rules, and what each round brought, for JSON."""
        training, teacher_labels = self.training, self.teacher_labels
        return {
            "task": self.name,
            "unlabelled": len(self.pool),
            "like_labelled": self.labelled,
            "repeated": self.repeated,
            "failed": teacher_labels.failed,
            "nonsense": teacher_labels.nonsense,
            "agreement": [row.record() for row in training.agreement.ways],
            "labels": [row.record() for row in training.agreement.labels],
            "rounds": [
                {"round": r.number, "kept": r.kept, "new": r.new, "weighted_f1": round(r.weighted_f1, 4)}
                for r in training.rounds
            ],
            "ended": training.ended,
            "best": training.best,
            "written": int(training.kept.sum()),
        }

    def notes(self, confidence: float) -> list[str]:
        """What there is to say beside the record, in a line each; `confidence` is what `distill:` asks for."""
        answered = self.teacher_labels
        parts = (
            (self.labelled, "are like one that people labelled"),
            (self.repeated, "have the id of another one"),
            (answered.nonsense, f"got answers that are no label, for example {shortened(answered.example)}"),
        )
        lines = [
            f"{self.name}: {count} unlabelled samples {what}; they are left out" for count, what in parts if count
        ]
        surest = answered.confidence.max()
        if 0 < surest < confidence:
            lines.append(
                f"warning: {self.name}: distill.confidence is {confidence}, but the teacher is at most {surest:.2f} "
                "sure: nothing can be kept; lower it"
            )
        rounds, best = self.training.rounds, self.training.best
        if best and rounds[best].weighted_f1 < rounds[0].weighted_f1:
            lines.append(
                f"warning: {self.name}: the teacher's labels make the model worse on people's samples (weighted F1 "
                f"{rounds[best].weighted_f1:.3f}, without them {rounds[0].weighted_f1:.3f}); train with "
                "data.distilled= to leave them out"
            )
        return lines


def distilled_record(
    labels: Sequence[str], sample: Sample, said: TeacherLabels, row: int, teacher: str, number: int
) -> dict[str, Any]:
    """A line of `data.distilled`: a sample, at `row` of those that the teacher was asked about, kept in that round."""
    return {
        **plain_record(replace(sample, label=labels[said.labels[row]])),
        "targets": targets_record(labels, said.shares[row]),
        "teacher": teacher,
        "confidence": round(float(said.confidence[row]), 4),
        "round": number,
    }


def distil_into_file(project: Project, timeout: float, retries: int) -> list[DistilledTask]:
    """What `distil_project` does, with what is kept written to `data.distilled`, as `kdsl distill` does it.

    Raises KdslError, and leaves that file as it was, where no sample is left to label and where none has an answer.
    """
    require_one_label(project.tasks, "`kdsl distill`")
    data, teacher = project.config.data, project.config.distill.teacher
    with claimed(folders=[project.config.checkpoint], files=[data.distilled]):
        try:
            done = distil_project(project, timeout, retries)
        except KeyboardInterrupt:
            raise KeyboardInterrupt("the teacher's answers so far are kept; run again to go on") from None
        assert data.distilled is not None and teacher is not None
        if not done:
            raise KdslError(
                f"{data.unlabelled}: every sample is like one of data.train or data.test, so none is left to label; "
                f"name other samples as data.unlabelled; {data.distilled} stays as it was"
            )
        failed = [each for task in done for each in task.teacher_labels.failed.items()]
        if failed and len(failed) == sum(len(task.pool) for task in done):
            raise KdslError(
                f"no sample has an answer, {data.distilled} stays as it was; the first: {': '.join(failed[0])}"
            )
        write_distilled(data.distilled, [record for task in done for record in task.records(teacher)])
    return done


def distil_project(project: Project, timeout: float, retries: int) -> list[DistilledTask]:
    """Ask the teacher and train in rounds, task by task. Raises KdslError where the project lacks what that needs."""
    config = project.config
    unlabelled, address = _required(project)
    samples = read_samples(unlabelled, project.tasks, reading=project.reading())
    predictor = ProjectPredictor.open(project, [SampleFile(unlabelled)])
    sidecars = predictor.images.sidecars
    tasks = [TaskProject.of(project, task) for task in project.tasks]
    require_trained(project)
    learning = with_learners(project, tasks, holding_out=True, soft_labels={})
    for own in learning:
        _learner(own, None)
    teacher, threads = open_model(project, address, config.checkpoint / TEACHER_ANSWERS_FILE, timeout, retries)
    prompts = shown_prompts(project, teacher, samples)
    known = project.samples("train") + (project.samples("test") if config.data.test is not None else [])
    done = []
    for own in learning:
        task = own.task
        of_task = [sample for sample in samples if sample.task == task.name]
        first = list({sample.key: sample for sample in reversed(of_task)}.values())[::-1]
        predictor.sounds.fill(first)
        of_known = [sample for sample in known if sample.task == task.name]
        written = written_down(first, sidecars.transcripts), written_down(of_known, sidecars.transcripts)
        like = like_labelled(*written, config.data.images, project.progress)
        # Whatever label the file gives, it is not looked at.
        pool = [replace(sample, label=None) for i, sample in enumerate(first) if i not in like]
        if not pool:
            continue
        predictor.images.fill(pool)
        table = FieldTable(pool, sidecars)
        with reported(project.progress, f"{task.name}: the teacher", len(pool)) as advance:
            teacher_labels = ask_teacher(
                teacher, task, table, prompts, threads, partial(advance, f"{task.name}: the teacher")
            )  # fmt: skip
        student = _student(project, own, table, teacher_labels)
        total = (config.distill.rounds + 1) * (1 + len(student.rules_without))
        with reported(project.progress, f"{task.name}: rounds", total) as advance:
            training = self_training(student, config.distill.rounds, partial(advance, f"{task.name}: rounds"))
        repeated = len(of_task) - len(first)
        done.append(
            DistilledTask(task.name, task.label_names, tuple(pool), len(like), repeated, teacher_labels, training)
        )
    predictor.images.tell()
    predictor.sounds.tell()
    return done


def _student(project: Project, own: TaskProject, pool: FieldTable, teacher_labels: TeacherLabels) -> Student:
    task, table, labels = own.task, own.table, own.labels
    mined, arbiter = mined_rules_of(project, task), Arbiter.load(archive_path(project, task).parent)
    archive = mined.archive
    folds = archive.folds_of(own.sample_ids)
    weighed = arbiter.weigh(active_rules(mined.rules, task, table.sidecars))
    rules = rule_votes(task, pool, weighed.rules, weighed.reliability, np.array(arbiter.base_rates))
    base_rates = np.array([archive.base_rates[label] for label in task.label_names])
    known, without = usable_rules(mined.rules, task, table.sidecars), {}
    for fold in np.unique(folds).tolist():
        spoken = fold_rules(task, table, labels, archive, fold, known, folds != fold)
        without[fold] = rule_votes(task, pool, spoken.rules, spoken.reliability, base_rates)
    confidence, trainer = project.config.distill.confidence, partial(_learner, own)
    return Student(task, table, labels, folds, pool, teacher_labels, rules, without, confidence, trainer)


def _learner(own: TaskProject, soft_labels: SoftLabels | None) -> Learner:
    """What trains the project's model, with what a teacher adds; KdslError for one that learns from no samples."""
    trainer = own.require_learn()(())
    if not isinstance(trainer, SoftLabelLearner):
        raise KdslError(
            "distillation teaches the project's own model, but the one that `large:` names is used as it stands; set "
            "`large: linear`, or a local model that is fine-tuned"
        )
    return trainer if soft_labels is None else trainer.with_soft_labels(soft_labels)


def _required(project: Project) -> tuple[Path, str]:
    data = project.config.data
    if project.config.large == "neighbours":
        raise KdslError("large: neighbours learns from people's labels alone; set `large: linear` for a teacher's")
    if data.unlabelled is None:
        raise KdslError("data.unlabelled is not set; name the file of samples without labels")
    if data.distilled is None:
        raise KdslError("data.distilled is not set; name the file for what is kept, such as data/distilled.jsonl")
    for name, path in data.paths.items():
        if name != "distilled" and path.resolve() == data.distilled.resolve():
            raise KdslError(f"{path}: is data.{name} too, which would be overwritten; name another data.distilled")
    return data.unlabelled, require_teacher(project.config)


def require_teacher(config: ProjectConfig) -> str:
    """The address of the teacher; KdslError where there is none, or the project's model cannot be taught."""
    from kdsl.hosts import is_address

    teacher = config.distill.teacher
    if teacher is None or not is_address(teacher):
        shown = "is not set" if teacher is None else f"{teacher} is no address"
        raise KdslError(f"distill.teacher {shown}; name a server, such as http://localhost:8000/v1")
    return teacher


def require_trained(project: Project) -> None:
    """Raise KdslError for a task that was not mined and trained."""
    for task in project.tasks:
        archive = archive_path(project, task)
        if not archive.exists():
            raise KdslError(f"{archive}: no such file, and rules have a say in distillation", Hint.MINE)
        Arbiter.load(archive.parent)
