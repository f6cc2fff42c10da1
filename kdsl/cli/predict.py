"""kdsl predict: labels for new samples, each with its rules and its reason."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kdsl.cli.options import Format, ProjectArguments, WorkersOption, chosen_tasks, not_stdout, open_project
from kdsl.cli.shards import (
    AddressOption,
    EngineName,
    EngineOption,
    ShardOptions,
    is_over_shards,
    run_on_shards,
)

if TYPE_CHECKING:
    from kdsl.arbiter.multi_label_decision import AnyDecision
    from kdsl.project.prediction import Explained


def predict(
    arguments: ProjectArguments = None,
    text: Annotated[
        str | None, typer.Option("--text", metavar="TEXT", help="Predict this text.", show_default=False)
    ] = None,
    image: Annotated[
        list[Path] | None,
        typer.Option("--image", metavar="FILE", help="An image, with the text or alone; give several one by one."),
    ] = None,
    audio: Annotated[
        list[Path] | None,
        typer.Option("--audio", metavar="FILE", help="A sound, such as a voice message, likewise."),
    ] = None,
    input: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            metavar="FILE",
            help="Samples, in any format that KDSL reads; - is stdin. Several are joined. A folder or an address of "
            ".parquet or .jsonl shards, if --output is a folder.",
        ),
    ] = None,
    task: Annotated[str | None, typer.Option("--task", metavar="NAME", help="Only this task; all by default.")] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            metavar="FILE",
            help="Write predictions there, not to stdout: a JSON object a line, or a table with the samples where "
            "the name ends in .csv, .xlsx or .parquet. Of shards: a folder or an address.",
        ),
    ] = None,
    engine: EngineOption = EngineName.local,
    address: AddressOption = None,
    workers: WorkersOption = None,
    append: Annotated[
        bool, typer.Option("--append", help="Predict only samples that the output does not have yet.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Predict all samples anew, and replace the output in the end.")
    ] = False,
    explain: Annotated[
        str | None, typer.Option("--explain", metavar="ID", help="Print the decision on one sample for a person.")
    ] = None,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Samples that are decided at once.")] = 256,
    format: Annotated[
        Format | None,
        typer.Option(
            "--format",
            help="table, for people, or json, a line a sample; json by default for --input without --explain.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Predict labels with the trained model and the rules together; the same command goes on after an interruption."""
    from kdsl.arbiter.stream import Mode
    from kdsl.data.sample_file import sample_files
    from kdsl.project.given_sample import given_samples
    from kdsl.project.predicted_table import predict_table, table_form
    from kdsl.project.prediction import decide_files, explain_id, explain_samples, predict_file

    directly = text is not None or bool(image) or bool(audio)
    if input and not directly and is_over_shards(input, output, engine):
        from kdsl.distributed.steps.predict import Predict

        _require_whole_shards(input, append, explain)
        project = open_project(arguments)
        step = Predict(tuple(each.name for each in chosen_tasks(project, task)), batch)
        shards = ShardOptions(input[0], output, engine, address, workers, again)
        run_on_shards(project, step, shards, format or Format.table, step.tasks)
        return
    ShardOptions(None, None, engine, address, workers, again=False).require_none()
    _require_sense(directly, bool(input), output is not None, append, again, explain, format)
    project = open_project(arguments)
    tasks = chosen_tasks(project, task)
    file = not_stdout(None if output is None else Path(output))
    if directly:
        explained = explain_samples(project, given_samples(project, text, image or [], audio or [], tasks))
        _print_explained(explained, format or Format.table)
        return
    with sample_files([Path(each) for each in input or []]) as files:
        if file is not None:
            mode = Mode.append if append else Mode.again if again else Mode.resume
            chosen, form, table = None if task is None else tasks, table_form(file), None
            if form is None:
                made = predict_file(project, files, file, batch, mode, chosen)
            else:
                table = predict_table(project, files, form, file, batch, mode, chosen)
                made = table.made
            if made.cost is not None:
                typer.echo(made.cost, err=True)
            predicted, before = made.outcome.predicted, made.outcome.predicted_before
            place = file if table is None else table.predictions
            typer.echo(f"{place}: {predicted} samples predicted, {before} were there", err=explain is not None)
            if table is not None:
                typer.echo(f"{file}: a table of {table.table.samples} samples", err=explain is not None)
        if explain is not None:
            _print_explained(explain_id(project, files, explain, tasks), format or Format.table)
        elif file is None:
            _print_decisions(decide_files(project, files, batch, tasks), format or Format.json)


def _require_whole_shards(input: list[str], append: bool, explain: str | None) -> None:
    """Raise KdslError for what cannot be done over shards."""
    from kdsl.errors import KdslError

    if len(input) > 1:
        raise KdslError("work over shards takes one --input, a folder or an address; give their common folder")
    for option, given in (("--append", append), ("--explain", explain is not None)):
        if given:
            raise KdslError(f"{option} is for a file of samples, not for shards; leave it out, or name one shard")


def _require_sense(
    directly: bool, files: bool, output: bool, append: bool, again: bool, explain: str | None, format: Format | None
) -> None:
    """Raise KdslError for options of which one makes no sense beside, or without, another one."""
    from kdsl.errors import KdslError

    if directly and files:
        raise KdslError("--text, --image and --audio give a sample, and so does --input; leave one of them out")
    if not directly and not files:
        raise KdslError(
            'kdsl predict needs something to predict: --text "…", --image FILE, --audio FILE, or --input FILE'
        )
    if directly and (output or explain is not None):
        what = "--output" if output else "--explain"
        raise KdslError(f"{what} is for --input; the prediction of --text, --image and --audio is printed in any case")
    if append and again:
        raise KdslError("--append leaves predictions as they are and --again makes them anew; leave one of them out")
    if (append or again) and not output:
        raise KdslError(f"{'--append' if append else '--again'} needs --output FILE, the predictions that are there")
    if format is not None and output and explain is None:
        raise KdslError("--format is for what is printed, but with --output nothing is; leave it out")


def _print_explained(explained: "Iterable[Explained]", format: Format) -> None:
    if format is Format.json:
        _print_lines(each.decision for each in explained)
        return
    from kdsl.cli.decision_view import print_decision

    for number, each in enumerate(explained):
        if number:
            typer.echo()
        print_decision(each.decision, each.sidecars, each.explanation)


def _print_decisions(decisions: "Iterable[AnyDecision]", format: Format) -> None:
    if format is Format.json:
        _print_lines(decisions)
        return
    from rich.text import Text

    from kdsl.arbiter.multi_label_decision import MultiLabelDecision
    from kdsl.cli.console import results_console, results_table

    table = results_table("Predictions", "id", "task", "label", ">probability", "by", ">rules")
    for each in decisions:
        if isinstance(each, MultiLabelDecision):
            label, probability = each.label_words, " + ".join(f"{of.probability:.3f}" for of in each.held)
        else:
            label, probability = each.label or "no label", f"{each.merged.max():.3f}"
        cells = (each.sample.id, each.sample.task, label)
        table.add_row(*map(Text, cells), probability, each.by, str(len(each.rules)))
    results_console().print(table)


def _print_lines(decisions: "Iterable[AnyDecision]") -> None:
    import sys

    import jsonlines

    with jsonlines.Writer(sys.stdout, flush=True) as writer:
        writer.write_all(decision.record() for decision in decisions)
