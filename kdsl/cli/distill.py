"""kdsl distill: labels for unlabelled samples from a teacher."""

from typing import TYPE_CHECKING, Any

import typer

from kdsl.cli.options import (
    Format,
    FormatOption,
    ProjectArguments,
    Retries,
    Timeout,
    first_failures,
    open_project,
    print_json,
)

if TYPE_CHECKING:
    from kdsl.project.distillation import DistilledTask
    from kdsl.project.project import Project


def distill(
    arguments: ProjectArguments = None,
    timeout: Timeout = 120,
    retries: Retries = 6,
    format: FormatOption = Format.table,
) -> None:
    """Let a teacher behind a server label unlabelled samples; the same command goes on after an interruption."""
    from kdsl.distillation.distilled_file import write_distilled
    from kdsl.errors import KdslError
    from kdsl.locks import claimed
    from kdsl.project.distillation import distil_project

    project = open_project(arguments)
    path, teacher = project.config.data.distilled, project.config.distill.teacher
    with claimed(folders=[project.config.checkpoint], files=[path]):
        try:
            done = distil_project(project, timeout, retries)
        except KeyboardInterrupt:
            raise KeyboardInterrupt("the teacher's answers so far are kept; run again to go on") from None
        assert path is not None and teacher is not None
        if not done:
            raise KdslError(
                f"{project.config.data.unlabelled}: every sample is like one of data.train or data.test, so none is "
                f"left to label; name other samples as data.unlabelled; {path} stays as it was"
            )
        failed = [each for task in done for each in task.teacher_labels.failed.items()]
        if failed and len(failed) == sum(len(task.pool) for task in done):
            raise KdslError(f"no sample has an answer, {path} stays as it was; the first: {': '.join(failed[0])}")
        write_distilled(path, [record for task in done for record in task.records(teacher)])
    if format is Format.json:
        print_json([_record(task) for task in done])
    else:
        for task in done:
            _print(task)
    _tell(project, done)
    for line in first_failures(failed, sum(len(task.pool) for task in done)):
        typer.echo(line, err=True)
    if failed:
        raise typer.Exit(1)


def _record(task: "DistilledTask") -> dict[str, Any]:
    """What `--format json` prints about a task."""
    training, teacher_labels = task.training, task.teacher_labels
    return {
        "task": task.name,
        "unlabelled": len(task.pool),
        "like_labelled": task.labelled,
        "repeated": task.repeated,
        "failed": teacher_labels.failed,
        "nonsense": teacher_labels.nonsense,
        "agreement": [row.record() for row in training.agreement.ways],
        "labels": [row.record() for row in training.agreement.labels],
        "rounds": [
            {"round": r.number, "kept": r.kept, "new": r.new, "weighted_f1": round(r.weighted_f1, 4)}
            for r in training.rounds
        ],
        "ended": training.ended,
        "best": training.best,
        "written": int(training.kept.sum()),
    }


def _print(task: "DistilledTask") -> None:
    from rich.markup import escape
    from rich.table import Table

    from kdsl.cli.console import results_console

    console = results_console()
    found = _record(task)
    titled = (
        ("agreement (A, B and C: different labels, -: none)", found["agreement"]),
        ("by the teacher's label", found["labels"]),
        ("rounds", found["rounds"]),
    )
    for title, rows in titled:
        table = Table(title=escape(f"{task.name}: {title}"), title_justify="left")
        for column, value in rows[0].items() if rows else ():
            table.add_column(
                column.replace("_", " ").replace("f1", "F1"),
                justify="left" if isinstance(value, str) else "right",
                overflow="fold",  # two labels may begin alike
            )
        for row in rows:
            table.add_row(*(f"{v:.3f}" if isinstance(v, float) else escape(str(v)) for v in row.values()))
        console.print(table)
    console.print(escape(f"{task.name}: ended after round {found['rounds'][-1]['round']}: {task.training.ended}."))


def _tell(project: "Project", done: "list[DistilledTask]") -> None:
    from kdsl.vlm.free_text import shortened

    for task in done:
        parts = [
            (task.labelled, "are like one that people labelled"),
            (task.repeated, "have the id of another one"),
            (
                task.teacher_labels.nonsense,
                f"got answers that are no label, for example {shortened(task.teacher_labels.example)}",
            ),
        ]
        for count, what in parts:
            if count:
                typer.echo(f"{task.name}: {count} unlabelled samples {what}; they are left out", err=True)
        surest, asked_for = task.teacher_labels.confidence.max(), project.config.distill.confidence
        if 0 < surest < asked_for:
            typer.echo(
                f"warning: {task.name}: distill.confidence is {asked_for}, but the teacher is at most {surest:.2f} "
                "sure: nothing can be kept; lower it",
                err=True,
            )
        rounds, best = task.training.rounds, task.training.best
        if best and rounds[best].weighted_f1 < rounds[0].weighted_f1:
            typer.echo(
                f"warning: {task.name}: the teacher's labels make the model worse on people's samples (weighted F1 "
                f"{rounds[best].weighted_f1:.3f}, without them {rounds[0].weighted_f1:.3f}); train with "
                "data.distilled= to leave them out",
                err=True,
            )
    written = sum(int(task.training.kept.sum()) for task in done)
    typer.echo(f"{project.config.data.distilled}: {written} samples for `kdsl train`", err=True)
