"""kdsl ocr: the text on the images of a project."""

import typer

from kdsl.cli.options import Format, FormatOption, ProjectArguments, WorkersOption, open_project, print_json


def ocr(
    arguments: ProjectArguments = None,
    workers: WorkersOption = None,
    format: FormatOption = Format.table,
) -> None:
    """Read the text on all images that the OCR sidecar does not have yet; exit code 1 when some cannot be read."""
    from dataclasses import asdict

    project = open_project(arguments)
    outcome = project.ocr(workers)
    if format is Format.json:
        print_json(asdict(outcome))
    else:
        typer.echo(f"{project.config.data.ocr}: {outcome.read} images read, {outcome.read_before} were there")
        for image, reason in outcome.problems.items():
            typer.echo(f"not read: {image} ({reason})")
    if outcome.problems:
        raise typer.Exit(1)
