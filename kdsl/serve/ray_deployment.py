"""The service under Ray Serve: `serve run kdsl.serve.ray_deployment:app project=/srv/shop`, see docs/scale.md.

Every replica is a process with the project loaded, and is the same application that `kdsl serve` runs. Files of the
project, of feedback and of the decision log must be seen at the same place by all machines.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kdsl.config import ProjectConfig
from kdsl.distribution import install_command
from kdsl.errors import KdslError
from kdsl.processes import temporary_until_end
from kdsl.project.project import Project
from kdsl.serve.serving import TOKEN, require_serve, tune_process

if TYPE_CHECKING:
    from fastapi import FastAPI

NAME = "kdsl"
"""Of the deployment, for `deployments:` in a file of Ray Serve."""
_AT_ONCE = 128
"""Requests that one replica works on: it decides what waits together. Ray Serve's own default of 5 would starve it."""
_LEFT = 5.0
"""Seconds beyond `serve.seconds` that a replica has to answer what it began, before it is ended."""


def app(args: Mapping[str, Any]) -> Any:
    """The application that Ray Serve runs.

    `args` are `project`, a folder or its kdsl.yaml, and changes to it such as `data.images`. All replicas have the
    token of KDSL_TOKEN. Raises KdslError where the project cannot be opened, an extra is not installed, and without a
    token: replicas are reached over the network, and each would make another one.
    """
    try:
        from ray import serve
    except ImportError as error:
        raise KdslError(f"Ray Serve is not installed: {install_command('ray')}") from error
    require_serve()
    changes = {str(key): value for key, value in args.items()}
    place = changes.pop("project", None)
    if not isinstance(place, str | Path) or not str(place):
        raise KdslError(f"project is {place!r:.60}; give the folder of a project, such as project=/srv/shop")
    token = os.environ.get(TOKEN, "").strip()
    if not token:
        raise KdslError(f"{TOKEN} is not set; replicas need one token, which clients bring")
    config = Project.open(Path(place).absolute(), changes).config
    deployment = serve.deployment(
        name=NAME, max_ongoing_requests=_AT_ONCE, graceful_shutdown_timeout_s=config.serve.seconds + _LEFT
    )
    return deployment(serve.ingress(_builder(config, token))()).bind()


def _builder(config: ProjectConfig, token: str) -> "Callable[[], FastAPI]":
    """Makes the application of a replica, in its process."""

    def build() -> "FastAPI":
        from kdsl.serve.app import create_app
        from kdsl.serve.live import LiveProject
        from kdsl.serve.media import Uploads
        from kdsl.serve.service import Service

        uploads = Uploads(temporary_until_end("kdsl-serve-"))  # Ray Serve kills replicas
        made = create_app(Service(LiveProject(Project(config)), uploads), token)
        tune_process()
        return made

    return build
