"""A small trained shop, and the service over it on a free port of this computer."""

import json
import threading
from pathlib import Path

from kdsl.listening import listen
from kdsl.project.project import Project
from kdsl.sample import Label, Task
from kdsl.serve.app import create_app
from kdsl.serve.live import LiveProject
from kdsl.serve.pictures import Uploads
from kdsl.serve.service import Service
from kdsl.web_server import web_server

RETURNS = Task("returns", (Label("退款", "wants the money back"), Label("尺码", "it does not fit")))
TOPICS = Task("topics", (Label("质量"), Label("物流")), multi=True)
TEXTS = {
    "returns": {"退款": ("我要退款", "退款到了吗", "还没退款"), "尺码": ("太小了", "尺码太小", "太小想换")},
    "topics": {"质量": ("破了", "质量差", "坏了"), "物流": ("快递慢", "没收到货", "物流没更新")},
}
QUICK = {"mining.iterations": 5, "mining.max_conditions": 1, "encoder": "none", "small": "lexical"}


def trained_shop(folder: Path) -> Project:
    """Two tasks, one of them with several labels a sample; both mined and trained."""
    Project.create(folder, [RETURNS, TOPICS])
    records = [
        {"id": text, "task": task, "text": text, "label": [label] if task == "topics" else label}
        for task, labels in TEXTS.items()
        for label, texts in labels.items()
        for text in texts
    ]
    (folder / "data" / "train.json").write_text(json.dumps(records), "utf-8")
    project = Project.open(folder, QUICK)
    project.mine(workers=1)
    project.train()
    return project


class ShopService:
    """The service, at `address` until it is stopped."""

    def __init__(self, project: Project, uploads: Path, token: str | None) -> None:
        uploads.mkdir()
        self.service = Service(LiveProject(project), Uploads(uploads))
        listening = listen("127.0.0.1", 0)
        self.address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        self._server = web_server(create_app(self.service, token))
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [listening]}, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join()
