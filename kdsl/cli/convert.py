"""kdsl convert: samples or predictions in the format that another tool reads."""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kdsl.cli.options import ProjectArguments, open_project

if TYPE_CHECKING:
    from kdsl.sample import Sample, Task


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
    from kdsl.data.submission import write_submission
    from kdsl.data.writers import write_sharegpt
    from kdsl.errors import KdslError
    from kdsl.locks import claimed

    if format is Target.submission and predictions is None:
        raise KdslError("a submission needs --predictions FILE, the file that kdsl predict wrote")
    tasks = open_project(arguments).tasks
    with claimed(files=[output]):
        if predictions is not None and format is Target.submission:
            write_submission(input, predictions, tasks, output)
            typer.echo(f"{output}: written")
            return
        samples = list(_with_known_labels(input, tasks))
        write_sharegpt(samples, tasks, output)
    typer.echo(f"{output}: {len(samples)} samples")


def _with_known_labels(path: Path, tasks: "Sequence[Task]") -> "Iterator[Sample]":
    """The samples of a file; KdslError for a label that a model would learn though its task does not have it."""
    from kdsl.data.readers import iterate_records
    from kdsl.data.writers import unknown_label

    by_name = {task.name: task for task in tasks}
    for record, sample in iterate_records(path, tasks):
        task = by_name[sample.task]
        if sample.label is not None and sample.label not in task.label_names:
            raise record.error(unknown_label(sample.label, [task]))
        yield sample
