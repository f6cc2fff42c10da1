"""Cross-validation: nothing that predicts a sample has seen it."""

import random
from dataclasses import dataclass, field

import numpy as np
import pytest

from kdsl.data.splits import stratified_folds
from kdsl.errors import KdslError
from kdsl.evaluate.metrics import NO_PREDICTION
from kdsl.fields.sidecar import Sidecars
from kdsl.fields.table import FieldTable
from kdsl.mining.miner import MiningSettings
from kdsl.mining.proposer import LexicalProposer
from kdsl.mining.search import SearchSettings
from kdsl.models.linear import LinearTrainer
from kdsl.project.cross_validation import cross_validate
from kdsl.project.small_parts import SmallParts
from kdsl.project.task import TaskProject
from kdsl.sample import Label, Sample, Task, Turn, label_indices

TASK = Task("shop", (Label("调光"), Label("材质")))
SETTINGS = MiningSettings(SearchSettings(iterations=20), folds=2)


def samples(n=40, own=("亮度", "棉麻")):
    source = random.Random(0)
    rows = []
    for index in range(n):
        text = "".join(source.choices("春夏秋冬东南西北金木水火山石", k=8)) + own[index % 2]
        rows.append(Sample(f"s{index}", "shop", (Turn("user", text),), label=TASK.label_names[index % 2]))
    return rows


def shop(rows=None, trainer=None, **options) -> TaskProject:
    rows = samples() if rows is None else rows
    labels = np.array(label_indices(rows, TASK))
    learner = trainer or LinearTrainer(0)
    return TaskProject(TASK, FieldTable(rows, Sidecars()), labels, SETTINGS, learn=lambda rules: learner, **options)


@dataclass
class Remembering:
    """Trains the linear classifier and keeps which samples each was trained on and asked about."""

    seen: list[tuple[set[str], set[str]]] = field(default_factory=list)

    def fit(self, table, labels, n_labels):
        trained = {row.sample.id for row in table.rows}
        classifier = LinearTrainer(0).fit(table, labels, n_labels)
        seen = self.seen

        class Watched:
            def predict(self, table):
                seen.append((trained, {row.sample.id for row in table.rows}))
                return classifier.predict(table)

        return Watched()


def test_every_sample_is_predicted_once_by_what_never_saw_it():
    trainer = Remembering()
    result = cross_validate(shop(trainer=trainer), 4, workers=1)
    assert result.ids == tuple(f"s{index}" for index in range(40))
    assert result.both.truth.tolist() == [0, 1] * 20
    assert all(trained.isdisjoint(asked) for trained, asked in trainer.seen)
    assert result.both.correct.mean() > 0.9


def test_terms_that_only_held_out_samples_share_are_in_no_rule():
    rows = samples(20)
    folds = stratified_folds(label_indices(rows, TASK), 4, 0)
    held_out = np.flatnonzero(folds == 0)
    for index in held_out:
        rows[index] = Sample(rows[index].id, "shop", (Turn("user", "独一无二"),), label=rows[index].label)
    result = cross_validate(shop(rows), 4, workers=1)
    assert (result.rules.predicted[held_out] == NO_PREDICTION).all()


def test_the_small_model_is_shown_only_samples_that_are_not_predicted():
    shown = []

    def small(table, labels):
        shown.append(({row.sample.id for row in table.rows}, labels.tolist()))
        return SmallParts(LexicalProposer())

    cross_validate(shop(small=small), 4, workers=1)
    assert [len(ids) for ids, _ in shown] == [30] * 4
    assert set.intersection(*(ids for ids, _ in shown)) == set()
    assert all(labels.count(0) == 15 for _, labels in shown)


def test_the_same_seed_gives_the_same_result_and_progress_is_told():
    told = []
    first, second = (cross_validate(shop(seed=3), 2, lambda *at: told.append(at), workers=1) for _ in range(2))
    assert np.array_equal(first.both.probabilities, second.both.probabilities)
    assert np.array_equal(first.rules.predicted, second.rules.predicted)
    assert len(told) == 2 * 2 * (3 * 2 + 2 + 1), (
        "a search a label and a fold, the classifier of each fold, the arbiter"
    )
    assert {fold for fold, _ in told} == {0, 1}


def test_what_cannot_be_cross_validated_is_named():
    unlabelled = [*samples(), Sample("x", "shop", (Turn("user", "?"),))]
    with pytest.raises(KdslError, match="sample 'x' has the label None, which is none of the task's"):
        cross_validate(shop(unlabelled), 2, workers=1)
    with pytest.raises(KdslError, match="4 samples cannot be split into 5 folds"):
        cross_validate(shop(samples(4)), 5, workers=1)
