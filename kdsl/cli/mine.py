"""kdsl mine: rules from training samples into the rule base."""

from typing import TYPE_CHECKING, Annotated

import typer

from kdsl.cli.options import Format, FormatOption, ProjectArguments, WorkersOption, open_project, print_json

if TYPE_CHECKING:
    from kdsl.project.project import Project
    from kdsl.sample import Task


def mine(
    arguments: ProjectArguments = None,
    label: Annotated[
        str | None,
        typer.Option("--label", help="Only list what this label's search finds; no file changes.", show_default=False),
    ] = None,
    trace: Annotated[
        str | None,
        typer.Option("--trace", help="Only write the search graph of this label.", show_default=False),
    ] = None,
    workers: WorkersOption = None,
    format: FormatOption = Format.table,
) -> None:
    """Find rules in the training samples, merge them into the rule base, and list the best of every label."""

    from kdsl.cli import mine_table
    from kdsl.locks import claimed
    from kdsl.project.mining import mine_one_label, problem_of
    from kdsl.project.mining import trace as write_trace
    from kdsl.project.small import ask_questions
    from kdsl.project.task import TaskProject

    project = open_project(arguments)
    if label is None and trace is None:
        _mine_all(project, workers, format)
        return
    # To list what a search finds, nothing is written but the answers of a small model.
    lists = trace is None and project.config.small_model is None
    with claimed(folders=[None if lists else project.config.checkpoint]):
        for line in ask_questions(project, project.small):
            typer.echo(line, err=True)
        project.learned_sidecars()  # warns of images whose text nobody has read
        if trace is not None:
            task, index = _find_label(project, trace)
            own = TaskProject.of(project, task)
            for path in write_trace(project, own, index):
                typer.echo(str(path))
        elif label is not None:
            task, index = _find_label(project, label)
            own = TaskProject.of(project, task)
            rows = mine_table.search_rows(problem_of(own), *mine_one_label(project, own, index))
            if format is Format.json:
                print_json([row.record() for row in rows])
            else:
                mine_table.print_search(task.name, label, rows)


def _mine_all(project: "Project", workers: int | None, format: Format) -> None:
    from kdsl.cli import mine_table
    from kdsl.project.mining import mine_project

    results = mine_project(project, workers, lambda line: typer.echo(line, err=True))
    if format is Format.json:
        print_json([mine_table.record(result) for result in results])
    for result in results:
        if format is Format.table:
            mine_table.print_result(result)
        for line in result.notes():
            typer.echo(line, err=True)


def _find_label(project: "Project", name: str) -> "tuple[Task, int]":
    import difflib

    from kdsl.errors import KdslError

    known = [label for task in project.tasks for label in task.label_names]
    for task in project.tasks:
        if name in task.label_names:
            return task, task.label_names.index(name)
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.0)
    raise KdslError(f"no task of the project has the label {name!r}; did you mean {' or '.join(map(repr, close))}?")
