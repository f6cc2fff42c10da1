"""Labels by a teacher for samples without any, where rules or the trained model agree with it: as `data.distilled`.

This is the first round of `kdsl distill`, by the model that `kdsl train` left: which of a teacher's labels are kept is
known for each sample by itself. Rounds of self-training look at all samples at once; they are for a single machine.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from kdsl.arbiter.arbiter import Arbiter
from kdsl.arbiter.trained import active_rules
from kdsl.data.duplicates import like_labelled
from kdsl.distillation.agreement import Labels, keeps
from kdsl.distillation.rule_votes import rule_votes
from kdsl.distillation.teacher import NO_LABEL, ask_teacher
from kdsl.distributed.schemas import distilled_schema
from kdsl.distributed.step import Problem, Worked
from kdsl.distributed.steps.predict import Predict
from kdsl.fields.heard import written_down
from kdsl.fields.sidecar import Sidecars
from kdsl.fields.table import FieldTable
from kdsl.label_matrix import require_one_label
from kdsl.project.asked import open_model, shown_prompts
from kdsl.project.distillation import TEACHER_ANSWERS_FILE, distilled_record, require_teacher, require_trained
from kdsl.project.mining import archive_path, mined_rules_of
from kdsl.project.prediction import ProjectPredictor
from kdsl.project.project import Project
from kdsl.sample import Sample, Task
from kdsl.vlm.cache import CachedModel
from kdsl.vlm.free_text import Strays

if TYPE_CHECKING:
    import pyarrow

ROUND = 1

Votes = Callable[[FieldTable], Labels]
"""`kdsl.distillation.rule_votes` with the rules of a task."""


@dataclass(frozen=True)
class Distill:
    """The step behind `kdsl distill` over shards; the teacher is a server, asked several samples at once."""

    timeout: float
    retries: int
    batch: int = 1024
    gpus: float = 0.0
    needs: tuple[str, ...] = ()
    reads: tuple[str, ...] = ("train", "test", "ocr", "captions", "transcripts", "questions")
    name: str = "distill"

    def state(self, project: Project) -> str:
        """Teacher, confidence, and what predictions depend on. KdslError where something of it is missing."""
        require_one_label(project.tasks, "`kdsl distill`")
        teacher = require_teacher(project.config)
        require_trained(project)
        predicted = Predict(tuple(task.name for task in project.tasks)).state(project)
        return f"{teacher} {project.config.distill.confidence} {predicted}"

    def schema(self, project: Project) -> "pyarrow.Schema":
        return distilled_schema()

    def open(self, project: Project) -> "Distilling":
        name = require_teacher(project.config)
        answers = project.config.checkpoint / TEACHER_ANSWERS_FILE
        teacher, threads = open_model(project, name, answers, self.timeout, self.retries)
        predictor = ProjectPredictor.open(project, keeping=False)
        return Distilling(project, predictor, teacher, threads)


@dataclass(frozen=True)
class Distilling:
    """One process of it."""

    project: Project
    predictor: ProjectPredictor
    teacher: CachedModel
    threads: int
    strays: defaultdict[str, Strays] = field(default_factory=lambda: defaultdict(Strays))
    """Task → what came of asking so far."""
    votes: dict[str, Votes] = field(default_factory=dict)
    """Task → the word of its rules."""

    def begin(self) -> None:
        """A shard begins."""

    def work(self, samples: Sequence[Sample]) -> Worked:
        """The samples that are kept, with the teacher's label; those like one that people labelled are left out."""
        worked = Worked()
        for task in self.project.tasks:
            of_task = [sample for sample in samples if sample.task == task.name]
            if of_task:
                self._add(worked, task, of_task)
        return worked

    def _add(self, worked: Worked, task: Task, samples: Sequence[Sample]) -> None:
        project, sidecars = self.project, self.predictor.images.sidecars
        self.predictor.sounds.fill(samples)
        written = written_down(samples, sidecars.transcripts), written_down(self._known(task), sidecars.transcripts)
        like = like_labelled(*written, project.config.data.images, None)
        # Whatever label the shard gives, it is not looked at.
        pool = [replace(sample, label=None) for row, sample in enumerate(samples) if row not in like]
        if not pool:
            return
        self.predictor.images.fill(pool)
        table = FieldTable(pool, sidecars)
        prompts = shown_prompts(project, self.teacher, pool)
        said = ask_teacher(self.teacher, task, table, prompts, self.threads, before=self.strays[task.name])
        decisions = self.predictor.predictor.decide(pool)
        model = np.array([task.label_names.index(str(decision.model_label)) for decision in decisions])
        if task.name not in self.votes:
            self.votes[task.name] = self._votes(task, sidecars)
        kept = keeps(said, model, self.votes[task.name](table), project.config.distill.confidence)
        name = require_teacher(project.config)
        for row in np.flatnonzero(kept).tolist():
            labelled = distilled_record(task.label_names, pool[row], said, row, name, ROUND)
            worked.records.append({**labelled, "audio": labelled.get("audio")})
        for row, sample in enumerate(pool):
            if said.labels[row] == NO_LABEL:
                reason = said.failed.get(sample.id, f"{name}: its answer is none of the labels")
                worked.problems.append(Problem(sample.id, task.name, reason))

    def _known(self, task: Task) -> list[Sample]:
        splits = self.project.splits
        return [sample for split in splits for sample in self.project.task_samples(task, split)]

    def _votes(self, task: Task, sidecars: Sidecars) -> Votes:
        arbiter = Arbiter.load(archive_path(self.project, task).parent)
        weighed = arbiter.weigh(active_rules(mined_rules_of(self.project, task).rules, task, sidecars))
        base_rates = np.array(arbiter.base_rates)
        return lambda table: rule_votes(task, table, weighed.rules, weighed.reliability, base_rates)

    def end(self) -> None:
        """Tell what was missing."""
        self.predictor.warn()

    def close(self) -> None:
        """End the processes that read pictures and sounds."""
        self.predictor.close()
