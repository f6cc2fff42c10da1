"""kdsl train: the classifier, and the arbiter that merges it with the rules."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kdsl.cli.options import Format, FormatOption, ProjectArguments, open_project, print_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kdsl.arbiter.arbiter import Arbiter
    from kdsl.arbiter.trained import TrainedTask
    from kdsl.vlm.projection import ProjectionCard


def train(
    arguments: ProjectArguments = None,
    fine_tune_only: Annotated[
        bool,
        typer.Option(
            "--fine-tune-only",
            help="Fine-tune the large model and stop there; several processes may do it, by accelerate or torchrun.",
        ),
    ] = False,
    deepspeed: Annotated[
        Path | None,
        typer.Option("--deepspeed", metavar="FILE", help="DeepSpeed's configuration, for torchrun; docs/training.md."),
    ] = None,
    format: FormatOption = Format.table,
) -> None:
    """Train the classifier and fit the arbiter on the rules that kdsl mine found and people reviewed.

    Where chat.train names dialogues, learn the projection of the language model from them.
    """
    from kdsl.project.projection import train_dialogues
    from kdsl.project.training import fine_tune_project, train_project

    if fine_tune_only or deepspeed is not None:
        fine_tune_project(open_project(arguments), deepspeed)
        return
    project = open_project(arguments)
    tasks, dialogues = project.config.tasks, project.config.chat.train
    learned = train_dialogues(project) if dialogues is not None or not tasks else None
    trained = train_project(project) if tasks else []
    if format is Format.json:
        records = [{**task.arbiter.record(), "shares": dict(task.shares), **_taught(task)} for task in trained]
        print_json(
            records + ([] if learned is None else [_projection_record(learned, project.config.projection_folder)])
        )
        return
    if learned is not None:
        print_projection(learned, project.config.projection_folder)
    if trained:
        print_arbiters([task.arbiter for task in trained])
    for task in trained:
        print_shares(task.task.name, task.shares)
        print_taught(task)
        print_left_over(task)


def _projection_record(card: "ProjectionCard", folder: Path) -> dict[str, Any]:
    return {"projection": str(folder), **card.model_dump(mode="json")}


def print_projection(card: "ProjectionCard", folder: Path) -> None:
    """How improbable a language model finds answers with the projection that it learned, and where that is."""
    from math import exp

    from rich.markup import escape

    from kdsl.cli.console import results_console, results_table

    console = results_console()
    table = results_table("Projection", "", ">dialogues", ">answers", ">loss a token", ">perplexity")
    best = card.history[card.best - 1]
    for told, part, loss in (("learned from", "train", best["loss"]), ("held out", "held_out", best["held_out"])):
        table.add_row(told, str(card.dialogues[part]), str(card.answers[part]), f"{loss:.3f}", f"{exp(loss):.2f}")
    console.print(table)
    console.print(f"{escape(str(folder))}: the projection, as it was after epoch {card.best} of {len(card.history)}.")


_LEFT_OUT = {
    "accepted": "the rules that nobody has accepted do not make the log loss smaller out of fold and decide nothing "
    "(b_mined = 0); those count that people accept (kdsl review)",
    "proposed": "the rules that people accepted make the log loss clearly larger out of fold and decide nothing "
    "(b_people = 0)",
    "none": "the rules that people accepted make the log loss clearly larger out of fold, and the others do not make "
    "it smaller, so the model decides alone (b_people = b_mined = 0)",
}


def print_arbiters(arbiters: "Sequence[Arbiter]") -> None:
    """One row a task: out-of-fold quality of the model alone and of both, and what the arbiter made of it."""
    from rich.markup import escape
    from rich.text import Text

    from kdsl.cli.console import results_console, results_table

    console = results_console()
    names = (
        "samples",
        "rules",
        "F1\nmodel",
        "F1\nboth",
        "log loss\nmodel",
        "log loss\nboth",
        "a",
        "b_\npeople",
        "b_\nmined",
    )
    table = results_table("Out of fold, on the training samples", "task", *(f">{name}" for name in names))
    for arbiter in arbiters:
        pool, qualities = arbiter.pool, (arbiter.model, arbiter.both)
        table.add_row(
            Text(arbiter.task), str(arbiter.samples), str(len(arbiter.rules)),
            *("–" if each is None else f"{each.weighted_f1:.3f}" for each in qualities),
            *("–" if each is None else f"{each.log_loss:.3f}" for each in qualities),
            f"{pool.a:.2f}", f"{pool.b_people:.2f}", f"{pool.b_mined:.2f}",
        )  # fmt: skip
    console.print(table)
    for arbiter in arbiters:
        if arbiter.cold:
            console.print(f"{escape(arbiter.task)}: of the rules those count that people accepted.")
        elif arbiter.listens_to != "all":
            why = _LEFT_OUT[arbiter.listens_to] if arbiter.rules else "there are no rules, so the model decides alone"
            console.print(f"{escape(arbiter.task)}: {why}.")
        for clause in arbiter.deciding_less():
            console.print(f"{escape(arbiter.task)}: {escape(clause)}.")


def print_shares(task: str, shares: "Mapping[str, float]") -> None:
    """What the classifier of one task goes by, in a sentence; nothing for one that cannot tell."""
    from rich.markup import escape

    from kdsl.cli.console import results_console
    from kdsl.models.explanation import goes_by

    told = goes_by(shares)
    if told is not None:
        results_console().print(f"{escape(task)}: {told}.")


def print_taught(trained: "TrainedTask") -> None:
    """What accepted rules taught the classifier, in a sentence; nothing where there are no unlabelled samples."""
    from rich.markup import escape

    from kdsl.cli.console import results_console

    if trained.taught is not None:
        results_console().print(f"{escape(trained.taught.told(trained.task.name))}.")


def print_left_over(trained: "TrainedTask") -> None:
    """How good the classifier is on samples that were too many to be learned from; nothing where there are none."""
    from rich.markup import escape

    from kdsl.cli.console import results_console

    if trained.left_over is not None:
        results_console().print(f"{escape(trained.left_over.told(trained.task.name))}.")


def _taught(trained: "TrainedTask") -> dict[str, Any]:
    told = {} if trained.taught is None else {"taught": trained.taught.record()}
    return told if trained.left_over is None else {**told, "left_over": trained.left_over.record()}
