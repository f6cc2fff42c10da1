"""kdsl review: the local web page on which people review the rule base."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from kdsl.cli.options import ProjectArguments, open_project
from kdsl.cli.rules_exchange import AsOption

if TYPE_CHECKING:
    pass

_LOCAL = ("127.0.0.1", "localhost", "[::1]")


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
    import secrets
    import socket

    from kdsl.cli.rules_exchange import who_decides
    from kdsl.distribution import install_command
    from kdsl.errors import KdslError

    local = _is_local(host)
    if not with_token and not local:
        raise KdslError(f"--no-token would let everybody on the network decide at --host {host}; leave it out there")
    by = who_decides(by)
    project = open_project(arguments)
    try:
        from kdsl.review.app import create_app
        from kdsl.review.opening import open_live
        from kdsl.review.server import web_server
    except ModuleNotFoundError as error:
        raise KdslError(f"kdsl review needs {error.name}: {install_command('review')}") from error
    live = open_live(project, by)
    token = secrets.token_urlsafe(24) if with_token else None
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen()  # who opens the address at once waits instead of being refused
    except OSError as error:
        raise KdslError(f"--host {host} --port {port}: {error.strerror}; choose another with --port") from error
    shown = socket.gethostname() if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host
    address = f"http://{shown}:{listening.getsockname()[1]}/" + (f"?token={token}" if token else "")
    typer.echo(address)
    typer.echo(f"{by} decides. Ctrl-C ends it; everything decided is in the files already.", err=True)
    hosts = _LOCAL if local else (*_LOCAL, shown.lower(), host.lower())
    server = web_server(create_app(live, hosts, token))
    if browse and local:
        with opened(address):
            server.run(sockets=[listening])
    else:
        server.run(sockets=[listening])


def _is_local(host: str) -> bool:
    """Whether only this computer reaches the address."""
    import ipaddress

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


@contextmanager
def opened(address: str) -> Iterator[None]:
    """Opens the address in the user's browser, by a file that only the user can read and that goes with the page.

    Every user of the computer sees what programs are started with, and the address holds the token.
    """
    import html
    import tempfile
    import webbrowser
    from pathlib import Path

    with tempfile.TemporaryDirectory(prefix="kdsl-review-") as folder:  # nobody else may look into it
        page = Path(folder) / "open.html"
        text = (
            f'<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0; url={html.escape(address)}">'
        )
        page.write_text(text, encoding="utf-8")
        page.chmod(0o600)
        webbrowser.open(page.as_uri())
        yield
