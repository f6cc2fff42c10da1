"""Self-training: what is kept is learned, the rest judged again, until it does not pay; no fold teaches itself."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from kdsl.distillation.agreement import SILENT
from kdsl.distillation.rounds import self_training
from kdsl.distillation.student import Kept, Student
from kdsl.distillation.teacher import TeacherLabels
from kdsl.fields.sidecar import Sidecars
from kdsl.fields.table import FieldTable
from kdsl.models.classifier import Predicted
from kdsl.models.linear import LinearTrainer
from kdsl.models.soft_labels import SoftLabels, SoftLabelTrainer
from kdsl.sample import Label, Sample, Task, Turn

TASK = Task("shop", (Label("调光"), Label("材质")))
N, POOL = 12, 200


def table(texts: list[str], prefix: str) -> FieldTable:
    samples = [Sample(f"{prefix}{i}", "shop", (Turn("user", text),)) for i, text in enumerate(texts)]
    return FieldTable(samples, Sidecars())


@dataclass
class Course:
    """A trainer whose model grows with its soft labels: it knows pool sample i once `knows(their ids)` does."""

    right: list[int]
    """How many of people's samples it gets right in each round."""
    reach: list[int]
    """How many pool samples it gets right in each round."""
    soft_labels: list[list[str]] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)

    def __call__(self, soft_labels: SoftLabels) -> "Course":
        ids = [row.sample.id for row in soft_labels.table.rows]
        self.soft_labels.append(ids)
        if len(self.soft_labels) % 4 == 1:  # the model of all folds comes first, then three without one
            self.sizes.append(len(ids))
        return self

    def fit(self, table, labels, n_labels) -> "Course":
        return self

    def predict(self, table: FieldTable) -> Predicted:
        number = len(self.sizes) - 1
        found = np.full((len(table), 2), 0.5)
        for row, fields in enumerate(table.rows):
            kind, index = fields.sample.id[0], int(fields.sample.id[1:])
            knows = index < (self.right if kind == "s" else self.reach)[number]
            found[row] = np.eye(2)[index % 2 if knows else 1 - index % 2]
        return Predicted(found)


def student(course, rules=None) -> Student:
    pool = table([f"第{i}个" for i in range(POOL)], "u")
    of_pool = np.arange(POOL) % 2
    teacher_labels = TeacherLabels(of_pool, np.full(POOL, 0.9), np.eye(2)[of_pool])
    rules = np.full(POOL, SILENT) if rules is None else rules
    people = table([f"第{i}位" for i in range(N)], "s")
    folds = np.arange(N) % 3
    return Student(
        TASK, people, np.arange(N) % 2, folds, pool, teacher_labels, rules, dict.fromkeys(range(3), rules), 0.8, course
    )


def run(course: Course, rounds: int = 5):
    return self_training(student(course), rounds, lambda: None)


def test_rounds_go_on_while_weighted_f1_rises():
    found = run(Course(right=[6, 8, 10, 9], reach=[20, 50, 100, 150]))
    assert [(r.number, r.kept, r.new) for r in found.rounds] == [(0, 0, 0), (1, 20, 20), (2, 50, 30), (3, 100, 50)]
    assert found.ended == "weighted F1 does not rise"
    assert found.best == 2
    assert found.kept.sum() == 50


def test_the_configured_number_of_rounds_is_the_most():
    found = run(Course(right=[6, 8, 10, 12], reach=[20, 50, 100, 150]), rounds=2)
    assert (found.best, found.ended) == (2, "distill.rounds is 2")


def test_rounds_end_when_hardly_anything_is_new():
    found = run(Course(right=[6, 8, 10], reach=[20, 21, 21]))
    assert (found.best, len(found.rounds)) == (1, 2)
    assert found.ended == "only 1 more samples would be kept"


def test_the_first_round_is_kept_though_it_does_not_help():
    found = run(Course(right=[8, 6], reach=[20, 50]))
    assert (found.best, found.kept.sum(), found.ended) == (1, 20, "weighted F1 does not rise")


def test_nothing_to_keep():
    found = run(Course(right=[8], reach=[0]))
    assert (found.best, found.kept.any(), found.ended) == (0, False, "nothing is kept")


def test_rules_that_speak_are_worth_more_than_the_model():
    rules = np.where(np.arange(POOL) < 60, np.arange(POOL) % 2, SILENT)
    assert self_training(student(Course([6, 8], [20, 20]), rules), 1, lambda: None).kept.sum() == 60


def test_what_predicts_a_fold_learns_from_nothing_that_was_kept_by_help_of_it():
    """The models without each fold know other pool samples than the one of all: each learns its own."""
    course = Course(right=[6, 6], reach=[20, 20])
    pupil = student(course)
    judged = pupil.learn(Kept(np.zeros(POOL, dtype=bool)), lambda: None)
    judged.model_without[1][:] = 1 - np.arange(POOL) % 2
    kept = pupil.kept(judged)
    assert (kept.all.sum(), [kept.without[fold].sum() for fold in range(3)]) == (20, [20, 0, 20])
    pupil.learn(kept, lambda: None)
    assert [len(ids) for ids in course.soft_labels[-4:]] == [20, 20, 0, 20]


WORDS = ("亮度调节", "棉麻面料")


@pytest.fixture
def linear() -> Student:
    """Two labels; the pool holds words that people's samples have, beside words that they have not."""
    people = table([WORDS[i % 2] + "甲乙丙丁"[i % 4] for i in range(24)], "s")
    pool = table([WORDS[i % 2] + ("变暗" if i % 2 == 0 else "起球") for i in range(40)], "u")
    labels = np.arange(40) % 2
    teacher_labels = TeacherLabels(labels, np.full(40, 0.9), np.eye(2)[labels])
    silent = np.full(40, SILENT)
    return Student(
        TASK, people, np.arange(24) % 2, np.arange(24) % 4, pool, teacher_labels, silent,
        dict.fromkeys(range(4), silent), 0.8, lambda soft_labels: SoftLabelTrainer(LinearTrainer(), soft_labels),
    )  # fmt: skip


def test_the_embedded_classifier_learns_new_words_from_the_teacher(linear):
    found = self_training(linear, 1, lambda: None)
    assert found.kept.all()
    new = table(["变暗", "起球"], "n")
    before = LinearTrainer().fit(linear.table, linear.labels, 2).predict(new).probabilities
    after = (
        linear.trainer(linear.soft_labels(found.kept)).fit(linear.table, linear.labels, 2).predict(new).probabilities
    )
    assert before[0] == pytest.approx(before[1], abs=0.05)
    assert after[0, 0] > 0.7 and after[1, 1] > 0.7


def test_soft_targets_leave_doubt(linear):
    hard = linear.soft_labels(np.ones(40, dtype=bool))
    soft = SoftLabels(hard.table, 0.8 * hard.shares + 0.1)
    sure = [
        linear.trainer(t).fit(linear.table, linear.labels, 2).predict(soft.table).probabilities.max()
        for t in (soft, hard)
    ]
    assert sure[0] < sure[1]
    assert sure[0] == pytest.approx(0.9, abs=0.06)
