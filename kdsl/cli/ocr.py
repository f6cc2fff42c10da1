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

    from kdsl.errors import KdslError
    from kdsl.fields.ocr import fill_ocr
    from kdsl.locks import claimed

    project = open_project(arguments)
    data, folder = project.config.data, project.image_folder
    if data.ocr is None:
        raise KdslError("data.ocr is not set; name the sidecar file to fill, such as data/ocr.jsonl")
    with claimed(files=[data.ocr]):
        outcome = fill_ocr(project.images(), folder, data.ocr, workers)
    if format is Format.json:
        print_json(asdict(outcome))
    else:
        typer.echo(f"{data.ocr}: {outcome.read} images read, {outcome.read_before} were there")
        for image, reason in outcome.problems.items():
            typer.echo(f"not read: {image} ({reason})")
    if outcome.problems:
        raise typer.Exit(1)
