"""Running a step over all shards of an address: once through, whatever was done before, and what came of it."""

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from kdsl.distributed.local import work_locally
from kdsl.distributed.pace import Pace
from kdsl.distributed.results import ERRORS, Results, Run, ShardDone
from kdsl.distributed.shards import Shard, find_shards, require_parquet
from kdsl.distributed.step import Step
from kdsl.distributed.storage import Storage
from kdsl.distributed.warned import Warned
from kdsl.distributed.work import Job, require_apart
from kdsl.errors import KdslError
from kdsl.progress import reported
from kdsl.project.project import Project

Engine = Callable[[Job, Sequence[Shard]], Generator[ShardDone, None, None]]
"""Does the work on shards somewhere and gives what came of each, in any order; closed before its end it stops.

Raises KdslError where no more can be done."""


@dataclass
class Outcome:
    """What came of all shards."""

    output: str
    shards: int = 0
    done_before: int = 0
    """Shards whose results were there."""
    changed: int = 0
    """Shards with a result that was not of them as they are now: they are done anew."""
    samples: int = 0
    """Rows of all results, those too that were there."""
    problems: int = 0
    """Samples that nothing came of."""
    unread: dict[str, str] = field(default_factory=dict)
    """Shard → why nothing of it could be read."""

    @property
    def errors(self) -> str:
        """Where the tables of errors lie."""
        return Storage(self.output).place(ERRORS)

    def add(self, done: ShardDone) -> None:
        if done.error is not None:
            self.unread[done.name] = done.error
        self.samples += done.samples
        self.problems += done.problems

    def told(self) -> str:
        """In a few words, for a progress bar."""
        errors = f", {self.problems:,} errors" if self.problems else ""
        return f"{self.samples:,} rows{errors}"


def in_processes(workers: int) -> Engine:
    """The engine of this machine."""
    return lambda job, shards: work_locally(job, shards, workers)


def run_over_shards(
    project: Project,
    step: Step,
    input: str,
    output: str,
    engine: Engine,
    again: bool = False,
    tasks: Sequence[str] | None = None,
) -> Outcome:
    """Do a step to every shard below `input`, and write results below `output`; see `kdsl.distributed.results`.

    Shards whose results are there are left alone, unless `again`. Raises KdslError for addresses that are not there or
    may not be used, for shards of another schema, an output of something else, and a project that is not ready;
    KeyboardInterrupt says what is done.
    """
    source, place = Storage(input), Storage(output)
    require_parquet(output)
    require_apart(source, place)
    shards = find_shards(source)
    state = step.state(project)
    names = tuple(task.name for task in project.tasks) if tasks is None else tuple(tasks)
    job = Job(step, project.config, source, place, state, names)
    results, run = Results(place), Run(step.name, f"{state} {' '.join(names)}", source.whole_address)
    outcome = Outcome(output, len(shards))
    with results.begun(run, again) as require_held:
        if again:
            for shard in shards:
                place.remove(shard.result)
        known, outcome.changed = results.known(shards, state)
        for each in known:
            outcome.add(each)
        there = {each.name for each in known}
        outcome.done_before = len(there)
        _work(project, job, [shard for shard in shards if shard.name not in there], engine, outcome, require_held)
        if not outcome.unread:
            results.finish(run, shards)
    return outcome


def _work(
    project: Project,
    job: Job,
    missing: Sequence[Shard],
    engine: Engine,
    outcome: Outcome,
    require_held: Callable[[], None],
) -> None:
    if not missing:
        return
    worked, warned = 0, Warned()
    pace = Pace({shard.name: shard.size for shard in missing})
    try:
        with (
            reported(project.progress, f"{job.step.name}: shards", len(missing)) as advance,
            closing(engine(job, missing)) as found,
        ):
            for done in found:
                require_held()
                outcome.add(done)
                warned.add(done.name, done.warnings)
                worked += 1
                advance(f"{job.step.name}: {outcome.told()}, {pace.told(done.name)}")
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"{outcome.done_before + worked} of {outcome.shards} shards are in {outcome.output}; run again to go on"
        ) from None
    except KdslError as error:
        kept = f"{outcome.done_before + worked} of {outcome.shards} shards are in {outcome.output}"
        raise KdslError(f"{error.sentence} ({kept})", error.hint) from error
    finally:
        warned.tell()
