"""The page over a project on a free port of this computer, for a browser."""

import socket
import threading

from kdsl.review.app import create_app
from kdsl.review.live import LiveSite
from kdsl.web_server import web_server


class Served:
    """A shop on a free port of this computer."""

    def __init__(self, live: LiveSite, token: str | None = None) -> None:
        self.site = live.site
        listening = socket.socket()
        listening.bind(("127.0.0.1", 0))
        listening.listen()  # who opens it before the server runs waits
        self.address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        self._server = web_server(create_app(live, ["127.0.0.1"], token, background=False))
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [listening]}, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join()
