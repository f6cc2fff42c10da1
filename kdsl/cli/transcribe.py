"""kdsl transcribe: what is said in the sounds of a project, or of shards of samples."""

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


def transcribe(
    arguments: ProjectArguments = None,
    input: ShardsOption = None,
    output: ResultsOption = None,
    engine: EngineOption = EngineName.local,
    address: AddressOption = None,
    again: AgainOption = False,
    workers: WorkersOption = None,
    format: FormatOption = Format.table,
) -> None:
    """Write down what is said in all sounds that have no transcript yet; exit code 1 when some cannot be read.

    With --input and --output: in the sounds of the samples in shards.
    """
    from dataclasses import asdict

    project = open_project(arguments)
    shards = ShardOptions(input, output, engine, address, workers, again)
    if shards.given:
        from kdsl.config import EMBEDDED_SPEECH
        from kdsl.distributed.steps.transcribe import Transcribe

        speech = project.config.speech
        step = Transcribe(gpus_for(None if speech == EMBEDDED_SPEECH else speech))
        run_on_shards(project, step, shards, format)
        return
    shards.require_none(workers=True)
    outcome = project.transcribe(workers)
    if format is Format.json:
        print_json(asdict(outcome))
    else:
        silent = f" ({outcome.silent} without words)" if outcome.silent else ""
        before = f"{outcome.transcribed_before} were there"
        typer.echo(f"{project.config.data.transcripts}: {outcome.transcribed} sounds transcribed{silent}, {before}")
        for sound, note in outcome.notes.items():
            typer.echo(f"look at: {sound} ({note})")
        for sound, reason in outcome.problems.items():
            typer.echo(f"not transcribed: {sound} ({reason})")
    if outcome.problems:
        raise typer.Exit(1)
