"""Evaluations to be kept and compared: predictions by hand, and runs of them in a folder."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from kdsl.arbiter.state import PredictorState, RuleState
from kdsl.evaluate.metrics import NO_PREDICTION, Outcome
from kdsl.evaluate.report import RuleHit, TaskResult, Why, summarise
from kdsl.evaluate.runs import KeptPrediction, Run, RunRecord, SampleSet, task_scores, write_run

LABELS = ("调光", "材质", "物流")
START = datetime(2026, 11, 1, 9, 30, tzinfo=UTC)


def kept(id, truth, label, task="shop", **more):
    return KeptPrediction(id=id, task=task, truth=truth, label=label, **more)


def task_result(predicted, truth=(0, 0, 1, 1, 2, 2), task="shop", prefix="s"):
    """What one predictor says about samples s0, s1 …; every decision has a reason that names the sample."""
    truth, predicted = np.array(truth), np.array(predicted)
    probabilities = np.full((len(truth), len(LABELS)), 0.1)
    probabilities[np.arange(len(truth)), np.maximum(predicted, 0)] = 0.8
    outcome = Outcome(truth, predicted, probabilities)
    why = [Why("model", f"why {i}", (RuleHit("r-aaaa", LABELS[0], 0.9),)) for i in range(len(truth))]
    ids = tuple(f"{prefix}{i}" for i in range(len(truth)))
    silent = Outcome(truth, np.full(len(truth), NO_PREDICTION))
    return TaskResult(task, LABELS, ids, outcome, silent, outcome, why=tuple(why))


def state(trained="t0", **status):
    """One rule a keyword: its status."""
    rules = {id: RuleState(LABELS[0], "w", each, False) for id, each in status.items()}
    return PredictorState({"shop": trained}, None, {"shop": rules})


def keep(folder: Path, results, number=0, **changes) -> Run:
    """Keep results as run number 0, 1 …, an hour after each other; `changes` are other fields of the record."""
    fields = {
        "id": f"{number:06x}",
        "at": START + timedelta(hours=number),
        "samples": SampleSet(kind="test", name="test.jsonl", hash="h0"),
        "labels": {result.task: list(result.labels) for result in results},
        "config": {"seed": 0, "mining.iterations": 2000},
        "files": {"data.train": "a", "tasks": "b"},
        "state": state(),
        "versions": {"kdsl": "0.3.0"},
        "scores": task_scores(summarise(results, seed=0)),
    }
    return write_run(folder, RunRecord(**fields | changes), results)
