"""kdsl review: the local web page on which people review the rule base."""

from typing import Annotated

import typer

from kdsl.cli.options import ProjectArguments, open_project
from kdsl.cli.rules_exchange import AsOption


def review(
    arguments: ProjectArguments = None,
    by: AsOption = None,
    host: Annotated[str, typer.Option("--host", help="Address or name to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes a free one.")] = 8321,
    with_token: Annotated[
        bool, typer.Option("--token/--no-token", help="Let in only who opens the printed link; else all on 127.0.0.1.")
    ] = True,
    browse: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in the browser.")] = True,
) -> None:
    """Open the page on which people accept, reject, edit and write rules; every decision lands in the rule files."""
    from kdsl.review.serving import serve_review

    def tell(address: str, note: str) -> None:
        typer.echo(address)
        typer.echo(note, err=True)

    serve_review(open_project(arguments), by, host, port, with_token, browse, tell)
