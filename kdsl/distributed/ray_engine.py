"""Work over shards in a Ray cluster: Ray Data reads them, actors hold what is heavy, the driver hears of each."""

import json
import logging
import math
import tempfile
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from kdsl.distributed.bundle import Bundle
from kdsl.distributed.ray_cluster import cause, is_client, joined, require_same_everywhere
from kdsl.distributed.results import ShardDone
from kdsl.distributed.running import Engine
from kdsl.distributed.shards import Shard
from kdsl.distributed.work import Job, ShardWorker
from kdsl.errors import KdslError
from kdsl.processes import temporary_until_end


def in_cluster(address: str | None, workers: int | None) -> Engine:
    """The engine of a cluster, see `kdsl.distributed.ray_cluster.joined`: `workers` actors, by default what fits."""
    return lambda job, shards: _work(job, shards, address, workers)


def _work(
    job: Job, shards: Sequence[Shard], address: str | None, workers: int | None
) -> Generator[ShardDone, None, None]:
    with joined(address) as ray:
        require_same_everywhere(ray, ("ray", *job.step.needs))
        bundle = Bundle.of(job)
        worked = _worked_by_head if is_client(ray) else _worked
        try:
            yield from worked(bundle, shards, workers)
        except (ray.exceptions.RayError, ValueError, ConnectionError) as error:
            raise KdslError(
                f"the cluster gave up ({cause(error)}); look at its logs, and run again to go on"
            ) from error


def _worked(bundle: Bundle, shards: Sequence[Shard], workers: int | None) -> Generator[ShardDone, None, None]:
    """The work, by Ray Data, which this process drives; KdslError for what stops it."""
    import ray

    job, resources = bundle.job, ray.cluster_resources()
    gpus = job.step.gpus if resources.get("GPU", 0) >= job.step.gpus else 0.0
    fit = math.floor(resources["GPU"] / gpus) if gpus else math.floor(resources.get("CPU", 1))
    actors = max(1, min(workers or fit, fit, len(shards)))
    with _quiet():
        read = ray.data.read_binary_files(
            [_path(job, shard) for shard in shards],
            include_paths=True,
            filesystem=_filesystem(job),
            override_num_blocks=len(shards),
            num_cpus=0,  # actors have all of them
            concurrency=actors,  # each shard that is read waits in memory
            shuffle=None,
        )
        found = read.map_batches(
            _Actor,
            batch_size=1,
            batch_format="pyarrow",
            zero_copy_batch=True,
            fn_constructor_args=(ray.put(bundle), {_path(job, shard): shard for shard in shards}),
            compute=ray.data.ActorPoolStrategy(size=actors),
            num_cpus=1,
            num_gpus=gpus or None,
        )
        for row in found.iter_rows():
            if row["fatal"]:
                raise KdslError(row["error"])
            counts = row["samples"], row["problems"], row["seconds"]
            yield ShardDone(row["name"], *counts, row["error"] or None, tuple(json.loads(row["warnings"])))


def _worked_by_head(bundle: Bundle, shards: Sequence[Shard], workers: int | None) -> Generator[ShardDone, None, None]:
    """The same, driven by a process on the head: Ray Data cannot be driven through ray://."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    head = next(node for node in ray.nodes() if "node:__internal_head__" in node["Resources"])
    there = NodeAffinitySchedulingStrategy(head["NodeID"], soft=False)
    driver: Any = ray.remote(_Driver).options(num_cpus=0, scheduling_strategy=there).remote(bundle, shards, workers)
    try:
        while (done := ray.get(driver.next.remote())) is not None:
            if isinstance(done, KdslError):
                raise done
            yield done
    finally:
        ray.kill(driver)  # its actors end with it


class _Driver:
    """Drives the work from within the cluster."""

    def __init__(self, bundle: Bundle, shards: Sequence[Shard], workers: int | None) -> None:
        self._found = _worked(bundle, shards, workers)

    def next(self) -> ShardDone | KdslError | None:
        """What is done next; None at the end."""
        try:
            return next(self._found, None)
        except KdslError as error:
            return error


class _Actor:
    """One process in the cluster. Ray Data makes it anew where it is lost, and gives it the shards again."""

    def __init__(self, bundle: Any, shards: dict[str, Shard]) -> None:
        import ray

        self._shards = shards
        self._worker: ShardWorker | None = None
        self._wrong = ""
        tempfile.tempdir = str(temporary_until_end())  # Ray kills actors, which leave behind what they unpacked
        try:
            self._unpacked = (ray.get(bundle) if isinstance(bundle, ray.ObjectRef) else bundle).unpacked()
            self._worker = ShardWorker(self._unpacked.job)
        except KdslError as error:  # told by the first shard: an actor that dies is made again and again
            self._wrong = str(error)

    def __call__(self, batch: Any) -> dict[str, list[Any]]:
        done: list[ShardDone] = []
        wrong = self._wrong
        if self._worker is not None:
            try:
                for path, content in zip(batch["path"].to_pylist(), batch["bytes"], strict=True):
                    done.append(self._worker.work(self._shards[_bare(path)], content.as_py()))
            except KdslError as error:
                wrong = str(error)
        if wrong:
            done.append(ShardDone("", error=wrong))
        return {
            "name": [each.name for each in done],
            "samples": [each.samples for each in done],
            "problems": [each.problems for each in done],
            "seconds": [each.seconds for each in done],
            "error": [each.error or "" for each in done],
            "warnings": [json.dumps(each.warnings) for each in done],
            "fatal": [not each.name for each in done],
        }


def _filesystem(job: Job) -> Any:
    """What reads the shards: for Ray Data, the storage of the job."""
    from fsspec.core import url_to_fs
    from pyarrow.fs import FSSpecHandler, PyFileSystem

    if job.input.folder is not None:
        return None
    system, _ = url_to_fs(job.input.address)
    return PyFileSystem(FSSpecHandler(system))


def _path(job: Job, shard: Shard) -> str:
    """What Ray Data calls a shard."""
    folder = job.input.folder
    place = str(folder.absolute() / shard.name) if folder is not None else job.input.place(shard.name)
    return _bare(place)


def _bare(path: str) -> str:
    return path.partition("://")[2] or path


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Ray Data's own bars and log: progress is told as everywhere in KDSL."""
    import ray

    context = ray.data.DataContext.get_current()
    before = context.enable_progress_bars, context.print_on_execution_start
    context.enable_progress_bars, context.print_on_execution_start = False, False
    logger = logging.getLogger("ray.data")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
        context.enable_progress_bars, context.print_on_execution_start = before
