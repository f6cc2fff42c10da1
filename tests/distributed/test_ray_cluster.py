"""A cluster of three nodes, by Ray's own utility: what comes of shards and of mining when one of them is lost."""

import os
import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_shop import dialogues, write, write_project
from waiting import until

from kdsl.distributed.ray_engine import in_cluster
from kdsl.distributed.ray_mining import mine_in_cluster
from kdsl.distributed.running import in_processes, run_over_shards
from kdsl.distributed.steps.predict import Predict
from kdsl.errors import KdslError
from kdsl.project.mining import mine_project
from kdsl.project.project import Project
from kdsl.project.training import train_project

SHARDS, ROWS = 12, 25


@pytest.fixture(scope="module")
def cluster() -> Iterator[object]:
    """Three nodes with a core each, the head among them; it needs no more than this machine."""
    os.environ["RAY_RAYLET_START_WAIT_TIME_S"] = "180"  # other programs may keep the cores busy
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": 80_000_000})
    for _ in range(2):
        made.add_node(num_cpus=1, object_store_memory=80_000_000)
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


def test_results_are_those_of_local_processes_though_a_node_is_lost(cluster, shop, tmp_path):
    project = Project.open(shop)
    step = Predict(("shop",))
    run_over_shards(project, step, str(shop / "shards"), str(tmp_path / "local"), in_processes(1))
    lost = threading.Thread(target=lose_a_node, args=(cluster, tmp_path / "ray"))
    lost.start()
    outcome = run_over_shards(
        project, step, str(shop / "shards"), str(tmp_path / "ray"), in_cluster(cluster.address, None)
    )
    lost.join()
    assert (outcome.shards, outcome.samples, outcome.problems) == (SHARDS, SHARDS * ROWS, 0)
    assert len(predicted(tmp_path / "ray")) == SHARDS
    assert predicted(tmp_path / "ray") == predicted(tmp_path / "local")


def lose_a_node(cluster, results: Path) -> None:
    """Kill a node that is not the head once the first result is there."""
    until(lambda: any(results.glob("part-*.parquet")))
    cluster.remove_node(sorted(cluster.worker_nodes, key=lambda node: node.unique_id)[0], allow_graceful=False)


def test_rules_mined_in_a_cluster_are_those_of_one_machine_to_the_letter(cluster, shop, tmp_path):
    folder = Path(shutil.copytree(shop, tmp_path / "project"))
    shutil.rmtree(folder / "rules")
    mine_in_cluster(Project.open(folder), cluster.address)
    assert texts(folder / "rules") == texts(shop / "mined")


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
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"ray://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(
            KdslError, match=r"--address ray://127\.0\.0\.1:\d+: nobody listens there .*; start a cluster"
        ):
            run_over_shards(
                Project.open(shop),
                Predict(("shop",)),
                str(shop / "shards"),
                str(tmp_path / "o"),
                in_cluster(address, 1),
            )
