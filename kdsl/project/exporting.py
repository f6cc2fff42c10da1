"""A project's fine-tuned model as one directory that is served without LoRA."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from kdsl.errors import Hint, KdslError
from kdsl.files import is_there
from kdsl.hosts import is_address
from kdsl.project.project import Project

if TYPE_CHECKING:
    from kdsl.models.large.model_export import ModelExport
    from kdsl.models.large.weights import LargeWeights

_log = logging.getLogger(__name__)


def plan_export(project: Project, task: str | None = None, adapter: Path | None = None) -> "ModelExport":
    """What `kdsl export-model` writes: what was fine-tuned for a task, or an adapter from elsewhere.

    The task may be left out where one model is for all. Nothing is loaded yet. Raises KdslError where nothing was
    fine-tuned, where there are several models to choose from, and for what does not fit its base.
    """
    from kdsl.pretrained import without_extra

    try:
        import kdsl.vlm.checkpoint  # noqa: F401 (with torch, or a sentence)
    except ImportError as error:
        raise without_extra("kdsl export-model", error) from error
    if adapter is not None:
        if task is not None:
            raise KdslError("--adapter names what is exported, so leave --task out")
        return _planned(project, adapter, None)
    return _planned(project, *_trained(project, task))


def _trained(project: Project, name: str | None) -> tuple[Path, str | None]:
    """What was fine-tuned for a task, or for all, and its base where the project names that."""
    from kdsl.project.large import weights_of

    config = project.config
    chosen = [each for each in project.tasks if name in (None, each.name)]
    if not chosen:
        raise KdslError(
            f"no task is called {name!r}; the project has {', '.join(each.name for each in project.tasks)}"
        )
    weights = weights_of(project, keeping=False)
    if config.large_model is None or weights is None:
        raise KdslError(
            f"large: {config.large} has no weights to export; name the model that was fine-tuned, as large=NAME, or "
            "an adapter, as --adapter DIR"
        )
    if is_address(config.large_model):
        raise KdslError(
            f"large: {config.large} is served already, and its weights are not here; export where it was fine-tuned, "
            "or name its adapter, as --adapter DIR"
        )
    if config.projection is not None:
        raise KdslError(
            "large: has a projection, which is no part of any model that others can load; `kdsl export-fusionbrain` "
            "writes both"
        )
    if not weights.tunable:
        return Path(config.large_model).expanduser(), None
    found = {task.name: _tuned(project, weights, task.name) for task in chosen}
    if len(set(found.values())) > 1:
        raise KdslError(
            f"each task has an adapter of its own; name one with --task: {', '.join(found)} (adapters: joint trains "
            "one for all)"
        )
    return next(iter(found.values())), config.large_model


def _tuned(project: Project, weights: "LargeWeights", task: str) -> Path:
    """The folder of what was fine-tuned for a task, as it was when the task was trained."""
    from kdsl.models.large.record import LARGE_FILE, LargeRecord

    folder = project.config.checkpoint / task
    if not is_there(folder / LARGE_FILE):
        raise KdslError(f"{folder}: nothing was fine-tuned for {task} yet", Hint.TRAIN)
    record = LargeRecord.load(folder)
    if record.tuned is None:
        raise KdslError(
            f"{folder}: {weights.name} is used as it stands, so there is nothing to export; serve it as it is"
        )
    place = weights.tuned_folder(record.tuned)
    if record.model != weights.fingerprint:
        raise KdslError(f"{place}: was trained on another model than {weights.name}", Hint.TRAIN_AGAIN)
    if not place.is_dir() or weights.tuned_fingerprint(record.tuned) != record.tuned_weights:
        raise KdslError(f"{place}: not the weights that {task} was trained with", Hint.TRAIN_AGAIN)
    return place


def _planned(project: Project, source: Path, base: str | None) -> "ModelExport":
    from kdsl.models.large.card import TrainingCard
    from kdsl.models.large.model_export import ModelExport
    from kdsl.models.large.training_record import TrainingRecord
    from kdsl.pretrained import fingerprint
    from kdsl.vlm.checkpoint import adapter_base, family_of, find_model, is_adapter
    from kdsl.vlm.parameters import parameters_of
    from kdsl.vlm.pixels import PixelBudget
    from kdsl.vlm.saving import stored_type

    source = source.expanduser()
    if not source.is_dir():
        raise KdslError(f"{source}: no such folder; name the directory that training wrote")
    card, merges = TrainingCard.load(source), is_adapter(str(source))
    if merges:
        base = base or adapter_base(source)
        size = parameters_of(base) * stored_type(base).itemsize
        if card is not None and card.base_weights not in (fingerprint(find_model(base)), base):
            raise KdslError(
                f"{source}: was trained on {card.base}, and {base} has other weights; name the model of then"
            )
    else:
        base = find_model(str(source))
        size = sum(path.stat().st_size for path in source.glob("*.safetensors"))
        if not size:
            raise KdslError(f"{source}: holds no *.safetensors; name the directory of an adapter or a whole model")
    pixels = project.config.pixels
    record, given = TrainingRecord.of(str(source)), PixelBudget(pixels.min, pixels.max)
    saw = None if record is None else record.pixels
    budget = given if saw is None else PixelBudget(*saw)
    for doubt in () if record is None else record.doubts(budget, family_of(base).sees):
        _log.warning("%s: %s", source, doubt)
    return ModelExport(source, base, budget, card, size, merges)
