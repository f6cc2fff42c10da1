"""kdsl distill: labels for unlabelled samples from a teacher."""

from typing import TYPE_CHECKING

import typer

from kdsl.cli.options import (
    Format,
    FormatOption,
    ProjectArguments,
    Retries,
    Timeout,
    WorkersOption,
    exit_on_failures,
    open_project,
    print_json,
)
from kdsl.cli.shards import (
    AddressOption,
    AgainOption,
    EngineName,
    EngineOption,
    ResultsOption,
    ShardOptions,
    ShardsOption,
    run_on_shards,
)

if TYPE_CHECKING:
    from kdsl.project.distillation import DistilledTask


def distill(
    arguments: ProjectArguments = None,
    input: ShardsOption = None,
    output: ResultsOption = None,
    engine: EngineOption = EngineName.local,
    address: AddressOption = None,
    again: AgainOption = False,
    workers: WorkersOption = None,
    timeout: Timeout = 120,
    retries: Retries = 6,
    format: FormatOption = Format.table,
) -> None:
    """Let a teacher behind a server label unlabelled samples; the same command goes on after an interruption.

    With --input and --output: those in shards, in one round, in which rules and the trained model have their say.
    """
    from kdsl.project.distillation import distil_into_file

    project = open_project(arguments)
    shards = ShardOptions(input, output, engine, address, workers, again)
    if shards.given:
        from kdsl.distributed.steps.distill import Distill

        run_on_shards(project, Distill(timeout, retries), shards, format)
        return
    shards.require_none()
    done = distil_into_file(project, timeout, retries)
    if format is Format.json:
        print_json([task.record() for task in done])
    else:
        for task in done:
            _print(task)
    for task in done:
        for line in task.notes(project.config.distill.confidence):
            typer.echo(line, err=True)
    written = sum(int(task.training.kept.sum()) for task in done)
    typer.echo(f"{project.config.data.distilled}: {written} samples for `kdsl train`", err=True)
    failed = [each for task in done for each in task.teacher_labels.failed.items()]
    exit_on_failures(failed, sum(len(task.pool) for task in done))


def _print(task: "DistilledTask") -> None:
    from rich.markup import escape
    from rich.text import Text

    from kdsl.cli.console import print_table, results_console, results_table

    console = results_console()
    found = task.record()
    titled = (
        ("agreement (A, B and C: different labels, -: none)", found["agreement"]),
        ("by the teacher's label", found["labels"]),
        ("rounds", found["rounds"]),
    )
    for title, rows in titled:
        columns = [
            ("" if isinstance(value, str) else ">") + column.replace("_", " ").replace("f1", "F1")
            for column, value in (rows[0].items() if rows else ())
        ]
        table = results_table(f"{task.name}: {title}", *columns)
        for row in rows:
            table.add_row(*(f"{v:.3f}" if isinstance(v, float) else Text(str(v)) for v in row.values()))
        print_table(table)
    console.print(escape(f"{task.name}: ended after round {found['rounds'][-1]['round']}: {task.training.ended}."))
