"""kdsl chat: dialogues with free answers: answering them, scoring the answers, a game of questions."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

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
    from kdsl.chat.evaluation import Evaluation, KindScores
    from kdsl.chat.running import RunOutcome

app = typer.Typer(
    help="Dialogues with free answers: answer them, score the answers, play a game of questions.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Dialogues = Annotated[Path, typer.Option("--input", metavar="FILE", help="Dialogues, in JSON.", show_default=False)]


@app.command()
def run(
    input: Dialogues,
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
    if outcome.without_perplexity:
        typer.echo("The answers have no perplexities, for the model tells none")
    if outcome.unheard:
        typer.echo(
            f"Sounds that were not heard: {len(outcome.unheard)}, such as {outcome.unheard[0]}; the model takes none, "
            "and data.transcripts does not say what is said in them"
        )


@app.command()
def evaluate(
    answers: Annotated[
        Path, typer.Option("--answers", metavar="FILE", help="What kdsl chat run wrote.", show_default=False)
    ],
    input: Annotated[
        Path | None,
        typer.Option("--input", metavar="FILE", help="The dialogues, for right answers and what is unanswered."),
    ] = None,
    format: FormatOption = Format.table,
) -> None:
    """Score answers against the right ones: METEOR, perplexity, and FusionBrain Challenge 3.0's integral score."""
    from kdsl.chat.answer_file import read_answers
    from kdsl.chat.evaluation import evaluate_answers, with_references
    from kdsl.chat.meteor import Meteor
    from kdsl.chat.reading import read_dialogues

    found, unanswered = read_answers(answers), 0
    if input is not None:
        found, unanswered = with_references(found, read_dialogues(input))
    meteor = Meteor()
    evaluation = evaluate_answers(found, meteor.score, unanswered)
    if format is Format.json:
        print_json({**evaluation.record(), "matches": meteor.matches})
    else:
        _print_evaluation(evaluation, meteor.synonyms)


def _print_evaluation(evaluation: "Evaluation", synonyms: bool) -> None:
    from kdsl.chat.evaluation import WEIGHTS
    from kdsl.cli.console import print_table, results_table

    columns = (
        "type",
        ">weight",
        ">answers",
        ">METEOR, NLTK",
        ">METEOR, 10PR/(R+9P)",
        ">perplexity",
        ">accuracy",
        ">score",
    )
    table = results_table("Answers", *columns)
    for kind, scores in evaluation.kinds.items():
        table.add_row(kind.replace("_", ", "), f"{WEIGHTS[kind]:.1f}", *_cells(scores))
    table.add_row("all", "", *_cells(evaluation.all))
    print_table(table)
    for line in _notes(evaluation, synonyms):
        typer.echo(line)


def _cells(scores: "KindScores") -> list[str]:
    values = scores.meteor_nltk, scores.meteor
    perplexity = "–" if scores.perplexity is None else f"{scores.perplexity:.4g}"
    return [str(scores.answers), *map(_number, values), perplexity, *map(_number, (scores.accuracy, scores.score))]


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _notes(evaluation: "Evaluation", synonyms: bool) -> list[str]:
    """What the table does not say."""
    lines = []
    if evaluation.integral is not None:
        lines.append(f"Integral score: {evaluation.integral:.3f}, the sum of weight x score of the types")
    if evaluation.integral is not None and evaluation.missing:
        lines.append(
            f"No score for {', '.join(kind.replace('_', ' and ') for kind in evaluation.missing)}, which "
            f"count as 0; by the weights of the others alone it is {evaluation.renormalised:.3f}"
        )
    if evaluation.all.chance is not None:
        lines.append(
            f"Accuracy: how often the right answer has a lower perplexity than answers to other dialogues, in "
            f"{evaluation.all.compared} comparisons; {evaluation.all.chance:.3f} by chance"
        )
    else:
        lines.append("No accuracy and no score: the answers hold no perplexities to compare")
    if not synonyms:
        lines.append("METEOR matches words and stems, but no synonyms, for WordNet is not installed")
    if evaluation.without_reference:
        lines.append(f"Answers without a right one, left out: {evaluation.without_reference}")
    if evaluation.unanswered:
        lines.append(f"Questions with a right answer but without an answer, left out: {evaluation.unanswered}")
    return lines
