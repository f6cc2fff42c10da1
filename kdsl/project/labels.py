"""The labels that a Python program gives: those of samples, and the closed list of all with descriptions."""

from collections.abc import Iterable, Mapping, Set
from dataclasses import replace
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.multiclass import check_classification_targets

from kdsl.data.given import is_empty
from kdsl.data.plain import UNNAMED_TASK
from kdsl.data.record import shown
from kdsl.errors import KdslError
from kdsl.sample import Label, Task
from kdsl.tasks import task_text


def labels_given(y: Any, count: int) -> NDArray[Any]:
    """The labels as an array [n_samples], of one type and none missing."""
    unordered = isinstance(y, str | bytes | Mapping | Set) or not isinstance(y, Iterable)
    if unordered or len(getattr(y, "shape", (0,))) != 1:
        raise KdslError(f"y is {shown(y)}; give a list with the label of every sample")
    values = list(y)
    if len(values) != count:
        raise KdslError(f"X has {count} samples and y has {len(values)} labels; give one label for every sample")
    for number, value in enumerate(values, start=1):
        if is_empty(value):
            raise KdslError(f"y, item {number}: is missing; give every sample a label, or leave the sample out")
        if not isinstance(value, str | Real | np.bool_):
            raise KdslError(f"y, item {number}: {shown(value)} is no label; give a text, a number, True or False")
        if isinstance(value, str) and value.endswith("\0"):  # numpy would drop it
            raise KdslError(f"y, item {number}: {value!r} ends with '\\x00', which is no text; remove it")
        if isinstance(value, str) != isinstance(values[0], str):
            raise KdslError(f"y: item 1 is {shown(values[0])} and item {number} is {shown(value)}; give one type")
    array = np.asarray(y if isinstance(y, np.ndarray) and y.dtype.kind in "biufUO" else values)
    try:
        check_classification_targets(array)
    except ValueError as error:
        told = str(error).splitlines()[0].split(". ")[0].rstrip(".")
        raise KdslError(f"y: {told}; give names, whole numbers, or True and False") from error
    return array


def task_of(values: NDArray[Any], labels: Any, other: Any = None) -> tuple[NDArray[Any], Task]:
    """The classes, sorted, and the task that has them for labels; `labels` and `other` are the parameters."""
    described = _described(labels) if labels is not None else {value: "" for value in np.unique(values).tolist()}
    if other is not None:
        described = {**_described([*described, other] if other not in described else list(described)), **described}
    if len(described) < 2:
        only = ", ".join(map(repr, described)) or "none"
        raise KdslError(f"the only label is {only}; a classifier needs samples of at least two labels")
    if labels is None and other is None:
        classes = np.unique(values)
    else:
        classes = np.unique(np.array(list(described), dtype=values.dtype if values.dtype == object else None))
    for number, value in enumerate(values.tolist(), start=1):
        if value not in described:
            known = ", ".join(map(repr, described))
            raise KdslError(f"y, item {number}: {value!r} is none of the labels; they are {known:.200}")
    task = Task(UNNAMED_TASK, tuple(Label(str(value), described[value]) for value in classes.tolist()))
    if other is not None:
        task = replace(task, other=str(other))
    task_text(task)  # says what is wrong with a name before anything is learned
    return classes, task


def _described(labels: Any) -> dict[Any, str]:
    """Label → description."""
    if isinstance(labels, Mapping):
        pairs = list(labels.items())
    elif isinstance(labels, Iterable) and not isinstance(labels, str):
        pairs = [(each.name, each.description) if isinstance(each, Label) else (each, "") for each in labels]
    else:
        raise KdslError(f"labels is {shown(labels)}; give a list of names, or a dict of names and descriptions")
    found: dict[Any, str] = {}
    for name, description in pairs:
        if is_empty(name) or not isinstance(name, str | Real | np.bool_):
            raise KdslError(f"labels: {shown(name)} is no label; give texts, numbers, or True and False")
        if isinstance(name, str) != isinstance(pairs[0][0], str):
            raise KdslError(f"labels: there are {shown(pairs[0][0])} and {shown(name)}; give labels of one type")
        if not isinstance(description, str):
            raise KdslError(f"labels: the description of {shown(name)} is {shown(description)}; it must be text")
        if name in found:
            raise KdslError(f"labels: {shown(name)} is listed twice; keep one of the two")
        found[name] = description
    return found
