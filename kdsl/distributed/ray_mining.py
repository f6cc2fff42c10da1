"""Mining in a Ray cluster: every label and fold is a task, the samples are there once; the rules are the very same."""

from collections.abc import Callable, Generator, Sequence
from itertools import islice
from typing import Any

from kdsl.distributed.ray_cluster import cause, joined, require_same_everywhere
from kdsl.errors import KdslError
from kdsl.mining.inside import Inside
from kdsl.mining.miner import MiningSettings, mine_label
from kdsl.mining.problem import FoundRule, MiningProblem
from kdsl.mining.run import Job, Searches, in_processes
from kdsl.project.mining import MinedTask, mine_project
from kdsl.project.project import Project

_AHEAD = 2
"""Tasks that wait for each core."""


def mine_in_cluster(
    project: Project,
    address: str | None,
    workers: int | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> list[MinedTask]:
    """What `mine_project` does, with the searches in a cluster; see `kdsl.distributed.ray_cluster.joined`.

    A search whose machine is lost is done again on another one. Where the small model is in this process's memory, it
    is asked inside the searches, and they run here. `workers` tasks run at the same time, by default as many as there
    are cores.
    """
    with joined(address) as ray:
        require_same_everywhere(ray, ())
        at_once = workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
        return mine_project(project, workers, tell, _in_cluster(ray, at_once))


def _in_cluster(ray: Any, at_once: int) -> Searches:
    def searches(
        problem: MiningProblem, settings: MiningSettings, inside: Inside | None, missing: Sequence[Job]
    ) -> Generator[tuple[Job, list[FoundRule]], None, None]:
        if inside is not None and inside.local:
            yield from in_processes(1)(problem, settings, inside, missing)
            return
        search = ray.remote(num_cpus=1, max_retries=-1)(_mine)
        given = ray.put((problem, settings, inside))
        waiting = iter(missing)
        running: dict[Any, Job] = {}
        try:
            while True:
                for job in islice(waiting, _AHEAD * at_once - len(running)):
                    running[search.remote(given, job)] = job
                if not running:
                    return
                [done], _ = ray.wait([*running], num_returns=1)
                job = running.pop(done)
                yield job, ray.get(done)
        except ray.exceptions.RayError as error:
            raise KdslError(
                f"{problem.task.name}: the cluster gave up ({cause(error)}); run again to go on from there"
            ) from error
        finally:
            for task in running:
                ray.cancel(task, force=True)

    return searches


def _mine(given: tuple[MiningProblem, MiningSettings, Inside | None], job: Job) -> list[FoundRule]:
    problem, settings, inside = given
    return mine_label(problem, *job, settings, inside)
