"""kdsl questions: what a model answers to visual questions, about a project's images or those of shards of samples."""

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
    local_model_takes_gpu,
    require_no_shards,
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
    from kdsl.project.small import ask_questions

    project = open_project(arguments)
    if input is not None or output is not None:
        from kdsl.distributed.steps.questions import Questions

        step = Questions(local_model_takes_gpu(project))
        run_on_shards(project, step, input, output, engine_of(engine, address, workers, step), again, format)
        return
    require_no_shards(engine, address, again, workers)
    if project.config.small_model is None:
        raise KdslError("small: lexical looks at no image; name a model, such as small=Qwen/Qwen2-VL-2B-Instruct")
    if project.config.data.questions is None:
        raise KdslError("data.questions is not set; name the sidecar file to fill, such as data/questions.jsonl")
    _ = project.image_folder
    lines = ask_questions(project, project.small)
    if format is Format.json:
        print_json({"questions": str(project.config.data.questions), "told": lines})
        return
    for line in lines or ["no sample has an image to ask about"]:
        typer.echo(line)
