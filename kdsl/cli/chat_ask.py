"""kdsl chat ask: a game of questions, each with a time limit."""

from typing import TYPE_CHECKING, Annotated

import typer

from kdsl.cli.chat_options import DialoguesOption
from kdsl.cli.options import ProjectArguments, open_project

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kdsl.chat.asking import GameQuestion, Given


def ask(
    input: DialoguesOption,
    arguments: ProjectArguments = None,
    number: Annotated[int, typer.Option("--questions", min=1, help="Questions of a game, drawn by seed.")] = 10,
    limit: Annotated[float, typer.Option("--seconds", min=0.1, help="Time for an answer.")] = 60,
    typed: Annotated[
        bool, typer.Option("--typed", help="A person answers, a line each, and not the project's large model.")
    ] = False,
) -> None:
    """Play a game of questions: each is shown with what there is to look at, and is to be answered in time."""
    from kdsl.chat.asking import played
    from kdsl.cli.typed_lines import TypedLines
    from kdsl.project.chat import model_player, open_game

    project = open_project(arguments)
    game = open_game(project, input, number)
    player = None if typed else model_player(project, game, input)
    lines = TypedLines() if typed else None
    found: list[Given] = []
    try:
        for nth, question in enumerate(game.questions, start=1):
            typer.echo(
                f"Question {nth} of {len(game.questions)}, within {limit:g} seconds; a later answer does not count"
            )
            _print_question(question, game.looked_at(question))
            typer.echo("Answer: ", nl=False)
            answerer = player or (lambda _: None if lines is None else lines.next(limit))
            found.append(played(question, answerer, limit))
            _print_given(found[-1], limit, seen=lines is not None and lines.seen)
            if lines is not None and lines.ended:
                typer.echo("Nobody answers any more: the game ends here.")
                break
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"the game ended after {len(found)} of {len(game.questions)} questions") from None
    _print_result(found, len(game.questions))


def _print_question(question: "GameQuestion", looked_at: "Sequence[str]") -> None:
    from kdsl.cli.console import visible
    from kdsl.data.dialogue import CHINESE, ENGLISH
    from kdsl.language import holds_chinese

    speakers = CHINESE if any(holds_chinese(turn.text) for turn in question.turns) else ENGLISH
    for turn in question.turns:
        if turn.text:
            typer.echo(visible(f"  {speakers.user if turn.role == 'user' else speakers.agent}: {turn.text}"))
    for line in looked_at:
        typer.echo(visible(f"  With {line}"))


def _print_given(given: "Given", limit: float, seen: bool) -> None:
    """`seen`: whether the answer stands there already, for somebody typed it."""
    from kdsl.cli.console import visible

    if not seen or given.answer is None:
        typer.echo(visible(given.answer or "–"))
    if given.problem:
        typer.echo(f"  No answer: {visible(given.problem)}")
    elif given.answer is None:
        typer.echo("  No answer came in time, so there is none.")
    elif given.in_time:
        typer.echo(f"  In time, after {given.seconds:.1f} seconds.")
    else:
        typer.echo(f"  Too late, after {given.seconds:.1f} of {limit:g} seconds: the answer does not count.")
    if given.question.reference:
        typer.echo(visible(f"  The right answer: {given.question.reference}"))
    typer.echo()


def _print_result(found: "Sequence[Given]", questions: int) -> None:
    """How many answers came in time, and how like the right ones all were; a question without one in time counts 0."""
    from kdsl.chat.meteor import Meteor
    from kdsl.errors import KdslError

    typer.echo(f"Answered in time: {sum(given.in_time for given in found)} of {questions}")
    compared = [given for given in found if given.question.reference]
    if not compared:
        return
    try:
        meteor = Meteor()
    except KdslError as error:
        typer.echo(f"The answers are not compared with the right ones: {error}")
        return
    scores = [
        meteor.score(given.answer or "", given.question.reference).formula if given.in_time else 0.0
        for given in compared
    ]
    typer.echo(
        f"METEOR, 10PR/(R+9P): {sum(scores) / len(scores):.3f} over {len(scores)} questions with a right answer; an "
        "answer that is missing or too late counts 0"
    )
