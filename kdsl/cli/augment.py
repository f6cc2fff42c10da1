"""kdsl augment: changed copies of the training samples, to look at and to train other tools on."""

from typing import TYPE_CHECKING

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
    from kdsl.project.augmentation import augment_project

    made = augment_project(open_project(arguments), workers)
    if format is Format.json:
        print_json([each.record() for each in made])
    else:
        for each in made:
            _print(each)
    for each in made:
        typer.echo(f"{each.task.name}: {', '.join(map(str, each.files))}", err=True)


def _print(made: "MadeCopies") -> None:
    from rich.text import Text

    from kdsl.cli.console import print_table, results_console, results_table

    console = results_console()
    table = results_table(made.task.name, "label", ">samples", ">copies")
    for name in made.task.label_names:
        table.add_row(Text(name), str(made.samples[name]), str(made.copies[name]))
    table.add_section()
    table.add_row("all", str(made.samples.total()), str(made.copies.total()))
    print_table(table)
    if made.strayed:
        console.print(f"{made.strayed} paraphrases said something else and were dropped.")
    if not made.copies:
        console.print("No copies: with these settings nothing of the samples can be changed.")
        return
    table = results_table("", "change", ">times")
    for name, count in made.operations.most_common():
        table.add_row(name, str(count))
    console.print(table)
    if made.reverted:
        console.print(
            f"{made.reverted} texts or images are changed less than drawn, since rules would not have hit them."
        )
