"""kdsl hosts: which servers the user's projects may contact, and which have a key."""

from pathlib import Path
from typing import Annotated

import typer

from kdsl.cli.options import Format, FormatOption, print_json, project_and, taken_out

app = typer.Typer(
    help="Servers that projects may contact: list them, allow one, take that back.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

ProjectAndAddress = Annotated[
    list[str] | None, project_and("ADDRESS", "the address of a server, such as http://gpu.lan:8000.")
]


@app.command("list")
def list_hosts(format: FormatOption = Format.table) -> None:
    """List the servers that each project may contact, and the environment variables that hold keys of servers."""
    from kdsl.hosts import ALLOWED, KEYS, allowed_contacts, key_variables, user_folder

    keys, allowed = key_variables(), allowed_contacts()
    if format is Format.json:
        contacts = [{"project": project, "server": server} for project, server in allowed]
        print_json({"allowed": contacts, "keys": keys})
        return
    for project, server in allowed:
        typer.echo(f"{project}  may contact  {server}")
    for server, variable in keys.items():
        typer.echo(f"{server}  has the key in  {variable}")
    if not keys and not allowed:
        typer.echo(f"{user_folder()}: no server in {ALLOWED} or {KEYS}; this machine may always be contacted")


@app.command()
def allow(arguments: ProjectAndAddress = None) -> None:
    """Allow a project to send dialogues, screenshots and sounds to a server; the yes is kept until taken back."""
    from kdsl.config import load_config
    from kdsl.hosts import origin_of, remember

    address, project = _address(arguments)
    origin = origin_of(address)
    folder = load_config(project).folder
    remember(folder, origin, True)
    typer.echo(f"{folder.resolve()} may contact {origin}")


@app.command()
def forget(arguments: ProjectAndAddress = None) -> None:
    """Take back that a project may contact a server; the project itself need not be there any more."""
    from kdsl.hosts import origin_of, take_back

    address, project = _address(arguments)
    folder = project.parent if project.is_file() else project
    origin = origin_of(address)
    take_back(folder, origin)
    typer.echo(f"{folder.resolve()} may not contact {origin} any more")


def _address(arguments: list[str] | None) -> tuple[str, Path]:
    """The address, and the project file or its folder."""
    address, others = taken_out("ADDRESS", arguments)
    return address, Path(others[0]) if others else Path()
