"""kdsl convert: samples or predictions in the format that another tool reads."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from kdsl.cli.options import ProjectArguments, not_stdout, open_project


class Target(StrEnum):
    sharegpt = "sharegpt"
    submission = "submission"


def convert(
    input: Annotated[Path, typer.Option("--input", metavar="FILE", help="Samples, in any format that KDSL reads.")],
    output: Annotated[Path, typer.Option("--output", metavar="FILE", callback=not_stdout, help="The file to write.")],
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
    from kdsl.data.readers import read_known
    from kdsl.data.submission import write_submission
    from kdsl.data.writers import write_sharegpt
    from kdsl.errors import KdslError
    from kdsl.files import require_no_input
    from kdsl.label_matrix import require_one_label
    from kdsl.locks import claimed

    if format is Target.submission and predictions is None:
        raise KdslError("a submission needs --predictions FILE, the file that kdsl predict wrote")
    require_no_input(output, [input, *([] if predictions is None else [predictions])], "converted samples")
    project = open_project(arguments)
    tasks = project.tasks
    require_one_label(tasks, "`kdsl convert`")
    with claimed(files=[output]):
        if predictions is not None and format is Target.submission:
            write_submission(input, predictions, tasks, output)
            typer.echo(f"{output}: written")
        else:
            samples = read_known(input, tasks, project.naming)
            write_sharegpt(samples, tasks, output)
            typer.echo(f"{output}: {len(samples)} samples")
