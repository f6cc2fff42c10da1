"""kdsl ocr: the text on the images of a project, or of shards of samples."""

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
    run_on_shards,
)


def ocr(
    arguments: ProjectArguments = None,
    input: ShardsOption = None,
    output: ResultsOption = None,
    engine: EngineOption = EngineName.local,
    address: AddressOption = None,
    again: AgainOption = False,
    workers: WorkersOption = None,
    format: FormatOption = Format.table,
) -> None:
    """Read the text on all images that the OCR sidecar does not have yet; exit code 1 when some cannot be read.

    With --input and --output: on the images of the samples in shards.
    """
    from dataclasses import asdict

    project = open_project(arguments)
    shards = ShardOptions(input, output, engine, address, workers, again)
    if shards.given:
        from kdsl.distributed.steps.ocr import Ocr

        run_on_shards(project, Ocr(), shards, format)
        return
    shards.require_none(workers=True)
    outcome = project.ocr(workers)
    if format is Format.json:
        print_json(asdict(outcome))
    else:
        typer.echo(f"{project.config.data.ocr}: {outcome.read} images read, {outcome.read_before} were there")
        for image, reason in outcome.problems.items():
            typer.echo(f"not read: {image} ({reason})")
    if outcome.problems:
        raise typer.Exit(1)
