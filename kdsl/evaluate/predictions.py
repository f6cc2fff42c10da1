"""Prediction files against labelled samples: what model, rules and both said about every sample."""

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, ValidationError

from kdsl.arbiter.multi_label_decision import AnyDecision
from kdsl.errors import KdslError
from kdsl.evaluate.metrics import NO_PREDICTION, Outcome
from kdsl.evaluate.multi_label import MultiOutcome
from kdsl.evaluate.report import AnyResult, MultiLabelResult, RuleHit, TaskResult, Why
from kdsl.result_shards import records_at
from kdsl.sample import Sample, SampleKey, Task
from kdsl.vlm.usage import Cost
from kdsl.yaml_file import yaml_string

SUM_TOLERANCE = 0.02
"""Probabilities rounded to a few digits need not sum to exactly 1."""

RULES_ALONE_RELIABILITY = 0.5
"""Reliability from which a rule may speak without a model beside it."""

_ALTERNATIVES = ("str", "list[str]")
"""How pydantic names the two that a label may be."""
Probability = Annotated[float, Field(ge=0, le=1 + 1e-6, allow_inf_nan=False)]
Distribution = dict[str, Probability]


class ModelPart(BaseModel):
    """What the model alone said; `probabilities` is its whole distribution, where that was written."""

    label: str | list[str]
    """All labels that hold, of a task with several a sample."""
    probability: Probability | None = None
    probabilities: Distribution | None = None


class RulePart(BaseModel):
    id: str = ""
    label: str
    reliability: Probability


class DecisionPart(BaseModel):
    by: str = ""
    reason: str = ""


class CostPart(BaseModel):
    calls: Annotated[int, Field(ge=0)] = 0
    tokens: Annotated[int, Field(ge=0)] = 0
    dropped: Annotated[int, Field(ge=0)] = 0


class Prediction(BaseModel):
    """The part of a prediction record that evaluation reads; further keys are left alone."""

    id: str
    task: str
    label: str | list[str] | None
    """None where the decision was handed to a person."""
    probabilities: Distribution | None = None
    model: ModelPart
    rules: list[RulePart] = []
    decision: DecisionPart = DecisionPart()
    cost: CostPart | None = None
    """Of model calls; None where no model was asked."""


def read_results(predictions: Path, truth: Path, samples: Sequence[Sample], tasks: Sequence[Task]) -> list[AnyResult]:
    """Compare a prediction file with the labelled `samples` that were read from `truth`; one result per task in them.

    The rules alone say the label of their most reliable hit (the first of equals), and nothing where none is at least
    `RULES_ALONE_RELIABILITY`: rules that are more often wrong than right help the arbiter, but decide nothing by
    themselves. The model alone is judged by `model.label`; its confidences come from `model.probabilities`, or from
    `model.probability` where any record lacks those.

    Raises KdslError, naming file and line or sample, for records of another shape, unknown labels or tasks,
    probabilities that do not sum to 1, ids that are predicted twice, unknown or missing, and samples without a label.
    """
    by_name = {task.name: task for task in tasks}
    expected = labelled_samples(truth, samples, tasks)
    tasks_of: dict[str, list[str]] = {}
    for task_name, id_ in expected:
        tasks_of.setdefault(id_, []).append(task_name)
    found: dict[SampleKey, Prediction] = {}
    places: dict[SampleKey, str] = {}
    for place, record in records_at(predictions):
        prediction = _parse(place, record)
        id_, key = prediction.id, (prediction.task, prediction.id)
        if id_ not in tasks_of:
            raise KdslError(f"{place}: no sample in {truth} has the id {id_!r}; evaluate against the file predicted")
        if key in found:
            raise KdslError(
                f"{place}: the id {id_!r} was predicted before, on {_within(places[key], place)}; keep one of them"
            )
        if key not in expected:
            raise KdslError(
                f"{place}: {id_!r} is predicted for task {prediction.task!r}, but {truth} has it in task "
                f"{' and '.join(map(repr, tasks_of[id_]))}"
            )
        _check_labels(place, prediction, by_name[prediction.task])
        found[key], places[key] = prediction, place
    missing = [id_ for task_name, id_ in expected if (task_name, id_) not in found]
    if missing:
        raise KdslError(
            f"{predictions}: no prediction for {len(missing)} of the {len(expected)} samples in {truth}, the first "
            f"being {missing[0]!r}; predict the whole file"
        )
    groups = [(task, [sample for sample in samples if sample.task == task.name]) for task in tasks]
    return [_result(task, group, [found[sample.key] for sample in group]) for task, group in groups if group]


def read_predictions(path: Path) -> list[Prediction]:
    """What a prediction file holds; KdslError for records of another shape, and for samples predicted twice."""
    found: dict[SampleKey, Prediction] = {}
    for place, record in records_at(path):
        prediction = _parse(place, record)
        key = prediction.task, prediction.id
        if key in found:
            raise KdslError(f"{place}: the id {prediction.id!r} was predicted before; keep one of them")
        found[key] = prediction
    return list(found.values())


def _within(place: str, other: str) -> str:
    """A place as it is told beside another one: without the file, if that is the same."""
    file, _, inside = place.rpartition(", ")
    return inside if other.startswith(f"{file}, ") else place


def task_result(task: Task, samples: Sequence[Sample], records: Iterable[dict[str, Any]]) -> AnyResult:
    """The same for labelled samples of one task and their prediction records, in the same order."""
    return _result(task, samples, [Prediction.model_validate(record) for record in records])


def decision_results(
    samples: Sequence[Sample], decisions: Iterable[AnyDecision], tasks: Sequence[Task]
) -> list[AnyResult]:
    """The same for labelled samples (see `labelled_samples`) and the decisions on all of them, in any order."""
    records = {decision.sample.key: decision.record() for decision in decisions}
    groups = [(task, [sample for sample in samples if sample.task == task.name]) for task in tasks]
    return [task_result(task, group, [records[sample.key] for sample in group]) for task, group in groups if group]


def labelled_samples(truth: Path, samples: Sequence[Sample], tasks: Sequence[Task]) -> dict[SampleKey, Sample]:
    """The samples that were read from `truth`, by key; KdslError for what `read_results` refuses about them."""
    if not samples:
        raise KdslError(f"{truth}: holds no sample; evaluation needs labelled samples")
    unlabelled = [sample.id for sample in samples if sample.answer is None]
    if unlabelled:
        raise KdslError(
            f"{truth}: {len(unlabelled)} of {len(samples)} samples have no label, the first being {unlabelled[0]!r}; "
            "evaluation needs a label for each"
        )
    labels = {task.name: task.label_names for task in tasks}
    _require_listed(truth, samples, tasks)
    by_key: dict[SampleKey, Sample] = {}
    for sample in samples:
        place = f"{truth}: sample {sample.id!r}"
        if sample.key in by_key:
            raise KdslError(f"{place} occurs twice; predictions are matched by id, so give each sample its own")
        if sample.task not in labels:
            raise KdslError(f"{place} is of task {sample.task!r}; the project's tasks are {', '.join(labels)}")
        by_key[sample.key] = sample
    return by_key


def _require_listed(truth: Path, samples: Sequence[Sample], tasks: Sequence[Task]) -> None:
    """Raise KdslError where samples have a label that their task does not list."""
    for task in tasks:
        of_task = [sample for sample in samples if sample.task == task.name]
        strange = [each for each in of_task if not set(each.given_labels or ()) <= set(task.label_names)]
        if strange:
            found = dict.fromkeys(label for sample in strange for label in sample.given_labels or ())
            names = ", ".join(repr(name) for name in [name for name in found if name not in task.label_names][:_NAMED])
            other = "NAME" if task.other is None else yaml_string(task.other)
            raise KdslError(
                f"{truth}: {len(strange)} of {len(samples)} samples have a label that task {task.name} does not list "
                f"({names}), the first being sample {strange[0].id!r}; correct them, list the label in the task file, "
                f"or write `other: {{label: {other}, unlisted: true}}` there, if they belong to none of its labels"
            )


_NAMED = 3
"""Labels that are named where they are not listed."""


def _parse(place: str, record: dict[str, Any]) -> Prediction:
    try:
        return Prediction.model_validate(record)
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(str(part) for part in problem["loc"] if part not in _ALTERNATIVES)
        found = "" if problem["type"] == "missing" else f", not {str(problem['input'])[:60]!r}"
        raise KdslError(
            f"{place}: not a prediction record: `{key}`: {problem['msg'][:1].lower()}{problem['msg'][1:]}{found}; "
            "expected lines as KDSL's prediction writes them"
        ) from error


def _check_labels(place: str, prediction: Prediction, task: Task) -> None:
    known = set(task.label_names)
    named: dict[str, list[str]] = {}
    for key, said in {"label": prediction.label, "model.label": prediction.model.label}.items():
        if isinstance(said, str | None) == task.multi:
            has, right = ("several labels", "a list of them") if task.multi else ("one label", "its name")
            raise KdslError(
                f"{place}: `{key}` is {said!r}, but a sample of task {task.name} has {has}; expected {right}, as "
                "KDSL's prediction writes it"
            )
        named[key] = [] if said is None else [said] if isinstance(said, str) else said
    named["rules"] = [hit.label for hit in prediction.rules]
    distributions = {"probabilities": prediction.probabilities, "model.probabilities": prediction.model.probabilities}
    for key, distribution in distributions.items():
        if distribution is not None:
            named[key] = list(distribution)
            total = sum(distribution.values())
            if not task.multi and abs(total - 1) > SUM_TOLERANCE:
                raise KdslError(f"{place}: `{key}` sum to {total:.3f}; give every label its probability, together 1")
    for key, labels in named.items():
        unknown = next((label for label in labels if label not in known), None)
        if unknown is not None:
            raise KdslError(
                f"{place}: `{key}` names the label {unknown!r}, which task {task.name} does not list; predict with "
                "the project's own task files"
            )


def _result(task: Task, samples: Sequence[Sample], predictions: Sequence[Prediction]) -> AnyResult:
    if task.multi:
        return _multi_label_result(task, samples, predictions)
    index = {name: i for i, name in enumerate(task.label_names)}

    def indices(labels: Iterable[str | list[str] | None]) -> NDArray[np.int64]:
        found = [index[label] if isinstance(label, str) else NO_PREDICTION for label in labels]
        return np.array(found, dtype=np.int64)

    truth = indices(sample.label for sample in samples)
    models = [prediction.model for prediction in predictions]
    confidences = [model.probability for model in models]
    return TaskResult(
        task=task.name,
        labels=task.label_names,
        ids=tuple(sample.id for sample in samples),
        model=Outcome(
            truth,
            indices(model.label for model in models),
            _matrix([model.probabilities for model in models], index),
            np.array(confidences, dtype=np.float64) if None not in confidences else None,
        ),
        rules=Outcome(truth, indices(map(_rules_alone, predictions))),
        both=Outcome(
            truth,
            indices(prediction.label for prediction in predictions),
            _matrix([prediction.probabilities for prediction in predictions], index),
        ),
        why=tuple(map(_why, predictions)),
        costs=tuple(map(_cost, predictions)),
        other=task.other,
    )


def _multi_label_result(task: Task, samples: Sequence[Sample], predictions: Sequence[Prediction]) -> MultiLabelResult:
    """The rules alone say every label that one of them says that is right often enough."""
    index = {name: i for i, name in enumerate(task.label_names)}

    def flags(labels: Iterable[Collection[str]]) -> NDArray[np.bool_]:
        return np.array([[name in given for name in index] for given in labels], dtype=bool)

    truth = flags(sample.labels or () for sample in samples)
    models = [prediction.model for prediction in predictions]
    return MultiLabelResult(
        task=task.name,
        labels=task.label_names,
        ids=tuple(sample.id for sample in samples),
        model=MultiOutcome(
            truth,
            flags(model.label for model in models),
            _values([model.probabilities for model in models], index),
        ),
        rules=MultiOutcome(
            truth,
            flags(
                {hit.label for hit in prediction.rules if hit.reliability >= RULES_ALONE_RELIABILITY}
                for prediction in predictions
            ),
        ),
        both=MultiOutcome(
            truth,
            flags(prediction.label or () for prediction in predictions),
            _values([prediction.probabilities for prediction in predictions], index),
        ),
        why=tuple(map(_why, predictions)),
        costs=tuple(map(_cost, predictions)),
    )


def _cost(prediction: Prediction) -> Cost | None:
    return None if prediction.cost is None else Cost(**prediction.cost.model_dump())


def _why(prediction: Prediction) -> Why:
    hits = tuple(RuleHit(hit.id, hit.label, hit.reliability) for hit in prediction.rules)
    return Why(prediction.decision.by, prediction.decision.reason, hits)


def _rules_alone(prediction: Prediction) -> str | None:
    best = max(prediction.rules, key=lambda hit: hit.reliability, default=None)
    return best.label if best is not None and best.reliability >= RULES_ALONE_RELIABILITY else None


def _matrix(distributions: list[Distribution | None], index: dict[str, int]) -> NDArray[np.float64] | None:
    """[n, n_labels], rows sum to 1; None where any record has no distribution."""
    matrix = _values(distributions, index)
    return None if matrix is None else matrix / matrix.sum(axis=1, keepdims=True)


def _values(distributions: list[Distribution | None], index: dict[str, int]) -> NDArray[np.float64] | None:
    """[n, n_labels], 0 for a label without a probability; None where any record has none at all."""
    matrix = np.zeros((len(distributions), len(index)))
    for row, distribution in enumerate(distributions):
        if distribution is None:
            return None
        for label, probability in distribution.items():
            matrix[row, index[label]] = probability
    return matrix
