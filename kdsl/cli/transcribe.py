"""kdsl transcribe: what is said in the sounds of a project."""

import typer

from kdsl.cli.options import Format, FormatOption, ProjectArguments, WorkersOption, open_project, print_json


def transcribe(
    arguments: ProjectArguments = None,
    workers: WorkersOption = None,
    format: FormatOption = Format.table,
) -> None:
    """Write down what is said in all sounds that have no transcript yet; exit code 1 when some cannot be read."""
    from dataclasses import asdict

    project = open_project(arguments)
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
