"""kdsl questions: what a model answers to visual questions, about a project's images or those of shards of samples."""

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


def questions(
    arguments: ProjectArguments = None,
    input: ShardsOption = None,
    output: ResultsOption = None,
    engine: EngineOption = EngineName.local,
    address: AddressOption = None,
    again: AgainOption = False,
    workers: WorkersOption = None,
    format: FormatOption = Format.table,
) -> None:
    """Write visual questions and answer them about the training images, as `kdsl run` does.

    With --input and --output: answer those that the rules ask, about the images of the samples in shards.
    """
    from kdsl.errors import KdslError
    from kdsl.project.small import ask_questions, require_small

    project = open_project(arguments)
    shards = ShardOptions(input, output, engine, address, workers, again)
    if shards.given:
        from kdsl.distributed.steps.questions import Questions

        run_on_shards(project, Questions(gpus_for(project.config.small_model)), shards, format)
        return
    shards.require_none()
    require_small(project.config)
    if project.config.data.questions is None:
        raise KdslError("data.questions is not set; name the sidecar file to fill, such as data/questions.jsonl")
    _ = project.image_folder
    lines = ask_questions(project, project.small)
    if format is Format.json:
        print_json({"questions": str(project.config.data.questions), "told": lines})
        return
    for line in lines or ["no sample has an image to ask about"]:
        typer.echo(line)
