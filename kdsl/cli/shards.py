"""What the commands share that work over shards: their options, the engine, and what they print in the end."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kdsl.cli.options import Format, print_json

if TYPE_CHECKING:
    from kdsl.distributed.running import Engine
    from kdsl.distributed.step import Step
    from kdsl.project.project import Project


class EngineName(StrEnum):
    local = "local"
    ray = "ray"


ShardsOption = Annotated[
    str | None,
    typer.Option(
        "--input",
        metavar="FOLDER",
        help="Work on shards: a folder, or an address such as s3://bucket/folder, of .parquet or .jsonl files.",
        show_default=False,
    ),
]
ResultsOption = Annotated[
    str | None,
    typer.Option(
        "--output",
        metavar="FOLDER",
        help="Where the results of shards go: a folder or an address, with a Parquet file for each.",
        show_default=False,
    ),
]
EngineOption = Annotated[
    EngineName, typer.Option("--engine", help="What works on shards: processes of this machine, or a Ray cluster.")
]
AddressOption = Annotated[
    str | None,
    typer.Option(
        "--address",
        metavar="ADDRESS",
        help="Of the Ray cluster, such as ray://head:10001; by default Ray is started on this machine.",
        show_default=False,
    ),
]
AgainOption = Annotated[bool, typer.Option("--again", help="Work on all shards anew, also on those that are done.")]


def is_over_shards(inputs: Sequence[str], output: str | None, engine: EngineName) -> bool:
    """Whether `kdsl predict` is to work over shards: its output is no file, and its input one folder or address."""
    if engine is EngineName.ray or any("://" in each for each in (*inputs, output or "")):
        return True
    if len(inputs) != 1 or output is None or not Path(inputs[0]).is_dir():
        return False
    return not Path(output).suffix or Path(output).is_dir()


def require_ray_for(address: str | None, engine: EngineName) -> None:
    """Raise KdslError for the address of a cluster that would not be used."""
    from kdsl.errors import KdslError

    if address is not None and engine is not EngineName.ray:
        raise KdslError("--address is that of a Ray cluster; give --engine ray too")


@dataclass(frozen=True)
class ShardOptions:
    """What a command was told of work over shards."""

    input: str | None
    output: str | None
    engine: EngineName
    address: str | None
    workers: int | None
    again: bool

    @property
    def given(self) -> bool:
        """Whether it is to work over shards."""
        return self.input is not None or self.output is not None

    def require_none(self, workers: bool = False) -> None:
        """Raise KdslError for options that say something about shards where none are given; `workers` may be given
        where the command has some without shards, too."""
        from kdsl.errors import KdslError

        given = {
            "--engine ray": self.engine is EngineName.ray,
            "--address": self.address is not None,
            "--again": self.again,
            "--workers": self.workers is not None and not workers,
        }
        for option, is_given in given.items():
            if is_given:
                raise KdslError(
                    f"{option} is for work over shards; name their folder with --input, and one with --output"
                )

    def engine_for(self, step: "Step") -> "Engine":
        """Where shards are worked on; KdslError for an address without --engine ray."""
        require_ray_for(self.address, self.engine)
        if self.engine is EngineName.ray:
            from kdsl.distributed.ray_engine import in_cluster

            return in_cluster(self.address, self.workers)
        import os

        from kdsl.distributed.running import in_processes

        # A model in memory is one a process: several take several times the memory, and no GPU has room for them.
        return in_processes(self.workers or (1 if step.gpus else os.cpu_count() or 1))


def run_on_shards(
    project: "Project", step: "Step", shards: ShardOptions, format: Format, tasks: Sequence[str] | None = None
) -> None:
    """Do a step over shards and print what came of it; exit code 1 where something failed."""
    from dataclasses import asdict

    from kdsl.distributed.running import run_over_shards
    from kdsl.errors import KdslError

    input, output = shards.input, shards.output
    if input is None or output is None:
        missing = "--input" if input is None else "--output"
        raise KdslError(f"work over shards needs --input and --output, two folders or addresses; {missing} is missing")
    outcome = run_over_shards(project, step, input, output, shards.engine_for(step), shards.again, tasks)
    if format is Format.json:
        print_json(asdict(outcome))
    else:
        typer.echo(
            f"{outcome.output}: {outcome.shards} shards, {outcome.done_before} were done; {outcome.samples} rows, "
            f"{outcome.problems} errors"
        )
        if outcome.changed:
            typer.echo(f"{outcome.changed} shards had changed since their results were made, and were done anew")
        if outcome.problems:
            typer.echo(f"{outcome.errors}: what was wrong with each")
        for reason in outcome.unread.values():
            typer.echo(f"not read: {reason}")
    if outcome.problems or outcome.unread:
        raise typer.Exit(1)


def gpus_for(model: str | None) -> float:
    """1 for a model in memory, which has a GPU for itself where there is one; 0 for that of a server, and without."""
    from kdsl.hosts import is_address

    return 0.0 if model is None or is_address(model) else 1.0
