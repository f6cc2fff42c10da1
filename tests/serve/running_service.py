"""The service on a free port of this computer, for a browser."""

import threading
from pathlib import Path

from kdsl.listening import listen
from kdsl.project.project import Project
from kdsl.serve.app import create_app
from kdsl.serve.live import LiveProject
from kdsl.serve.pictures import Uploads
from kdsl.serve.service import Service
from kdsl.web_server import web_server


class RunningService:
    """The service over a project, at `address` until it is stopped; `uploads` is an empty folder."""

    def __init__(self, project: Project, uploads: Path, token: str | None) -> None:
        listening = listen("127.0.0.1", 0)
        self.address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        self._server = web_server(create_app(Service(LiveProject(project), Uploads(uploads)), token))
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [listening]}, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join()
