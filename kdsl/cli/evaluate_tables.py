"""The tables that `kdsl evaluate` prints of an ablation and of adapters."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kdsl.project.ablation import Ablation
    from kdsl.training.seesaw import Seesaw


def print_ablation(ablation: "Ablation") -> None:
    """One row a combination of steps."""
    from rich.text import Text

    from kdsl.cli.console import print_table, results_console, results_table

    console = results_console()

    title = f"{ablation.folds}-fold cross-validation of {ablation.samples} samples, weighted F1 in points"
    table = results_table(title, *(column if column == "steps" else f">{column}" for column in ablation.columns()))
    for cells in ablation.cells():
        table.add_row(*map(Text, cells))
    print_table(table)
    for step, why in ablation.left_out.items():
        console.print(Text(f"{step}: n/a, {why}"))


def print_seesaw(seesaw: "Seesaw") -> None:
    """One table of weighted F1, and for every two tasks one of cosines by layer."""
    from rich.text import Text

    from kdsl.cli.console import print_table, results_table

    columns = list(next(iter(seesaw.f1.values())))
    table = results_table("Weighted F1", "adapter", *(f">{column}" for column in columns))
    for name, scores in seesaw.f1.items():
        table.add_row(Text(name), *(f"{scores[column]:.3f}" for column in columns))
    print_table(table)
    for cosines in seesaw.cosines:
        title = f"Cosine of the weight updates of {cosines.first} and {cosines.second}"
        table = results_table(title, *(f">{column}" for column in ("layer", *cosines.modules, "all")))
        for layer, values, whole in zip(cosines.layers, cosines.values, cosines.by_layer, strict=True):
            table.add_row(str(layer), *(f"{value:+.2f}" for value in (*values, whole)))
        print_table(table)
