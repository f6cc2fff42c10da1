"""kdsl serve: the prediction service."""

from typing import Annotated

import typer

from kdsl.cli.options import ProjectArguments, open_project


def serve(
    arguments: ProjectArguments = None,
    host: Annotated[str, typer.Option("--host", help="Address or name to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes a free one.")] = 8400,
    with_token: Annotated[
        bool,
        typer.Option(
            "--token/--no-token",
            help="Answer only who brings the token, that of KDSL_TOKEN or a new one; else all on 127.0.0.1.",
        ),
    ] = True,
) -> None:
    """Answer requests for predictions and explanations over HTTP, and take feedback; rules are read again when they
    change."""
    from kdsl.serve.serving import serve_project

    def tell(address: str, note: str) -> None:
        typer.echo(address)
        typer.echo(note, err=True)

    serve_project(open_project(arguments), host, port, with_token, tell)
