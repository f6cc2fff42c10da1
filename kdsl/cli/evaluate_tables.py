"""The tables that `kdsl evaluate` prints of an ablation and of adapters."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kdsl.project.ablation import Ablation
    from kdsl.training.seesaw import Seesaw


def print_ablation(ablation: "Ablation") -> None:
    """One row a combination of steps."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from kdsl.cli.console import results_console

    console = results_console()

    title = f"{ablation.folds}-fold cross-validation of {ablation.samples} samples, weighted F1 in points"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ablation.columns():
        table.add_column(Text(column), justify="left" if column == "steps" else "right")
    for cells in ablation.cells():
        table.add_row(*map(Text, cells))
    console.print(table)
    for step, why in ablation.left_out.items():
        console.print(Text(f"{step}: n/a, {why}"))


def print_seesaw(seesaw: "Seesaw") -> None:
    """One table of weighted F1, and for every two tasks one of cosines by layer."""
    from rich.markup import escape
    from rich.table import Table

    from kdsl.cli.console import results_console

    console = results_console()
    columns = list(next(iter(seesaw.f1.values())))
    table = Table(title="Weighted F1", title_justify="left")
    table.add_column("adapter")
    for column in columns:
        table.add_column(escape(column), justify="right")
    for name, scores in seesaw.f1.items():
        table.add_row(escape(name), *(f"{scores[column]:.3f}" for column in columns))
    console.print(table)
    for cosines in seesaw.cosines:
        title = f"Cosine of the weight updates of {cosines.first} and {cosines.second}"
        table = Table(title=escape(title), title_justify="left")
        for column in ("layer", *cosines.modules, "all"):
            table.add_column(column, justify="right")
        for layer, values, whole in zip(cosines.layers, cosines.values, cosines.by_layer, strict=True):
            table.add_row(str(layer), *(f"{value:+.2f}" for value in (*values, whole)))
        console.print(table)
