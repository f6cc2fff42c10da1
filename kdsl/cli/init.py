"""kdsl init: a new project, of nothing or of a file that people have."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from kdsl.data.columns import Columns
    from kdsl.project.create_from import Look

_LONGEST = 60
"""Characters of a text in the preview."""


def init(
    folder: Annotated[
        Path, typer.Argument(metavar="[FOLDER]", help="Where the project goes.", show_default=False)
    ] = Path("."),
    task: Annotated[
        list[str] | None,
        typer.Option(
            "--task",
            metavar="NAME",
            help="A shipped task, with the rules that ship for it, or a task file; give several one by one.",
            show_default=False,
        ),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="Labelled samples: a table, a labelling tool's export, JSON or JSON Lines, as they are.",
            show_default=False,
        ),
    ] = None,
    text: Annotated[
        list[str] | None,
        typer.Option(
            "--text", metavar="COLUMN", help="What was said; of several columns one by one.", show_default=False
        ),
    ] = None,
    label: Annotated[
        str, typer.Option("--label", metavar="COLUMN", help="The column of the labels.", show_default=False)
    ] = "",
    image: Annotated[
        list[str] | None,
        typer.Option("--image", metavar="COLUMN", help="Images; of several columns one by one.", show_default=False),
    ] = None,
    audio: Annotated[
        list[str] | None,
        typer.Option(
            "--audio",
            metavar="COLUMN",
            help="Sounds, such as voice messages; of several columns one by one.",
            show_default=False,
        ),
    ] = None,
    identity: Annotated[
        str, typer.Option("--id", metavar="COLUMN", help="What tells samples apart.", show_default=False)
    ] = "",
    turns: Annotated[
        str, typer.Option("--turns", metavar="COLUMN", help="Dialogues, instead of --text.", show_default=False)
    ] = "",
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="NAME", help="Of the new task; else the file's.", show_default=False),
    ] = None,
) -> None:
    """Make a new project: a commented kdsl.yaml and its folders. Nothing that exists is touched.

    With --from FILE the file stays where it is: its columns are proposed and shown, the labels found make a task file,
    and kdsl.yaml says which column is what. Where nothing can be asked, the proposal is taken.
    """
    from kdsl.data.columns import Columns
    from kdsl.errors import KdslError
    from kdsl.project.create import create_project
    from kdsl.project.create_from import create_from

    said = Columns(tuple(text or ()), turns, tuple(image or ()), label, identity, tuple(audio or ()))
    if file is None:
        if said.names or name is not None:
            raise KdslError(
                "--text, --turns, --image, --audio, --label, --id and --name are of --from FILE; give that too"
            )
        config = create_project(folder, task or None)
        typer.echo(f"{config} is ready. Put your samples into {folder / 'data'}, then run: kdsl check {config}")
    else:
        look = _settled(file, said)
        config = create_from(folder, look, task or None, name)
        _print_left_out(look)
        typer.echo(f"{config} is ready. Next: kdsl run {config}")
    if task:
        _print_shipped_rules(folder, config)


def _settled(file: Path, said: "Columns") -> "Look":
    """What the file holds, shown; on a terminal it is asked whether the columns are right."""
    from kdsl.project.create_from import look_at

    look = look_at(file, said)
    _print_look(look)
    while sys.stdin.isatty() and not typer.confirm("Is that right?", default=True):
        said = _asked(look.columns)
        look = look_at(file, said)
        _print_look(look)
    return look


def _asked(columns: "Columns") -> "Columns":
    """The columns that a person types; an empty answer keeps what is proposed, - means none."""
    from kdsl.data.columns import Columns

    def ask(what: str, proposed: str) -> str:
        answer = str(typer.prompt(f"{what} (- for none)", default=proposed or "-")).strip()
        return "" if answer == "-" else answer

    def several(what: str, proposed: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(each.strip() for each in ask(what, ", ".join(proposed)).split(",") if each.strip())

    text, turns = several("Columns of the text, with commas", columns.text), ask("Column of dialogues", columns.turns)
    images = several("Columns of images, with commas", columns.images)
    audio = several("Columns of sounds, with commas", columns.audio)
    label, identity = ask("Column of the label", columns.label), ask("Column of the id", columns.id)
    return Columns(text, turns, images, label, identity, audio)


def _print_look(look: "Look") -> None:
    from rich.text import Text

    from kdsl.cli.console import results_console, results_table

    columns = look.columns.told()
    typer.echo(f"{look.path}: {look.samples} samples, read as {look.form}{columns and f': {columns}'}")
    heard = ["sounds"] if look.audio else []
    table = results_table("", "id", "label", "text", "images", *heard)
    for sample in look.first:
        said = " / ".join(" ".join(turn.text.split()) for turn in sample.turns)
        shown = said if len(said) <= _LONGEST else said[: _LONGEST - 1] + "…"
        cells = [sample.id, sample.answer_words or "", shown, ", ".join(sample.images)]
        table.add_row(*map(Text, [*cells, *([", ".join(sample.audio)] if heard else [])]))
    results_console().print(table)
    labels = ", ".join(f"{name} {count}" for name, count in look.labels.most_common(12))
    more = f", and {len(look.labels) - 12} more" if len(look.labels) > 12 else ""
    several = ", several of them on a sample (`multi: true` in the task file)" if look.multi else ""
    typer.echo(f"{len(look.labels)} labels{several}: {labels}{more}")


def _print_left_out(look: "Look") -> None:
    from kdsl.project.create_from import audio_folder, image_folder

    if look.unlabelled:
        typer.echo(f"without a label: {look.unlabelled} samples")
    look.notes.columns.clear()  # what was settled
    look.notes.tell(look.path)
    if look.notes.unused:
        unused = ", ".join(f"{name} ({count})" for name, count in look.notes.unused.items())
        typer.echo(f"not used: {unused}")
    if look.numbered:
        typer.echo("the labels are numbers: say what they mean in data.labels of kdsl.yaml and in the task file")
    if look.images and image_folder(look) is None:
        typer.echo(f"images such as {look.images[0]!r} are not found: set data.images to the folder that they are in")
    if look.audio and audio_folder(look) is None:
        typer.echo(f"sounds such as {look.audio[0]!r} are not found: set data.audio to the folder that they are in")


def _print_shipped_rules(folder: Path, config: Path) -> None:
    from kdsl.project.project import Project

    project = Project.open(config)
    for each in project.tasks:
        if count := len(project.rule_base(each)):
            rules = folder / "rules" / each.name
            typer.echo(
                f"{rules}: {count} rules that people accepted. They count before any training: kdsl predict {config}"
            )
