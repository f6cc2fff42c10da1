"""Results of predictors that are right at random, to be scored and shown."""

import numpy as np

from kdsl.evaluate.metrics import NO_PREDICTION, Outcome
from kdsl.evaluate.report import TaskResult

LONG = "下单过程中屏幕上出现异常提示（显示未能购买）"


def result(task, labels, n, seed):
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, len(labels), n)
    probabilities = generator.dirichlet(np.ones(len(labels)), n)
    probabilities[np.arange(n), truth] += 0.5
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    model = Outcome(truth, probabilities.argmax(axis=1), probabilities)
    both = Outcome(truth, np.where(generator.random(n) < 0.3, truth, model.predicted), probabilities)
    rules = Outcome(truth, np.where(generator.random(n) < 0.5, truth, NO_PREDICTION))
    return TaskResult(task, tuple(labels), tuple(f"{task}-{i}" for i in range(n)), model, rules, both)


def two_tasks() -> list[TaskResult]:
    """Results of an intent and of a scene task, the latter with a long label."""
    return [
        result("intent_zh", ["能否调光", "商品[材质]", "从未出现"][:2], 60, 1),
        result("scene_zh", [LONG, "其他"], 90, 2),
    ]
