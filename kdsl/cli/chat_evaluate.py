"""kdsl chat evaluate: how good answers are, as a table or JSON."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kdsl.cli.options import Format, FormatOption, print_json

if TYPE_CHECKING:
    from kdsl.chat.evaluation import Evaluation, KindScores


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
