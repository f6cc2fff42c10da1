"""What a project with several labels a sample cannot have yet, said before anything is done."""

from collections.abc import Iterable

from kdsl.config import SMALL_EMBEDDED, ProjectConfig
from kdsl.errors import KdslError
from kdsl.sample import Task


def require_possible(config: ProjectConfig, tasks: Iterable[Task]) -> None:
    """Raise KdslError where a task has several labels a sample and the configuration what knows one only."""
    task = next((task for task in tasks if task.multi), None)
    if task is None:
        return
    prompt = config.prompt
    wanted = {
        f"large: {config.large}": (config.large != "linear", "set `large: linear`"),
        "prompt.neighbours": (prompt.neighbours > 0, "set it to 0"),
        "prompt.knowledge": (prompt.knowledge > 0, "set it to 0"),
        "augment.copies": (config.augment.copies > 0, "set it to 0"),
        "abstain": (config.abstain is not None, "take it out"),
        "data.distilled": (config.data.distilled is not None, "take it out"),
        f"small: {config.small}": (config.small not in SMALL_EMBEDDED, "set `small: meaning`"),
    }
    for name, (asked, remedy) in wanted.items():
        if asked:
            raise KdslError(
                f"{name}: the samples of {task.name} may have several labels (`multi: true`), which this knows "
                f"nothing of yet; {remedy}"
            )
