"""kdsl run: the whole chain, each step only when something it depends on has changed."""

import typer

from kdsl.cli.options import ProjectArguments, WorkersOption, open_project


def run(
    arguments: ProjectArguments = None,
    workers: WorkersOption = None,
) -> None:
    """Check, read images, mine, train and evaluate: whatever is not up to date; then print the results."""
    from kdsl.cli.scores_table import print_scores
    from kdsl.project.run import run_project

    ran = run_project(open_project(arguments), workers)
    print_scores(ran.summary)
    for what, path in ran.places:
        typer.echo(f"{what:<12} {path}")
