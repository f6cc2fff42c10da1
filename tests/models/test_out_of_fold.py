"""Out-of-fold predictions: no row comes from a classifier that saw it."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from kdsl.fields.sidecar import Sidecars
from kdsl.fields.table import FieldTable
from kdsl.models.classifier import Predicted
from kdsl.models.out_of_fold import out_of_fold, out_of_fold_each
from kdsl.sample import Sample


@dataclass
class Memory:
    """Knows the ids it was trained on, and gives label 1 to them and label 0 to all others."""

    ids: set[str]

    def predict(self, table: FieldTable) -> Predicted:
        return Predicted(np.array([[0.0, 1.0] if row.sample.id in self.ids else [1.0, 0.0] for row in table.rows]))

    def save(self, folder: Path) -> None:
        raise NotImplementedError


@dataclass
class MemoryTrainer:
    seen: list[dict[str, int]] = field(default_factory=list)

    def fit(self, table: FieldTable, labels: np.ndarray, n_labels: int) -> Memory:
        ids = [row.sample.id for row in table.rows]
        self.seen.append(dict(zip(ids, labels.tolist(), strict=True)))
        return Memory(set(ids))


FOLDS = np.array([0, 1, 2, 0, 1, 2, 0])
LABELS = np.array([0, 1, 0, 1, 0, 1, 0])
TABLE = FieldTable([Sample(str(i), "t") for i in range(7)], Sidecars())


def test_every_sample_is_predicted_by_a_classifier_that_did_not_see_it():
    assert out_of_fold(MemoryTrainer(), TABLE, LABELS, 2, FOLDS).tolist() == [[1.0, 0.0]] * 7


def test_every_classifier_learns_from_all_other_folds_with_their_labels():
    trainer = MemoryTrainer()
    out_of_fold(trainer, TABLE, LABELS, 2, FOLDS)
    others = [{str(i): int(LABELS[i]) for i in range(7) if FOLDS[i] != fold} for fold in range(3)]
    assert trainer.seen == others


def test_several_learn_from_one_fold_before_the_next_and_each_as_it_does_alone():
    seen = []
    both = out_of_fold_each([MemoryTrainer(seen), MemoryTrainer(seen)], TABLE, LABELS, 2, FOLDS)
    assert both.tolist() == [[[1.0, 0.0]] * 7] * 2
    assert [seen[i] == seen[i + 1] for i in range(5)] == [True, False, True, False, True]


def test_progress_is_told_after_every_fold():
    told = []
    out_of_fold(MemoryTrainer(), TABLE, LABELS, 2, FOLDS, lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]
