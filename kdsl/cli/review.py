"""kdsl review: the local web page on which people review the rule base."""

from typing import TYPE_CHECKING, Annotated

import typer

from kdsl.cli.options import ProjectArguments
from kdsl.cli.rules_exchange import AsOption

if TYPE_CHECKING:
    from kdsl.cli.project import Project
    from kdsl.config import ProjectConfig
    from kdsl.review.dataset import Dataset
    from kdsl.review.live import LiveSite

_LOCAL = ("127.0.0.1", "localhost", "[::1]")


def review(
    arguments: ProjectArguments = None,
    by: AsOption = None,
    host: Annotated[
        str, typer.Option("--host", help="Address or name to listen on; others than 127.0.0.1 need a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes a free one.")] = 8321,
    browse: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in the browser.")] = True,
) -> None:
    """Open the page on which people accept, reject, edit and write rules; every decision lands in the rule files."""
    import secrets
    import socket
    import webbrowser

    from kdsl.cli.project import open_project
    from kdsl.cli.rules_exchange import user_name
    from kdsl.errors import KdslError

    project = open_project(arguments)
    try:
        import uvicorn

        from kdsl.review.app import create_app
    except ModuleNotFoundError as error:
        raise KdslError(f'kdsl review needs {error.name}: pip install "kdsl[review]"') from error
    live = open_live(project, by or user_name())
    local = host in ("127.0.0.1", "localhost", "::1")
    token = None if local else secrets.token_urlsafe(24)
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
    typer.echo("Ctrl-C ends it; everything decided is in the files already.", err=True)
    if browse and local:
        webbrowser.open(address)
    hosts = _LOCAL if local else (*_LOCAL, shown.lower(), host.lower())
    uvicorn.Server(uvicorn.Config(create_app(live, hosts, token), log_level="warning", lifespan="on")).run(
        sockets=[listening]
    )


def open_live(project: "Project", by: str) -> "LiveSite":
    """Everything that the page shows of a project, read and counted, and read again when its files change."""
    from functools import partial

    from kdsl.review.dataset import Source
    from kdsl.review.live import LiveSite

    config, data = project.config, project.config.data
    tasks = [config.folder / name for name in config.tasks]
    files = [data.train, data.ocr, data.captions, data.questions, *(path for path in tasks if path.is_file())]
    return LiveSite(config, Source(partial(_read, config), [path for path in files if path is not None]), by)


def _read(config: "ProjectConfig") -> "Dataset":
    """Everything that the data files of a project say now."""
    from kdsl.cli.project import Project
    from kdsl.cli.recorded import data_orders
    from kdsl.review.dataset import Dataset

    now = Project(config)
    samples = {task.name: now.task_samples(task) for task in now.tasks}
    return Dataset(now.tasks, samples, now.sidecars(), data_orders(now))
