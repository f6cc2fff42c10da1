"""kdsl caption: the images of a project in words."""

import typer

from kdsl.cli.options import Format, FormatOption, ProjectArguments, open_project, print_json


def caption(arguments: ProjectArguments = None, format: FormatOption = Format.table) -> None:
    """Describe all images that the caption sidecar does not have yet; exit code 1 when some cannot be read."""
    from dataclasses import asdict

    from kdsl.project.small import caption_images

    project = open_project(arguments)
    outcome = caption_images(project)
    if format is Format.json:
        print_json(asdict(outcome))
    else:
        path = project.config.data.captions
        typer.echo(f"{path}: {outcome.described} images described, {outcome.described_before} were there")
        for image, reason in outcome.problems.items():
            typer.echo(f"not described: {image} ({reason})")
    if outcome.problems:
        raise typer.Exit(1)
