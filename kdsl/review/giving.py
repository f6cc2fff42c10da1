"""What the pages on which people give labels have in common."""

from collections.abc import Sequence

from kdsl.data.label_log import LabelEvent
from kdsl.errors import KdslError
from kdsl.review.form import Form
from kdsl.review.page import Call


def label_in(call: Call, task: str, form: Form) -> str:
    """The label that was sent; KdslError where it is none of the task's."""
    label, names = form["label"].strip(), call.site.indexes[task].task.label_names
    if label not in names:
        raise KdslError(f"{label[:60]!r} is no label of {task}; it has {', '.join(names):.200}")
    return label


def take_back(call: Call, task: str) -> tuple[LabelEvent, str]:
    """What the reviewer gave last, taken back, and the task that it was of, `task` where that is there no more."""
    event = call.site.labels.log.undo(call.site.reviewer)
    if event is None:
        raise KdslError(f"{call.site.reviewer} has given no label that could be undone")
    return event, event.task if event.task in call.site.tasks else task


def behind(names: Sequence[str], name: str) -> Sequence[str]:
    """What stands behind one in a list; nothing where it is not in there."""
    return names[names.index(name) + 1 :] if name in names else ()
