"""One task as it is learned: what its classifier says about unlabelled samples before rules are mined."""

from dataclasses import replace

import numpy as np
import pytest

from kdsl.fields.sidecar import Sidecars
from kdsl.fields.table import FieldTable
from kdsl.mining.miner import MiningSettings
from kdsl.mining.problem import ALL_SAMPLES
from kdsl.mining.search import SearchSettings
from kdsl.models.embedded import EmbeddedTrainer
from kdsl.project.fitting import advances, fit, mine_in_memory
from kdsl.project.mining import search
from kdsl.project.task import TaskProject
from kdsl.sample import Label, Sample, Task, Turn

TASK = Task("shop", (Label("甲"), Label("乙")))


def table(texts: list[str], prefix: str) -> FieldTable:
    return FieldTable([Sample(f"{prefix}{i}", "shop", (Turn("user", t),)) for i, t in enumerate(texts)], Sidecars())


TEXTS = [f"{word}了{end}" for end in "吧吗呢啊呀哦" for word in ("退款", "尺码")]
NEW = table(["退款", "尺码", "退款尺码"], "u")


@pytest.fixture
def own() -> TaskProject:
    settings = MiningSettings(SearchSettings(max_conditions=1, iterations=5), folds=3)
    trainer = EmbeddedTrainer(TASK)
    return TaskProject(
        TASK, table(TEXTS, "s"), np.arange(12) % 2, settings, learn=lambda rules: trainer, unlabelled=lambda: NEW
    )  # fmt: skip


def test_what_is_said_without_a_fold_comes_from_a_classifier_that_never_saw_it(own):
    told = []
    opinion = own.opinion(told.append)
    assert opinion.table is NEW
    assert sorted(opinion.probabilities) == [ALL_SAMPLES, 0, 1, 2]
    for fold, said in opinion.probabilities.items():
        rows = np.flatnonzero(own.folds != fold)
        assert len(rows) == (12 if fold == ALL_SAMPLES else 8)
        alone = EmbeddedTrainer(TASK).fit(own.table.select(rows), own.labels[rows], 2)
        assert said == pytest.approx(alone.predict(NEW).probabilities)
        assert said[0, 0] > 0.5 > said[1, 0]
    assert told == ["shop: unlabelled samples"] * 4


def test_without_unlabelled_samples_there_is_nothing_to_say(own):
    assert replace(own, unlabelled=lambda: table([], "u")).opinion() is None


def test_a_label_of_one_sample_is_missing_from_a_training(own):
    few = own.select(np.arange(2))
    assert few.opinion().probabilities[0].shape == (3, 2)


def test_rules_mined_in_memory_have_heard_it(own):
    archive = mine_in_memory(own, workers=1).archive
    assert any(entry.shown.expected is not None for part in archive.held_out for entry in part)
    mined = search(own, own.opinion(), workers=1)
    assert {shown.expected is None for shown in mined.shown} == {False}
    assert {shown.expected for shown in search(own, workers=1).shown} == {None}


@pytest.mark.parametrize("new", [NEW, table([], "u")])
def test_every_piece_of_work_is_told_of(own, new):
    told, own = [], replace(own, unlabelled=lambda: new)
    fit(own, workers=1, advance=told.append)
    assert len(told) == advances(own) == (4 if len(new) else 0) + 4 * 2 + 4
