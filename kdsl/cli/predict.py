"""kdsl predict: labels for new samples, each with its rules and its reason."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kdsl.cli.options import ProjectArguments

if TYPE_CHECKING:
    from kdsl.arbiter.stream import StreamOutcome
    from kdsl.project.project import Project
    from kdsl.vlm.usage import Usage


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
    from kdsl.errors import KdslError
    from kdsl.project.project import open_project

    if output is None and explain is None:
        raise KdslError("kdsl predict needs --output FILE for the predictions, or --explain ID to print one of them")
    project = open_project(arguments)
    if output is not None:
        outcome = predict_project(project, input, output, batch)
        typer.echo(f"{output}: {outcome.predicted} samples predicted, {outcome.predicted_before} were there")
    if explain is not None:
        _explain(project, input, explain)


def predict_project(project: "Project", input: Path, output: Path, batch: int = 256) -> "StreamOutcome":
    """Predict a file into another, resuming; KdslError when the output is that of another checkpoint or input."""
    from kdsl.arbiter.stream import file_hash, predict_stream
    from kdsl.data.readers import iterate_samples
    from kdsl.errors import KdslError
    from kdsl.progress import track
    from kdsl.project.prediction import ready

    if output.resolve() == input.resolve():
        raise KdslError(f"{output}: is the input too; give the predictions a file of their own")
    predictor, pages = ready(project, input)
    source = {"checkpoint": predictor.fingerprint(), "input": file_hash(input)}

    def decide(samples):
        pages.fill(samples)
        return predictor.decide(samples)

    samples = track(iterate_samples(input, project.tasks), "Predicting", None)
    try:
        return predict_stream(samples, decide, output, source, batch)
    finally:
        pages.tell()
        predictor.tell()
        if predictor.usage is not None:
            _tell_cost(predictor.usage)


def _tell_cost(usage: "Usage") -> None:
    total, most = usage.total(), usage.most()
    if usage.samples:
        dropped = f"; {total.dropped} pieces of prompts that were too long were dropped" if total.dropped else ""
        typer.echo(
            f"{total.calls} calls and {total.tokens} output tokens for {len(usage.samples)} samples, at most "
            f"{most.calls} and {most.tokens} for one{dropped}",
            err=True,
        )


def _explain(project: "Project", input: Path, id: str) -> None:
    from kdsl.arbiter.explain import print_decision
    from kdsl.data.readers import iterate_samples
    from kdsl.errors import KdslError
    from kdsl.project.prediction import ready

    named = [sample for sample in iterate_samples(input, project.tasks) if sample.id == id]
    if not named:
        raise KdslError(f"{input}: no sample has the id {id!r}; --explain takes the id of one sample in it")
    samples = list({sample.key: sample for sample in reversed(named)}.values())[::-1]  # one of each task
    predictor, pages = ready(project, input)
    pages.fill(samples)
    pages.tell()
    decisions = predictor.decide(samples)
    predictor.tell()
    for decision in decisions:
        print_decision(decision, pages.sidecars, predictor.explain(decision.sample))
