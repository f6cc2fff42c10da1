"""The evaluations of a project that are kept, in `runs/` beside kdsl.yaml."""

import json
import logging
import os
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, JsonValue

from kdsl.arbiter.arbiter import ARBITER_FILE
from kdsl.arbiter.state import PredictorState, RuleState
from kdsl.config import ProjectConfig
from kdsl.distribution import installed_version
from kdsl.errors import KdslError
from kdsl.evaluate.history import HistoryRow, history
from kdsl.evaluate.report import AnyResult, Summary
from kdsl.evaluate.runs import (
    LAST,
    Run,
    RunRecord,
    SampleSet,
    find_run,
    is_run,
    new_id,
    read_run,
    read_runs,
    task_scores,
    write_run,
)
from kdsl.files import file_hash
from kdsl.project.dependencies import hashed, value_told
from kdsl.project.inputs import contents, recorded_answers, task_files
from kdsl.project.project import Project
from kdsl.version import __version__

_log = logging.getLogger(__name__)

RUNS_FOLDER = "runs"
_PACKAGES = ("numpy", "scikit-learn", "torch", "transformers")
"""Whose versions results may depend on."""


def runs_folder(config: ProjectConfig) -> Path:
    """Where the evaluations of a project are kept."""
    return config.folder / RUNS_FOLDER


def sample_set(project: Project, file: Path, folds: int | None = None) -> SampleSet:
    """The labelled samples in `file`, as a run names them; `folds` where they are cross-validated."""
    path, home = Path(os.path.abspath(file)), Path(os.path.abspath(project.config.folder))
    return SampleSet(
        kind="test" if folds is None else "cross-validation",
        name=path.relative_to(home).as_posix() if path.is_relative_to(home) else str(path),
        hash=project.kept.file(file, file_hash),
        folds=folds,
    )


def keep_run(
    project: Project,
    samples: SampleSet,
    results: Sequence[AnyResult],
    summary: Summary,
    predictions: Path | None = None,
) -> Run:
    """Keep an evaluation of the project as it is now; `predictions` is the file that was scored, where one was.

    Raises KdslError where `runs/` cannot be written.
    """
    record = RunRecord(
        id=new_id(),
        at=datetime.now().astimezone(),
        samples=samples,
        labels={result.task: list(result.labels) for result in results},
        config=_config(project.config),
        files=_files(project, predictions),
        state=_state(project, trained=samples.kind == "test"),
        versions=_versions(),
        scores=task_scores(summary),
        parameters={} if summary.parameters is None else {m.part: m.parameters for m in summary.parameters.models},
    )
    return write_run(runs_folder(project.config), record, results)


def project_runs(project: Project) -> list[Run]:
    """All runs of the project, the oldest first; a warning tells of each that is damaged."""
    runs, problems = read_runs(runs_folder(project.config))
    for problem in problems:
        _log.warning("%s", problem)
    return runs


def project_history(project: Project) -> list[HistoryRow]:
    """The runs of the project, each beside the one before it of the same samples."""
    return history(project_runs(project))


def run_to_compare(project: Project, name: str, samples: SampleSet) -> Run | Path:
    """What an evaluation of `samples` that is about to be made is compared with, by its `name`.

    That is `last`, the newest run of the same samples; the beginning of a run's id or folder; a run's own folder; or a
    file of predictions. Raises KdslError where there is none.
    """
    runs = project_runs(project)
    if name == LAST:
        same = [run for run in runs if run.record.samples.series == samples.series]
        if not same:
            raise KdslError(
                f"{runs_folder(project.config)}: no run of {samples} is kept yet; `kdsl history` lists all runs"
            )
        return same[-1]
    return _kept(runs, name, runs_folder(project.config))


def runs_to_compare(project: Project, against: str, name: str | None = None) -> tuple[Run, Run | Path]:
    """Two kept runs, new and old: the one called `name`, by default the newest of the same samples, and `against`.

    Names are those of `run_to_compare`; `last` of `against` is the run before. KdslError where there are no two.
    """
    runs, folder = project_runs(project), runs_folder(project.config)
    if name is None and against != LAST and isinstance(old := _kept(runs, against, folder), Run):
        newer = [run for run in _series(runs, old) if run.record.at > old.record.at]
        if not newer:
            raise KdslError(
                f"{old.folder}: no newer run of {old.record.samples} is kept; evaluate again, or name two runs with "
                "--run NEW --against OLD"
            )
        return newer[-1], old
    new = find_run(runs, name or LAST, folder) if name is None or not is_run(Path(name)) else read_run(Path(name))
    if against != LAST:
        return new, _kept(runs, against, folder)
    older = [run for run in _series(runs, new) if run.record.at < new.record.at]
    if not older:
        raise KdslError(f"{new.folder}: no older run of {new.record.samples} is kept; `kdsl history` lists all runs")
    return new, older[-1]


def _kept(runs: Sequence[Run], name: str, folder: Path) -> Run | Path:
    path = Path(name)
    if is_run(path):
        return read_run(path)
    return path if path.is_file() else find_run(runs, name, folder)


def _series(runs: Sequence[Run], of: Run) -> list[Run]:
    return [run for run in runs if run.record.samples.series == of.record.samples.series]


def _config(config: ProjectConfig) -> dict[str, JsonValue]:
    """Every key with its value, by `vars`: tests watch which keys a step reads, and no result depends on these."""
    values = {key: value_told(value, config.folder) for key, value in _leaves(config)}
    return json.loads(json.dumps(values, default=str))


def _leaves(part: BaseModel, before: str = "") -> Iterator[tuple[str, object]]:
    for name, value in vars(part).items():
        if isinstance(value, BaseModel):
            yield from _leaves(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def _files(project: Project, predictions: Path | None) -> dict[str, str]:
    """Hash of each file and folder that results depend on, by its key of kdsl.yaml, and of the task files."""
    found = {"tasks": hashed(task_files(project))}
    data = project.config.data
    for name, path in {**data.paths, "relabelled": data.label_log, "feedback": data.feedback_log}.items():
        if name != "test" and path is not None and path.exists():
            found[f"data.{name}"] = _hash(project, path)
    if (answers := recorded_answers(project)) is not None:
        found["large"] = hashed(answers)
    return found if predictions is None else {**found, "predictions": _hash(project, predictions)}


def _hash(project: Project, path: Path) -> str:
    if not path.is_dir():
        return project.kept.file(path, file_hash)
    if path == project.config.data.images:  # their bytes are too many to read them each time
        files = sorted(file for file in path.rglob("*") if file.is_file())
        return hashed([(file.relative_to(path).as_posix(), file.stat().st_size) for file in files])
    return hashed(contents([path], path))


def _state(project: Project, trained: bool) -> PredictorState:
    """The rules as they are, and what was trained unless the samples were predicted by what each fold trains."""
    files = {task.name: project.config.checkpoint / task.name / ARBITER_FILE for task in project.tasks}
    return PredictorState(
        {task: project.kept.file(file, file_hash) for task, file in files.items() if trained and file.exists()},
        None,
        {task.name: {rule.id: RuleState.of(rule) for rule in project.rule_base(task)} for task in project.tasks},
    )


def _versions() -> dict[str, str]:
    found = {package: installed_version(package) for package in _PACKAGES}
    return {"kdsl": __version__, **{package: version for package, version in found.items() if version is not None}}
