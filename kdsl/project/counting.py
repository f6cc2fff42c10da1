"""How many parameters the models have that predicting a sample of a project uses together."""

import logging
from dataclasses import replace

from kdsl.config import NO_ENCODER
from kdsl.embeddings.load import encoder_parameters
from kdsl.errors import KdslError
from kdsl.evaluate.costs import CountedModel, Parameters
from kdsl.files import is_there
from kdsl.hosts import is_address
from kdsl.project.project import Project

_log = logging.getLogger(__name__)


def counted_models(project: Project, asking: bool = True) -> Parameters:
    """The large model with what was fine-tuned, the sentence encoder, and the small model where rules ask visual
    questions; a model that has two parts to play counts once.

    Counted by configurations, without weights; a server is asked where `asking`. What neither tells is unknown, as is
    what is not here.
    """
    config, found = project.config, []
    if config.large_model is not None:
        found.append(_with_adapters(project, _counted(project, "large", config.large_model, asking)))
    if config.small_model is not None and config.small_model != config.large_model and _asks(project):
        found.append(_counted(project, "small", config.small_model, asking))
    if config.encoder != NO_ENCODER and config.encoder not in (config.large_model, config.small_model):
        found.append(CountedModel("encoder", config.encoder, encoder_parameters(config.encoder)))
    return Parameters(tuple(found), config.limits.parameters)


def require_parameters(project: Project) -> None:
    """Raise KdslError where the models have more parameters than `limits.parameters` allows."""
    if project.config.limits.parameters is None:
        return
    counted = counted_models(project)
    if counted.exceeded:
        raise KdslError(
            f"the models that predict a sample have more than `limits: {{parameters: {counted.limit:g}}}` billion "
            f"parameters ({counted}); take smaller ones, or raise the limit"
        )
    for model in counted.unknown:
        _log.warning("limits.parameters: how many parameters %s: %s has is unknown here", model.part, model.name)


def _asks(project: Project) -> bool:
    from kdsl.project.small import rule_questions

    return any(rule_questions(project, task) for task in project.tasks)


def _counted(project: Project, part: str, name: str, asking: bool) -> CountedModel:
    from kdsl.pretrained import model_name

    shown = name if is_address(name) else model_name(name)
    try:
        if not is_address(name):
            from kdsl.vlm.parameters import parameters_of

            return CountedModel(part, shown, parameters_of(name))
        if not asking:
            return CountedModel(part, shown, None)
        from kdsl.vlm.server.model import ServedModel

        return CountedModel(part, shown, ServedModel.connect(name, consent=project.consent).parameters())
    except (KdslError, ImportError):  # whoever needs the model is told why it is not here
        return CountedModel(part, shown, None)


def _with_adapters(project: Project, large: CountedModel) -> CountedModel:
    """With the largest adapter that was fine-tuned for a task: a sample takes one of them."""
    if large.parameters is None or is_address(large.name):
        return large
    from kdsl.models.large.record import LARGE_FILE, LargeRecord
    from kdsl.models.large.weights import TUNED_FOLDER
    from kdsl.vlm.checkpoint import ADAPTER_WEIGHTS
    from kdsl.vlm.parameters import adapter_parameters

    checkpoint, sizes = project.config.checkpoint, [0]
    for task in project.tasks:
        if is_there(checkpoint / task.name / LARGE_FILE):
            tuned = LargeRecord.load(checkpoint / task.name).tuned
            folder = None if tuned is None else checkpoint / TUNED_FOLDER / tuned
            if folder is not None and is_there(folder / ADAPTER_WEIGHTS):
                sizes.append(adapter_parameters(folder))
    return replace(large, parameters=large.parameters + max(sizes))
