"""kdsl predict: labels for new samples, each with its rules and its reason."""

from pathlib import Path
from typing import Annotated

import typer

from kdsl.cli.options import ProjectArguments, open_project


def predict(
    input: Annotated[Path, typer.Option("--input", metavar="FILE", help="Samples, in any format that KDSL reads.")],
    arguments: ProjectArguments = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="FILE", help="Predictions, one JSON object a line; what is there is kept."),
    ] = None,
    explain: Annotated[
        str | None, typer.Option("--explain", metavar="ID", help="Print the decision on one sample for a person.")
    ] = None,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Samples that are decided at once.")] = 256,
) -> None:
    """Predict labels with the trained model and the rules together; the same command goes on after an interruption."""
    from kdsl.cli.decision_view import print_decision
    from kdsl.errors import KdslError
    from kdsl.project.prediction import explain_sample, predict_file

    if output is None and explain is None:
        raise KdslError("kdsl predict needs --output FILE for the predictions, or --explain ID to print one of them")
    project = open_project(arguments)
    if output is not None:
        made = predict_file(project, input, output, batch)
        if made.cost is not None:
            typer.echo(made.cost, err=True)
        predicted, before = made.outcome.predicted, made.outcome.predicted_before
        typer.echo(f"{output}: {predicted} samples predicted, {before} were there")
    if explain is not None:
        for each in explain_sample(project, input, explain):
            print_decision(each.decision, each.sidecars, each.explanation)
