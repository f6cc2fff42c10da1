"""The service under Ray Serve: the deployment file of the documentation, with two replicas on this machine."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

pytest.importorskip("fastapi", reason="needs the extra serve")
pytest.importorskip("ray", reason="needs the extra ray")

import httpx
from one_ray import ENVIRONMENT, alone_with_ray
from service_on_port import on_port
from service_shop import QUICK, opened
from waiting import until

from kdsl.errors import KdslError
from kdsl.serve.ray_deployment import app

FILE = Path(__file__).parents[2] / "docs" / "service" / "ray-serve.yaml"
TOKEN = "s3cret"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
ASKED = {"samples": [{"id": "a", "task": "returns", "text": "钱退了吗"}]}


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.fixture
def uploads(tmp_path: Path) -> Path:
    """Where each replica has a folder of its own while it is there."""
    return tmp_path / "uploads"


@pytest.fixture
def replicas(shop: Path, tmp_path: Path, uploads: Path) -> Iterator[httpx.Client]:
    """A client of what `serve run` serves by the file, with the port and the project of the test."""
    uploads.mkdir()
    port = free_port()
    told = yaml.safe_load(FILE.read_text("utf-8"))
    told["http_options"] = {"host": "127.0.0.1", "port": port}
    [application] = told["applications"]
    application["args"] = {"project": str(shop), **QUICK}
    [deployment] = application["deployments"]
    deployment["ray_actor_options"] = {"num_cpus": 0.5}
    file = tmp_path / "deployment.yaml"
    file.write_text(yaml.safe_dump(told), "utf-8")
    more = {"KDSL_TOKEN": TOKEN, "TMPDIR": str(uploads), "RAY_TMPDIR": "/tmp"}
    with alone_with_ray(), (tmp_path / "told").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "ray.serve.scripts", "run", "--address", "local", str(file)],
            env={**os.environ, **ENVIRONMENT, **more, "RAY_OVERRIDE_RESOURCES": '{"CPU": 2}'},
            stdout=output,
            stderr=output,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=BEARER, timeout=60) as client:
            try:
                while len(folders(uploads)) < 2 or not is_ready(client):  # which takes long on a busy machine
                    assert process.poll() is None, (tmp_path / "told").read_text("utf-8")
                    threading.Event().wait(0.1)
                yield client
            finally:
                process.send_signal(signal.SIGINT)
                process.wait()
    until(lambda: not folders(uploads))


def folders(uploads: Path) -> list[Path]:
    return list(uploads.glob("kdsl-serve-*"))


def is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False


def test_two_replicas_answer_as_the_service_itself_does(shop, uploads, replicas):
    with on_port(opened(shop, serve__log=str(shop / "other")), TOKEN) as alone:
        for path in ("/v1/predict", "/v1/explain"):
            answer = alone.post(ASKED, path, BEARER)
            for _ in range(4):
                assert replicas.post(path, json=ASKED).json() == answer.json
        for body in ({}, {"samples": []}, {"samples": [{"text": 1}]}):
            answer = alone.post(body, "/v1/predict", BEARER)
            told = replicas.post("/v1/predict", json=body)
            assert (told.status_code, told.json()) == (answer.status, answer.json)
    assert replicas.post("/v1/predict", json=ASKED, headers={"Authorization": "Bearer other"}).status_code == 401
    given = {"id": "a", "task": "returns", "label": "退款", "by": "Li", "sample": {"text": "钱退了吗"}}
    assert [replicas.post("/v1/feedback", json=given).json()["saved"] for _ in range(4)] == [True] * 4
    [log] = (shop / "decisions").glob("*.jsonl")
    assert len(log.read_bytes().splitlines()) == 8
    assert len(opened(shop).feedback_log.events()) == 4


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({}, "project is None; give the folder of a project, such as project=/srv/shop"),
        ({"project": 3}, "project is 3; give the folder of a project, such as project=/srv/shop"),
        ({"project": "/not/there"}, "/not/there"),
    ],
)
def test_what_cannot_be_served_is_one_sentence(monkeypatch, args, message):
    monkeypatch.setenv("KDSL_TOKEN", TOKEN)
    with pytest.raises(KdslError, match=message):
        app(args)


def test_replicas_need_a_token_that_all_of_them_have(monkeypatch, shop):
    monkeypatch.delenv("KDSL_TOKEN", raising=False)
    with pytest.raises(KdslError, match="KDSL_TOKEN is not set; replicas need one token, which clients bring"):
        app({"project": str(shop)})


def test_without_ray_it_is_said_how_to_install_it(monkeypatch, shop):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(KdslError, match=r"Ray Serve is not installed: pip install .*ray\[data,serve\]"):
        app({"project": str(shop)})
