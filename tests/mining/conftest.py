"""What mining tests share: a task, a small budget, and a small shop."""

import random

import numpy as np
import pytest
from planted import noise, table_of

from kdsl.fields.table import FieldTable
from kdsl.mining.miner import MiningSettings
from kdsl.mining.search import SearchSettings
from kdsl.sample import Label, Task


@pytest.fixture
def task() -> Task:
    """Two labels whose names and descriptions stand in no sample."""
    return Task("t", (Label("甲"), Label("乙")))


@pytest.fixture(scope="session")
def settings() -> MiningSettings:
    return MiningSettings(SearchSettings(iterations=80), folds=3)


@pytest.fixture(scope="session")
def shop() -> tuple[Task, FieldTable, np.ndarray]:
    """Three labels, each with three words of its own, in 90 samples with some noise."""
    task = Task("shop", (Label("调光", "灯光亮度"), Label("材质"), Label("其他")))
    own = [("亮度", "变暗", "灯光"), ("棉麻", "面料", "材质"), ("包邮", "谢谢", "在吗")]
    source, filler = random.Random(0), noise(1, 6)
    labels = np.array([i % 3 for i in range(90)])
    words = [own[label if source.random() < 0.9 else (label + 1) % 3] for label in labels]
    return task, table_of([f"{filler()}，{source.choice(choice)}" for choice in words]), labels
