"""kdsl run: all steps of a project, each only when something it depends on has changed."""

import typer

from kdsl.cli.options import ProjectArguments, WorkersOption, open_project


def run(
    arguments: ProjectArguments = None,
    workers: WorkersOption = None,
) -> None:
    """Check, read images and sounds, mine, train and evaluate: whatever is not up to date; then print the results."""
    from kdsl.cli.scores_table import print_scores
    from kdsl.project.steps import Pipeline

    pipeline = Pipeline(open_project(arguments), workers, lambda line: typer.echo(line, err=True))
    summary = pipeline.run()
    if summary is not None:
        print_scores(summary)
    for what, path in pipeline.places():
        typer.echo(f"{what:<12} {path}")
