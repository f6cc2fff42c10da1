"""kdsl chat: dialogues with free answers: answering them, scoring the answers, a game of questions."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kdsl.cli.chat_ask import ask
from kdsl.cli.chat_evaluate import evaluate
from kdsl.cli.chat_options import DialoguesOption
from kdsl.cli.options import (
    Format,
    FormatOption,
    ProjectArguments,
    exit_on_failures,
    not_stdout,
    open_project,
    print_json,
)

if TYPE_CHECKING:
    from kdsl.chat.running import RunOutcome

app = typer.Typer(
    help="Dialogues with free answers: answer them, score the answers, play a game of questions.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command()
def run(
    input: DialoguesOption,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            metavar="FILE",
            callback=not_stdout,
            help="Where answers go, a JSON object a line.",
            show_default=False,
        ),
    ],
    arguments: ProjectArguments = None,
    distractors: Annotated[
        int,
        typer.Option("--distractors", min=0, help="Answers to other dialogues that each right one is compared with."),
    ] = 3,
    base: Annotated[
        str, typer.Option("--base", metavar="e|2", help="What perplexity is a power of; the exponent is in nats.")
    ] = "e",
    format: FormatOption = Format.table,
) -> None:
    """Answer dialogues with the project's large model; the same command goes on after an interruption."""
    from dataclasses import asdict

    from kdsl.project.chat import answer_dialogues

    bases = {"e": math.e, "2": 2.0}
    if base not in bases:
        raise typer.BadParameter(f"{base!r} is neither e nor 2", param_hint="'--base'")
    outcome = answer_dialogues(open_project(arguments), input, output, distractors, bases[base])
    if format is Format.json:
        print_json(asdict(outcome))
    else:
        _print_outcome(output, outcome)
    asked = outcome.answered + outcome.answered_before + len(outcome.problems)
    exit_on_failures([*outcome.problems.items()], asked, "dialogues")


def _print_outcome(output: Path, outcome: "RunOutcome") -> None:
    typer.echo(f"{output}: {outcome.answered} dialogues answered, {outcome.answered_before} were there")
    if outcome.without_question:
        typer.echo(f"Dialogues without a question that is answered in words: {outcome.without_question}")
    if outcome.cut:
        typer.echo(f"Questions before which turns were left out, for chat.max_tokens allows no more: {outcome.cut}")
    if outcome.without_perplexity:
        typer.echo("The answers have no perplexities, for the model tells none")
    if outcome.unheard:
        typer.echo(
            f"Sounds that were not heard: {len(outcome.unheard)}, such as {outcome.unheard[0]}; the model takes none, "
            "and nobody wrote down what is said in them (`speech:` in kdsl.yaml, data.transcripts)"
        )


app.command()(evaluate)
app.command()(ask)
