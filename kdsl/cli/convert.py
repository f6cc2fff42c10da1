"""kdsl convert: samples, and what was predicted for them, in the format that another tool reads."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

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
    submission = "submission"


def convert(
    input: Annotated[Path, typer.Option("--input", metavar="FILE", help="Samples, in any format that KDSL reads.")],
    output: Annotated[Path, typer.Option("--output", metavar="FILE", callback=not_stdout, help="The file to write.")],
    format: Annotated[
        Target | None,
        typer.Option(
            "--format",
            help="The tool that the file is for; by default what its ending means: .jsonl, .csv, .xlsx, .parquet or "
            ".yml (Rasa). sharegpt is for LLaMA-Factory, submission the MIRE challenge's CSV.",
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
    """Write samples, with or without predictions, in the format of another tool."""
    from kdsl.data.conversion.convert import convert_samples
    from kdsl.data.conversion.forms import form_for
    from kdsl.data.submission import write_submission
    from kdsl.errors import KdslError
    from kdsl.files import require_no_input
    from kdsl.label_matrix import require_one_label
    from kdsl.locks import claimed

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
