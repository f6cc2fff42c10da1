"""kdsl convert: samples or predictions in the format that another tool reads."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from kdsl.cli.options import ProjectArguments


class Target(StrEnum):
    sharegpt = "sharegpt"
    submission = "submission"


def convert(
    input: Annotated[Path, typer.Option("--input", metavar="FILE", help="Samples, in any format that KDSL reads.")],
    output: Annotated[Path, typer.Option("--output", metavar="FILE", help="The file to write.")],
    format: Annotated[
        Target,
        typer.Option("--format", help="sharegpt: messages for fine-tuning; submission: the MIRE challenge's CSV."),
    ],
    arguments: ProjectArguments = None,
    predictions: Annotated[
        Path | None, typer.Option("--predictions", metavar="FILE", help="What kdsl predict wrote, for a submission.")
    ] = None,
) -> None:
    """Write samples as ShareGPT messages, or predictions as the MIRE challenge's submission."""
    from kdsl.cli.project import open_project
    from kdsl.data.readers import read_samples
    from kdsl.data.writers import read_predicted_labels, write_sharegpt, write_submission
    from kdsl.errors import KdslError
    from kdsl.locks import claimed

    if format is Target.sharegpt:
        project = open_project(arguments)
        samples = read_samples(input, project.tasks)
        with claimed(files=[output]):
            write_sharegpt(samples, project.tasks, output)
        typer.echo(f"{output}: {len(samples)} samples")
        return
    if predictions is None:
        raise KdslError("a submission needs --predictions FILE, the file that kdsl predict wrote")
    labels = read_predicted_labels(predictions)
    with claimed(files=[output]):
        write_submission(input, labels, output)
    typer.echo(f"{output}: written")
