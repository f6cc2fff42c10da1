"""What decided, in three short hashes that stand beside every decision that a service makes."""

from functools import reduce
from pathlib import Path
from typing import Any

from kdsl.arbiter.state import PredictorState
from kdsl.config import EMBEDDED, EMBEDDED_ENCODER, NO_ENCODER, RECORDED, SMALL_EMBEDDED, ProjectConfig
from kdsl.pretrained import fingerprint
from kdsl.project.dependencies import hashed, keys_of
from kdsl.project.project import Project
from kdsl.version import RESULTS_VERSION

_DIGITS = 12
_OTHERS = ("tasks", "serve")
"""Keys of kdsl.yaml that do not count: of task files the content counts, and how the service runs decides nothing."""
_MODELS = ("encoder", "small", "large")
_WITHOUT_WEIGHTS = (*EMBEDDED, *SMALL_EMBEDDED, NO_ENCODER, EMBEDDED_ENCODER)


def versions_of(project: Project, state: PredictorState) -> dict[str, str]:
    """The versions of the rules, checkpoint and configuration that a project predicts with, 12 hex digits each.

    `rules` changes with every rule that counts, its review included; `checkpoint` with what was trained, and with
    recorded answers; `config` with the tasks, with the settings in force, overrides included, and with versions of
    KDSL that may decide otherwise. The same content has the same versions on any machine and in any folder: of a
    model's folder its weights count, and of other places only whether one is named.
    """
    active = {task: {id: rule for id, rule in rules.items() if rule.active} for task, rules in state.rules.items()}
    rules = [(task, [(id, known[id]) for id in sorted(known)]) for task, known in sorted(active.items())]
    keys = [key for key in keys_of(ProjectConfig) if key.partition(".")[0] not in _OTHERS]
    settings = [(key, _portable(key, reduce(getattr, key.split("."), project.config))) for key in keys]
    return {
        "rules": hashed(rules)[:_DIGITS],
        "checkpoint": hashed(sorted(state.trained.items()), state.recorded)[:_DIGITS],
        "config": hashed(RESULTS_VERSION, project.tasks, settings)[:_DIGITS],
    }


def _portable(key: str, value: Any) -> object:
    """A value of kdsl.yaml without what only this machine knows."""
    if isinstance(value, Path):
        return "a place"
    if key in _MODELS and value not in _WITHOUT_WEIGHTS:
        return RECORDED if value.startswith(RECORDED) else fingerprint(value)
    return value
