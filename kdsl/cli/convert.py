"""kdsl convert: samples, and what was predicted for them, in the format that another tool reads."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import typer

from kdsl.cli.options import ProjectArguments, not_stdout, open_project


class Target(StrEnum):
    """The names in `kdsl.data.conversion.forms`, and the challenge's submission."""

    jsonl = "jsonl"
    csv = "csv"
    xlsx = "xlsx"
    parquet = "parquet"
    sharegpt = "sharegpt"
    alpaca = "alpaca"
    openai = "openai"
    ms_swift = "ms-swift"
    label_studio = "label-studio"
    doccano = "doccano"
    prodigy = "prodigy"
    argilla = "argilla"
    rasa = "rasa"
    mire = "mire"
    llama_factory = "llama-factory"
    swift = "swift"
    submission = "submission"


_TRAINERS = (Target.llama_factory, Target.swift)
"""Whose format holds what the project's large model would be fine-tuned on, and not the samples of a file."""


def convert(
    output: Annotated[
        Path,
        typer.Option(
            "--output", metavar="PATH", callback=not_stdout, help="The file to write; for a trainer, the folder."
        ),
    ],
    input: Annotated[
        Path | None,
        typer.Option("--input", metavar="FILE", help="Samples, in any format that KDSL reads.", show_default=False),
    ] = None,
    format: Annotated[
        Target | None,
        typer.Option(
            "--format",
            help="The tool that the file is for; by default what its ending means: .jsonl, .csv, .xlsx, .parquet or "
            ".yml (Rasa). sharegpt is for LLaMA-Factory, submission the MIRE challenge's CSV. llama-factory and swift "
            "take no --input: they write a folder with what kdsl train would fine-tune on, for that trainer.",
            show_default=False,
        ),
    ] = None,
    arguments: ProjectArguments = None,
    predictions: Annotated[
        Path | None,
        typer.Option(
            "--predictions", metavar="FILE", help="What kdsl predict wrote, to be written beside the samples."
        ),
    ] = None,
) -> None:
    """Write samples, with or without predictions, in the format of another tool, or a training set for a trainer."""
    from kdsl.data.conversion.convert import convert_samples
    from kdsl.data.conversion.forms import form_for
    from kdsl.data.submission import write_submission
    from kdsl.errors import KdslError
    from kdsl.files import require_no_input
    from kdsl.label_matrix import require_one_label
    from kdsl.locks import claimed

    if format in _TRAINERS:
        if input is not None or predictions is not None:
            other = Target.sharegpt if format is Target.llama_factory else Target.ms_swift
            raise KdslError(
                f"--format {format} writes what `kdsl train` would learn from; leave --input and --predictions out, "
                f"or give --format {other} for the samples of a file"
            )
        _export(format, output, arguments)
        return
    if input is None:
        raise KdslError("--input is missing; name the file of samples to convert")
    if format is Target.submission and predictions is None:
        raise KdslError("a submission needs --predictions FILE, the file that kdsl predict wrote")
    require_no_input(output, [input, *([] if predictions is None else [predictions])], "converted samples")
    project = open_project(arguments)
    if format is Target.submission and predictions is not None:
        require_one_label(project.tasks, "a submission")
        with claimed(files=[output]):
            write_submission(input, predictions, project.tasks, output)
        typer.echo(f"{output}: written")
        return
    form = form_for(output, format)
    with claimed(files=[output]):
        made = convert_samples(input, project.tasks, form, output, predictions, project.reading())
    told = "" if predictions is None else f", {made.predicted} of them predicted"
    typer.echo(f"{output}: {made.samples} samples{told}")
    if made.beside is not None:
        typer.echo(f"{made.beside}: has an entry {output.stem!r}")


def _export(format: Target, output: Path, arguments: ProjectArguments) -> None:
    from shlex import quote

    from kdsl.project.training_export import export_training_set
    from kdsl.training.export.folder import next_commands

    trainer: Literal["llama-factory", "swift"] = "llama-factory" if format is Target.llama_factory else "swift"
    for made in export_training_set(open_project(arguments), trainer, output):
        tested = f", {made.test} to be predicted" if made.test else ""
        typer.echo(f"{made.folder}: {made.train} conversations to train on, {made.held_out} held out{tested}")
        for what, command in next_commands(trainer).items():
            typer.echo(f"  to {what}: cd {quote(str(made.folder))} && {command}")
