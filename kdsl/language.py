"""Whether a task is Chinese: its models are then asked in Chinese, else in English."""

import re

from kdsl.sample import Task

_CHINESE = re.compile("[\u4e00-\u9fff]")


def holds_chinese(text: str) -> bool:
    return _CHINESE.search(text) is not None


def in_chinese(task: Task) -> bool:
    """Whether the task's prompt, or the name or description of a label, holds Chinese."""
    return holds_chinese(task.prompt) or labels_in_chinese(task)


def labels_in_chinese(task: Task) -> bool:
    """Whether the name or description of a label holds Chinese."""
    return any(holds_chinese(label.name + label.description) for label in task.labels)
