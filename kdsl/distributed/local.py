"""Work over shards in processes of this machine."""

from collections.abc import Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing.util import Finalize

from kdsl.distributed.results import ShardDone
from kdsl.distributed.shards import Shard
from kdsl.distributed.work import Job, ShardWorker
from kdsl.errors import KdslError
from kdsl.processes import ignore_interrupts, worker_pool

_AHEAD = 2
"""Shards that wait for each process: what is queued is lost by nobody."""


def work_locally(job: Job, shards: Sequence[Shard], workers: int) -> Generator[ShardDone, None, None]:
    """What came of each shard, as it is done, in so many processes, for one in this. Closed before its end it stops.

    Raises KdslError where a process dies; results that are there stay.
    """
    workers = min(workers, len(shards))
    if workers <= 1:
        worker = ShardWorker(job)
        try:
            yield from map(worker.work, shards)
        finally:
            worker.close()
        return
    waiting = iter(shards)
    try:
        with worker_pool(workers, _start, (job,)) as pool:
            running: set[Future[ShardDone]] = set()
            while True:
                for shard in islice(waiting, _AHEAD * workers - len(running)):
                    running.add(pool.submit(_work, shard))
                if not running:
                    return
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for each in done:
                    yield each.result()
    except BrokenProcessPool as error:
        raise KdslError(
            "a process that worked on a shard died, perhaps for lack of memory; run again to go on, with fewer "
            "--workers if it happens again"
        ) from error


_worker: ShardWorker | KdslError
"""Of a worker process, or why there is none."""


def _start(job: Job) -> None:
    global _worker
    ignore_interrupts()
    try:
        _worker = ShardWorker(job)
        # Before queues are closed (10) that tell its own processes to end, for which this one would wait for ever.
        Finalize(None, _worker.close, exitpriority=100)
    except KdslError as error:  # raised here it would be said of every process, and nothing of it where it is awaited
        _worker = error


def _work(shard: Shard) -> ShardDone:
    if isinstance(_worker, KdslError):
        raise _worker
    return _worker.work(shard)
