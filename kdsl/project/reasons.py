"""Why training samples have their labels: asked of a model, or taken over from elsewhere."""

from functools import partial
from pathlib import Path

from kdsl.errors import KdslError
from kdsl.fields.table import FieldTable
from kdsl.label_matrix import require_one_label
from kdsl.locks import claimed
from kdsl.pretrained import model_name
from kdsl.progress import reported
from kdsl.project.asked import open_model, shown_prompts
from kdsl.project.project import Project
from kdsl.reasons.asking import Asking, ReasonCounts
from kdsl.reasons.decided import DECIDED_FILE, Decided
from kdsl.reasons.importing import ImportOutcome, import_reasons
from kdsl.reasons.reason_file import ReasonFile
from kdsl.sample import Sample, Task

REASON_ANSWERS_FILE = "reasons.answers.jsonl"
"""In the checkpoint: what the model answered."""


def explain_project(project: Project, model: str | None, timeout: float, retries: int) -> dict[str, ReasonCounts]:
    """Ask about all tasks' labelled samples; KdslError where the project lacks what that needs."""
    require_one_label(project.tasks, "`kdsl reasons`")
    with claimed(folders=[project.config.checkpoint], files=[project.config.data.reasons]):
        return _explained(project, model, timeout, retries)


def _explained(project: Project, model: str | None, timeout: float, retries: int) -> dict[str, ReasonCounts]:
    config = project.config
    path = _reason_path(project)
    name = model or config.small_model
    if name is None:
        raise KdslError(
            "small: lexical writes no reasons; name a model, such as --model http://localhost:8000/v1, or take over "
            "reasons made elsewhere with --import FILE"
        )
    samples = {task.name: _labelled(project, task) for task in project.tasks}
    if not any(samples.values()):
        raise KdslError(f"{project.train_file}: no sample has a label, so there is nothing to give a reason for")
    cached, threads = open_model(
        project, name, config.checkpoint / REASON_ANSWERS_FILE, timeout, retries, by_hand=bool(model)
    )
    prompts = shown_prompts(project, cached, [sample for own in samples.values() for sample in own])
    known = ReasonFile.mended(path, project.tasks).matched([sample for own in samples.values() for sample in own])
    decided, sidecars = Decided(config.checkpoint / DECIDED_FILE), project.learned_sidecars()
    counts = {}
    try:
        with reported(project.progress, "Reasons", sum(map(len, samples.values()))) as advance:
            for task in project.tasks:
                accepted = [rule for rule in project.rule_base(task).rules if rule.approved]
                table = FieldTable(samples[task.name], sidecars)
                labels = [sample.label or "" for sample in samples[task.name]]
                shown = prompts.fitted([(task, table, labels)] if labels else [])
                asking = Asking(task, cached, model_name(name), accepted, shown, path, decided, threads)
                counts[task.name] = asking.ask(table, known, partial(advance, f"Reasons of {task.name}"))
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"the reasons so far are in {path}; run again to go on") from None
    return counts


def import_project(project: Project, file: Path) -> ImportOutcome:
    """Take over the reasons in `file`; KdslError for what is not a file of reasons."""
    path = _reason_path(project)
    with claimed(files=[path]):
        return _imported(project, path, file)


def _imported(project: Project, path: Path, file: Path) -> ImportOutcome:
    if path.resolve() == file.resolve():
        raise KdslError(f"{file}: is the project's own file of reasons; name another one to import")
    brought = ReasonFile.read(file, project.tasks)
    samples = [sample for task in project.tasks for sample in _labelled(project, task)]
    return import_reasons(brought, ReasonFile.mended(path, project.tasks), samples, project.tasks)


def _reason_path(project: Project) -> Path:
    path = project.config.data.reasons
    if path is None:
        raise KdslError("data.reasons is not set; name the file for the reasons, such as data/reasons.jsonl")
    return path


def _labelled(project: Project, task: Task) -> list[Sample]:
    return [sample for sample in project.task_samples(task) if sample.label in task.label_names]
