"""A cluster of three nodes, by Ray's own utility: what comes of shards and of mining when one of them is lost."""

import os
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from one_ray import ENVIRONMENT, alone_with_ray
from small_shop import dialogues, write, write_project
from waiting import until

from kdsl.distributed.ray_engine import in_cluster
from kdsl.distributed.ray_mining import mine_in_cluster
from kdsl.distributed.running import in_processes, run_over_shards
from kdsl.distributed.steps.predict import Predict
from kdsl.errors import KdslError
from kdsl.project.mining import RESUME_FILE, archive_path, mine_project
from kdsl.project.project import Project
from kdsl.project.training import train_project

SHARDS, ROWS = 12, 25
NODE = {"num_cpus": 1, "object_store_memory": 80_000_000}

WITHOUT_PYARROW = """
import importlib.metadata as metadata
there = metadata.version
def version(name):
    if name == "pyarrow":
        raise metadata.PackageNotFoundError(name)
    return there(name)
metadata.version = version
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[object]:
    """Three nodes with a core each, the head among them; it needs no more than this machine."""
    os.environ.update(ENVIRONMENT)
    from ray.cluster_utils import Cluster

    head = {**NODE, "ray_client_server_port": free_port(), "_system_config": {"health_check_period_ms": 500}}
    with alone_with_ray():
        made = Cluster(initialize_head=True, head_node_args=head)
        for _ in range(2):
            made.add_node(**NODE)
        made.wait_for_nodes(timeout=180)
        yield made
        import ray

        ray.shutdown()
        made.shutdown()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained project and shards to predict."""
    folder = write_project(tmp_path_factory.mktemp("cluster") / "project")
    project = Project.open(folder)
    mine_project(project, workers=1)
    shutil.copytree(folder / "rules", folder / "mined")
    train_project(project)
    (folder / "shards").mkdir()
    records = dialogues(SHARDS * ROWS, 5)
    for number in range(SHARDS):
        rows = records[number * ROWS : (number + 1) * ROWS]
        write(
            folder / "shards" / f"part-{number:02}.jsonl", [{k: v for k, v in r.items() if k != "label"} for r in rows]
        )
    return folder


def predicted(folder: Path) -> dict[str, list[dict]]:
    from pyarrow.parquet import read_table

    return {path.name: read_table(path).to_pylist() for path in sorted(folder.glob("part-*.parquet"))}


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def client_address(cluster) -> str:
    return f"ray://127.0.0.1:{cluster.head_node._ray_params.ray_client_server_port}"


@contextmanager
def a_node_is_lost(cluster, begun: Callable[[], bool]) -> Iterator[None]:
    """Kill a node that is not the head once the work has `begun`."""

    def lose() -> None:
        until(begun)
        node = sorted(cluster.worker_nodes, key=lambda node: node.unique_id)[0]
        cluster.remove_node(node, allow_graceful=False)

    losing = threading.Thread(target=lose)
    losing.start()
    yield
    losing.join()


def test_results_are_those_of_local_processes_though_a_node_is_lost(cluster, shop, tmp_path):
    project, step, shards = Project.open(shop), Predict(("shop",)), str(shop / "shards")
    run_over_shards(project, step, shards, str(tmp_path / "local"), in_processes(1))
    with a_node_is_lost(cluster, lambda: any((tmp_path / "ray").glob("part-*.parquet"))):
        outcome = run_over_shards(project, step, shards, str(tmp_path / "ray"), in_cluster(cluster.address, None))
    assert (outcome.shards, outcome.samples, outcome.problems) == (SHARDS, SHARDS * ROWS, 0)
    assert len(predicted(tmp_path / "ray")) == SHARDS
    assert predicted(tmp_path / "ray") == predicted(tmp_path / "local")


def test_rules_mined_in_a_cluster_are_those_of_one_machine_though_a_node_is_lost(cluster, shop, tmp_path):
    folder = Path(shutil.copytree(shop, tmp_path / "project"))
    shutil.rmtree(folder / "rules")
    kept = archive_path(Project.open(folder), Project.open(folder).tasks[0]).with_name(RESUME_FILE)
    with a_node_is_lost(cluster, lambda: kept.exists() and kept.read_bytes().count(b"\n") > 1):
        mine_in_cluster(Project.open(folder), cluster.address)
    assert texts(folder / "rules") == texts(shop / "mined")


def test_a_cluster_is_asked_through_its_head(cluster, shop, tmp_path, monkeypatch):
    project, step = Project.open(shop), Predict(("shop",))
    (tmp_path / "shards").mkdir()
    for name in ("part-00.jsonl", "part-01.jsonl"):
        shutil.copy(shop / "shards" / name, tmp_path / "shards")
    monkeypatch.chdir(tmp_path)  # what is given is seen from here, wherever the workers are
    run_over_shards(project, step, "shards", "local", in_processes(1))
    run_over_shards(project, step, "shards", "ray", in_cluster(client_address(cluster), 1))
    assert predicted(tmp_path / "ray") == predicted(tmp_path / "local")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"kdsl/__init__.py": "", "kdsl/version.py": "__version__ = '0.0.1'"},
         r"node \S+ \(\S+\): has KDSL 0\.0\.1, and this machine \S+; install the same version everywhere"),
        ({"kdsl/__init__.py": "raise ImportError('none here')"},
         r"node \S+ \(\S+\): has no KDSL, and this machine \S+; install the same version everywhere"),
        ({"sitecustomize.py": WITHOUT_PYARROW},
         r"node \S+ \(\S+\): lacks pyarrow, which this step needs; install there: pip install .*pyarrow.*"),
    ],
    ids=["another version", "no KDSL", "without an extra"],
)  # fmt: skip
def test_a_node_with_something_else_installed_is_named(cluster, shop, tmp_path, monkeypatch, files, message):
    for name, text in files.items():
        (tmp_path / "there" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "there" / name).write_text(text)
    monkeypatch.chdir(tmp_path)  # Ray has workers import from the folder of the driver
    path = f"{tmp_path / 'there'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    node = cluster.add_node(**NODE, env_vars={"PYTHONPATH": path})
    try:
        with pytest.raises(KdslError, match=message):
            run_over_shards(
                Project.open(shop), Predict(("shop",)), str(shop / "shards"), "out", in_cluster(cluster.address, 1)
            )
    finally:
        cluster.remove_node(node)
    assert not list((tmp_path / "out").glob("*.parquet"))


def texts(rules: Path) -> dict[str, str]:
    """What stands in rule files and statistics, but for when they were mined."""
    return {
        path.relative_to(rules).as_posix(): "".join(
            line for line in path.read_text("utf-8").splitlines(True) if "run" not in line
        )
        for path in sorted(rules.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }


def test_an_address_nobody_listens_at_is_one_sentence(shop, tmp_path):
    for address in (f"ray://127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"):
        with pytest.raises(KdslError, match=rf"--address {address}: nobody listens there .*; start a cluster"):
            predict_at(address, shop, tmp_path)


def test_an_address_of_something_else_is_one_sentence(shop, tmp_path, monkeypatch):
    monkeypatch.setattr("kdsl.distributed.ray_cluster.PATIENCE", 0.5)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"ray://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(KdslError, match=rf"--address {address}: who listens there is no Ray cluster; its head"):
            predict_at(address, shop, tmp_path)


@pytest.mark.parametrize("address", ["ray://head:port", "http://head:8000/x", "ray://:99999"])
def test_what_is_no_address_is_one_sentence(shop, tmp_path, address):
    with pytest.raises(KdslError, match=rf"--address {address}: is no address of a cluster; give one such as ray://"):
        predict_at(address, shop, tmp_path)


def predict_at(address: str, shop: Path, tmp_path: Path) -> None:
    run_over_shards(
        Project.open(shop), Predict(("shop",)), str(shop / "shards"), str(tmp_path / "o"), in_cluster(address, 1)
    )
