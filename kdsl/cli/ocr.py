"""kdsl ocr: the text on the images of a project, or of shards of samples."""

import typer

from kdsl.cli.options import Format, FormatOption, ProjectArguments, WorkersOption, open_project, print_json
from kdsl.cli.shards import (
    AddressOption,
    AgainOption,
    EngineName,
    EngineOption,
    ResultsOption,
    ShardsOption,
    engine_of,
    require_no_shards,
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
    if input is not None or output is not None:
        from kdsl.distributed.steps.ocr import Ocr

        step = Ocr()
        run_on_shards(project, step, input, output, engine_of(engine, address, workers, step), again, format)
        return
    require_no_shards(engine, address, again)
    outcome = project.ocr(workers)
    if format is Format.json:
        print_json(asdict(outcome))
    else:
        typer.echo(f"{project.config.data.ocr}: {outcome.read} images read, {outcome.read_before} were there")
        for image, reason in outcome.problems.items():
            typer.echo(f"not read: {image} ({reason})")
    if outcome.problems:
        raise typer.Exit(1)
