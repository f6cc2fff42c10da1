"""Kills: a command is killed at any point, run again to its end, and must leave what an uninterrupted run leaves."""

import io
import os
import random
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from attacker.child import Outcome, run_command, run_in_child
from attacker.damage import snapshot, whole
from attacker.project import PERSON
from attacker.watching import on_change

_TIME = re.compile(rb"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::[\d.]+)?|\"seconds\": [\d.]+")


@dataclass(frozen=True)
class Job:
    """A command, and what it finds: the finished project less what `without` names."""

    name: str
    without: tuple[str, ...]
    run: Callable[[Path, Callable[[], None] | None, float | None], Outcome]


@dataclass
class Row:
    """What came of the kills of one job."""

    job: str
    tried: int = 0
    equal: int = 0
    faults: list[str] = field(default_factory=list)


def attack_by_kills(base: Path, work: Path, kills: int, seed: int) -> Iterator[Row]:
    """Kill every job so often that it is `kills` in all at least; half at an event, half at a time."""
    for job in JOBS:
        row = Row(job.name)
        reference = _copy(base, work / "reference", job)
        events = work / "events"
        began = time.monotonic()
        outcome = job.run(reference / "project", _count_events(events, reference), None)
        lasted = time.monotonic() - began
        if outcome.code not in (0, 1):
            row.faults.append(f"{job.name}: cannot be done at all: {outcome.err}")
            yield row
            continue
        expected = _comparable(reference)
        total = max(events.stat().st_size, 1)
        source = random.Random(f"{seed} {job.name}")
        for number in range(-(-kills // len(JOBS))):
            place = _copy(base, work / "killed", job)
            if number % 2 == 0:
                event = source.randrange(total)
                killed = job.run(place / "project", _kill_at(event, place), None)
                when = f"event {event} of {total}"
            else:
                after = source.uniform(0, lasted)
                killed = job.run(place / "project", None, after)
                when = f"{after:.2f} of {lasted:.2f} s"
            row.tried += 1
            row.faults += [
                f"{job.name}, killed at {when}: {name} is half-written"
                for name, file in snapshot(place).items()
                if file.kind == "file" and not name.endswith(".jsonl") and not _temporary(name)
                and not whole(name.removeprefix("project/"), file.content)
            ]  # fmt: skip
            again = job.run(place / "project", None, None)
            found = _comparable(place)
            if again.code != outcome.code:
                row.faults.append(
                    f"{job.name}, killed at {when} ({killed.code}), then: {again.code} {again.err[-300:]}"
                )
            elif found != expected:
                differing = sorted(n for n in found.keys() | expected.keys() if found.get(n) != expected.get(n))
                row.faults.append(f"{job.name}, killed at {when}: afterwards other than without: {differing}")
            else:
                row.equal += 1
            shutil.rmtree(place)
        shutil.rmtree(reference)
        yield row


def _command(*arguments: str) -> Callable[[Path, Callable[[], None] | None, float | None], Outcome]:
    return lambda folder, before, after: run_command([*arguments], folder, before=before, kill_after=after)


def _decide_all(folder: Path, before: Callable[[], None] | None, after: float | None) -> Outcome:
    return run_in_child(_decide, folder, before=before, kill_after=after)


def _decide() -> None:
    """Decide about every rule in turn, and take every third decision back; goes on where the log ends."""
    from kdsl.review.decisions import decide, undo
    from kdsl.review.store import RuleStore

    store = RuleStore(Path("rules"), ["shop", "page"])
    done = len(store.journal(PERSON))
    steps = 0
    for task in ("shop", "page"):
        for number, id in enumerate(sorted(stored.rule.id for stored in store.rules(task))):
            wanted: list[Callable[[], Any]] = [
                lambda task=task, id=id, number=number: decide(  # type: ignore[misc]
                    store, PERSON, task, id, store.get(task, id).version, ("accepted", "rejected")[number % 2], "因为"
                )
            ]
            if number % 3 == 0:
                wanted.append(lambda: undo(store, PERSON))
            for step in wanted:
                if steps >= done:
                    step()
                steps += 1


JOBS = (
    Job("mine", ("rules/shop/调光", "rules/page", "rules/reviews", "checkpoints"), _command("mine", "--workers", "1")),
    Job("train", ("checkpoints/run/shop/arbiter.json", "checkpoints/run/page/arbiter.json"), _command("train", ".")),
    Job("predict", (), _command("predict", ".", "--input", "data/train.jsonl", "--output", "p.jsonl", "--batch", "4")),
    Job("ocr", ("data/ocr.jsonl",), _command("ocr", "--workers", "1")),
    Job("augment", ("checkpoints/run/augmented",), _command("augment", "--workers", "1")),
    Job("review", ("rules/reviews",), _decide_all),
)  # fmt: skip


def _copy(base: Path, place: Path, job: Job) -> Path:
    shutil.copytree(base, place, symlinks=True)
    for name in job.without:
        path = place / "project" / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    return place


def _count_events(counter: Path, place: Path) -> Callable[[], None]:
    counter.write_bytes(b"")
    handle = os.open(counter, os.O_WRONLY | os.O_APPEND)
    return on_change(place, lambda _: (os.write(handle, b"."), None)[1])


def _kill_at(event: int, place: Path) -> Callable[[], None]:
    left = [event]

    def act(_: str) -> None:
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left[0] -= 1

    return on_change(place, act)


def _temporary(name: str) -> bool:
    return Path(name).name.startswith(".")


def _comparable(place: Path) -> dict[str, bytes]:
    """What stands in the files, without times of day and without what only an interruption leaves."""
    found = {}
    for name, file in snapshot(place).items():
        if file.kind != "file" or _temporary(name) or not name.startswith("project/"):
            continue
        if name.endswith(".npz"):
            with np.load(io.BytesIO(file.content), allow_pickle=False) as arrays:
                found[name] = b"".join(key.encode() + arrays[key].tobytes() for key in sorted(arrays.files))
        elif "/reviews/" in name:
            continue  # tells of the interruption too; what it did is in the rule files
        else:
            found[name] = _TIME.sub(b"", file.content.replace(os.fsencode(place), b""))
    return found
