"""Serving the review page of a project on this computer, as `kdsl review` and `Project.review` do."""

import asyncio
import html
import secrets
import socket
import tempfile
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

from kdsl.distribution import install_command
from kdsl.errors import KdslError
from kdsl.listening import LOCAL_NAMES, is_local, listen, shown_host
from kdsl.project.project import Project
from kdsl.review.reviewer import reviewer_name

if TYPE_CHECKING:
    from uvicorn import Server

_ASKED_AGAIN = 0.2
"""Seconds between two looks at whether the page was ended."""


def serve_review(
    project: Project,
    by: str | None = None,
    host: str = "127.0.0.1",
    port: int = 8321,
    with_token: bool = True,
    browser: bool = True,
    tell: Callable[[str, str], None] = lambda address, note: print(address, note, sep="\n"),
) -> None:
    """Serve the page until Ctrl-C; `tell` is called with its address and a note as soon as it can be opened.

    `by` is who decides, the user by default; port 0 takes a free one. With a token only who opens the address is let
    in, else everybody on this computer. Raises KdslError where the page's packages are not installed, for an address
    that cannot be had, and for one of a network without a token.
    """
    local = is_local(host)
    if not with_token and not local:
        raise KdslError(f"--no-token would let everybody on the network decide at --host {host}; leave it out there")
    by = reviewer_name(by)
    try:
        from kdsl.review.app import create_app
        from kdsl.review.live import open_live
        from kdsl.web_server import web_server
    except ModuleNotFoundError as error:
        raise KdslError(f"kdsl review needs {error.name}: {install_command('review')}") from error
    live = open_live(project, by)
    token = secrets.token_urlsafe(24) if with_token else None
    listening = listen(host, port)
    shown = shown_host(host)
    address = f"http://{shown}:{listening.getsockname()[1]}/" + (f"?token={token}" if token else "")
    tell(address, f"{by} decides. Ctrl-C ends it; everything decided is in the files already.")
    hosts = LOCAL_NAMES if local else (*LOCAL_NAMES, shown.lower(), host.lower())
    server = web_server(create_app(live, hosts, token))
    with ExitStack() as stack:
        if browser and local:
            stack.enter_context(opened(address))
        _run(server, listening)


def _run(server: "Server", listening: socket.socket) -> None:
    """In a thread where this one has an event loop already, as in a notebook."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        server.run(sockets=[listening])
        return
    thread = Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            thread.join(_ASKED_AGAIN)
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def opened(address: str) -> Iterator[None]:
    """Opens the address in the user's browser, by a file that only the user can read and that goes with the page.

    Every user of the computer sees what programs are started with, and the address holds the token.
    """
    with tempfile.TemporaryDirectory(prefix="kdsl-review-") as folder:  # nobody else may look into it
        page = Path(folder) / "open.html"
        text = (
            f'<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0; url={html.escape(address)}">'
        )
        page.write_text(text, encoding="utf-8")
        page.chmod(0o600)
        webbrowser.open(page.as_uri())
        yield
