"""kdsl mine: rules from training samples into the rule base."""

from typing import Annotated

import typer

from kdsl.cli.options import Format, FormatOption, ProjectArguments, WorkersOption, open_project, print_json
from kdsl.cli.shards import AddressOption, EngineName, require_ray_for


def mine(
    arguments: ProjectArguments = None,
    label: Annotated[
        str | None,
        typer.Option("--label", help="Only list what this label's search finds; no file changes.", show_default=False),
    ] = None,
    trace: Annotated[
        str | None,
        typer.Option("--trace", help="Only write the search graph of this label.", show_default=False),
    ] = None,
    engine: Annotated[
        EngineName, typer.Option("--engine", help="Where labels are searched: here, or in a Ray cluster.")
    ] = EngineName.local,
    address: AddressOption = None,
    workers: WorkersOption = None,
    format: FormatOption = Format.table,
) -> None:
    """Find rules in the training samples, merge them into the rule base, and list the best of every label."""
    from kdsl.cli import mine_table
    from kdsl.project.label_search import search_label, trace_label
    from kdsl.project.mining import mine_project

    require_ray_for(address, engine)
    project = open_project(arguments)
    if trace is not None:
        for path in trace_label(project, trace, _tell):
            typer.echo(str(path))
    elif label is not None:
        task, rules = search_label(project, label, _tell)
        if format is Format.json:
            print_json([rule.record() for rule in rules])
        else:
            mine_table.print_search(task.name, label, rules)
    else:
        if engine is EngineName.ray:
            from kdsl.distributed.ray_mining import mine_in_cluster

            results = mine_in_cluster(project, address, workers, _tell)
        else:
            results = mine_project(project, workers, _tell)
        if format is Format.json:
            print_json([result.record() for result in results])
        for result in results:
            if format is Format.table:
                mine_table.print_result(result)
            for line in result.notes():
                _tell(line)


def _tell(line: str) -> None:
    typer.echo(line, err=True)
