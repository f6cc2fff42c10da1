"""kdsl caption: the images of a project in words, or those of shards of samples."""

import typer

from kdsl.cli.options import Format, FormatOption, ProjectArguments, WorkersOption, open_project, print_json
from kdsl.cli.shards import (
    AddressOption,
    AgainOption,
    EngineName,
    EngineOption,
    ResultsOption,
    ShardOptions,
    ShardsOption,
    gpus_for,
    run_on_shards,
)


def caption(
    arguments: ProjectArguments = None,
    input: ShardsOption = None,
    output: ResultsOption = None,
    engine: EngineOption = EngineName.local,
    address: AddressOption = None,
    again: AgainOption = False,
    workers: WorkersOption = None,
    format: FormatOption = Format.table,
) -> None:
    """Describe all images that the caption sidecar does not have yet; exit code 1 when some cannot be read.

    With --input and --output: the images of the samples in shards, in --workers processes with a model each.
    """
    from dataclasses import asdict

    from kdsl.project.small import caption_images

    project = open_project(arguments)
    shards = ShardOptions(input, output, engine, address, workers, again)
    if shards.given:
        from kdsl.distributed.steps.caption import Caption

        run_on_shards(project, Caption(gpus_for(project.config.small_model)), shards, format)
        return
    shards.require_none()
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
