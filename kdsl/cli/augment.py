"""kdsl augment: changed copies of the training samples, to look at and to train other tools on."""

from typing import TYPE_CHECKING, Any

import typer

from kdsl.cli.options import Format, FormatOption, ProjectArguments, WorkersOption, open_project, print_json

if TYPE_CHECKING:
    from kdsl.project.augmentation import MadeCopies


def augment(
    arguments: ProjectArguments = None,
    workers: WorkersOption = None,
    format: FormatOption = Format.table,
) -> None:
    """Write changed copies of the training samples, their images, and what was changed, into the checkpoint."""
    from kdsl.locks import claimed
    from kdsl.project.augmentation import augment_project

    project = open_project(arguments)
    with claimed(folders=[project.config.checkpoint]):
        made = augment_project(project, workers)
    if format is Format.json:
        print_json([_record(each) for each in made])
    else:
        for each in made:
            _print(each)
    for each in made:
        typer.echo(f"{each.task.name}: {', '.join(map(str, each.files))}", err=True)


def _record(made: "MadeCopies") -> dict[str, Any]:
    labels = [
        {"label": name, "samples": made.samples[name], "copies": made.copies[name]} for name in made.task.label_names
    ]
    return {
        "task": made.task.name,
        "labels": labels,
        "operations": dict(made.operations.most_common()),
        "reverted": made.reverted,
        "strayed": made.strayed,
        "files": [str(path) for path in made.files],
    }


def _print(made: "MadeCopies") -> None:
    from rich.markup import escape
    from rich.table import Table

    from kdsl.cli.console import results_console

    console = results_console()
    table = Table(title=escape(made.task.name), title_justify="left")
    table.add_column("label")
    for column in ("samples", "copies"):
        table.add_column(column, justify="right")
    for name in made.task.label_names:
        table.add_row(escape(name), str(made.samples[name]), str(made.copies[name]))
    table.add_section()
    table.add_row("all", str(made.samples.total()), str(made.copies.total()))
    console.print(table)
    if made.strayed:
        console.print(f"{made.strayed} paraphrases said something else and were dropped.")
    if not made.copies:
        console.print("No copies: with these settings nothing of the samples can be changed.")
        return
    table = Table()
    table.add_column("change")
    table.add_column("times", justify="right")
    for name, count in made.operations.most_common():
        table.add_row(name, str(count))
    console.print(table)
    if made.reverted:
        console.print(
            f"{made.reverted} texts or images are changed less than drawn, since rules would not have hit them."
        )
