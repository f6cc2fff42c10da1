"""kdsl rules refine: the best variants of a rule, and taking one of them."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from kdsl.cli.options import Format, FormatOption, open_project, print_json, project_and, taken_out
from kdsl.cli.rules_exchange import AsOption

if TYPE_CHECKING:
    from kdsl.mining.refine import Refinement
    from kdsl.rules.rule import Rule


def refine(
    arguments: Annotated[list[str] | None, project_and("ID", "the id of a rule, such as r-7f3k2m9q.")] = None,
    take: Annotated[
        int | None, typer.Option("--take", min=1, metavar="N", help="Save variant N as an edit of the rule.")
    ] = None,
    by: AsOption = None,
    format: FormatOption = Format.table,
) -> None:
    """Show the best three variants of a rule: terms, conditions and exceptions that the training samples speak for."""
    from kdsl.mining.edits import edit_words
    from kdsl.project.refining import refine_rule
    from kdsl.review.refining import take_variant

    id, others = taken_out("ID", arguments)
    project = open_project(others)
    if take is None:
        _, rule, found = refine_rule(project, id)
        if format is Format.json:
            print_json(_record(rule, found))
        else:
            _print(rule, found)
        return
    stored, chosen = take_variant(project, id, take, by)
    if format is Format.json:
        print_json({"id": id, "file": str(stored.path), "changes": edit_words(chosen.edits)})
        return
    typer.echo(f"{stored.path}: {'; '.join(edit_words(chosen.edits))}. `kdsl review` can undo it.")


def _record(rule: "Rule", found: "Refinement") -> dict[str, Any]:
    from kdsl.mining.edits import edit_words

    return {
        "id": rule.id,
        "label": rule.label,
        "training": found.training.model_dump(),
        "variants": [
            {
                "changes": edit_words(each.edits),
                "when": {"all": [condition.mapping() for condition in each.conditions]},
                "training": each.training.model_dump(),
                "held_out": each.held_out.model_dump(),
            }
            for each in found.variants
        ],
    }


def _print(rule: "Rule", found: "Refinement") -> None:
    from rich.text import Text

    from kdsl.cli.console import print_table, results_console, results_table, visible
    from kdsl.mining.edits import edit_words
    from kdsl.rules.wording import counted

    table = results_table(visible(f"{rule.id} → {rule.label}"), ">", "change", ">training", ">held out")
    table.add_row("", "as it is", counted(found.training.correct, found.training.hits), "")
    for number, each in enumerate(found.variants, start=1):
        lines = Text(visible("\n".join(edit_words(each.edits))))
        counts = (counted(part.correct, part.hits) for part in (each.training, each.held_out))
        table.add_row(str(number), lines, *counts)
    print_table(table)
    console = results_console()
    if found.variants:
        console.print(
            "Held out: chosen again without each fold of the samples, and counted on it. --take N saves one."
        )
    else:
        console.print("No edit makes this rule better on samples that it was not chosen on.")
