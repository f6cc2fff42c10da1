"""Serving a project's predictions over HTTP, as `kdsl serve` does."""

import gc
import os
import secrets
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from kdsl.distribution import install_command
from kdsl.errors import KdslError
from kdsl.listening import is_local, listen, shown_host
from kdsl.project.project import Project

TOKEN = "KDSL_TOKEN"
"""The environment variable that holds the token."""
_PATIENCE = 5.0
"""Seconds beyond `serve.seconds` after which a client that hangs is dropped without an answer."""
_MOST_WAITING = 512
"""Connections whose clients are sending or reading; each is an open file."""
_SWITCH = 0.001
"""Seconds that a thread computes until another one has its turn: requests come in while others are decided."""


def serve_project(
    project: Project,
    host: str = "127.0.0.1",
    port: int = 8400,
    with_token: bool = True,
    tell: Callable[[str, str], None] = lambda address, note: print(address, note, sep="\n"),
) -> None:
    """Serve until SIGTERM or Ctrl-C, and finish what runs then; `tell` is given the address and a note at the start.

    The token is that of KDSL_TOKEN, or one that is made and told; port 0 takes a free one. Raises KdslError where the
    extra is not installed, where nothing is trained, for an address that cannot be had, and for one of a network
    without a token.
    """
    if not with_token and not is_local(host):
        raise KdslError(f"--no-token would let everybody on the network ask at --host {host}; leave it out there")
    require_serve()
    from kdsl.serve.app import create_app
    from kdsl.serve.live import LiveProject
    from kdsl.serve.media import Uploads
    from kdsl.serve.service import Service
    from kdsl.web_server import web_server

    given = os.environ.get(TOKEN, "").strip()
    token = (given or secrets.token_urlsafe(24)) if with_token else None
    listening = listen(host, port)
    with listening, tempfile.TemporaryDirectory(prefix="kdsl-serve-") as folder:
        service = Service(LiveProject(project), Uploads(Path(folder)))
        seconds = project.config.serve.seconds
        server = web_server(create_app(service, token), seconds + _PATIENCE, _MOST_WAITING)
        address = f"http://{shown_host(host)}:{listening.getsockname()[1]}/"
        tell(address, f"{_access(address, token, bool(given))} Decisions are logged in {project.config.serve.log}.")
        tune_process()
        signal.signal(signal.SIGTERM, _end)  # the server takes both signals itself, and passes them on in the end
        server.run(sockets=[listening])


def require_serve() -> None:
    """Raise KdslError where the extra is not installed."""
    try:
        import fastapi  # noqa: F401
        import httptools  # noqa: F401
        import jinja2  # noqa: F401
        import prometheus_client  # noqa: F401
        import python_multipart  # noqa: F401  # forms with files are read by it
        import uvicorn  # noqa: F401
    except ModuleNotFoundError as error:
        raise KdslError(f"kdsl serve needs {error.name}: {install_command('serve')}") from error


def tune_process() -> None:
    """Settings of a process that answers requests and has read its project."""
    from threadpoolctl import threadpool_limits

    sys.setswitchinterval(_SWITCH)
    threadpool_limits(1)  # one batch is decided after the other: more threads would spin beside the requests
    gc.collect()
    gc.freeze()  # what was read stays: looking through it for garbage would hold up requests


def _access(address: str, token: str | None, given: bool) -> str:
    """Who may ask, and where a person tries it. What stands behind # in an address is sent to nobody."""
    if token is None:
        return f"Everybody on this computer may ask. Try it at {address}docs."
    if given:
        return f"Ask with the token of {TOKEN}. Try it at {address}docs."
    return f"Ask with the token {token}. Try it at {address}docs#token={token}"


def _end(*_: object) -> None:
    sys.exit(0)
