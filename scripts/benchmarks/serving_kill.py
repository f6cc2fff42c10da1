"""Whether the decision log holds all that was answered when the service is killed, for `scripts/bench serve`."""

import json
import random
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from threading import Timer

from benchmarks.serving_client import Answer, saturate
from benchmarks.serving_requests import Bodies
from benchmarks.serving_servers import kdsl_server
from kdsl.project.project import Project

CONNECTIONS = 32
MOST = 3.0
"""Seconds of load until the service is killed, at most."""


def kill_rounds(project: Path, bodies: Bodies, rounds: int) -> Iterator[tuple[str, str, str]]:
    """What was measured, the figure, and what is wanted. The log goes on from round to round, as after a crash."""
    log = project / Project.open(project).config.serve.log
    draw = random.Random(rounds)
    answered: dict[str, str | None] = {}

    def note(answer: Answer) -> None:
        if answer.status == 200:
            answered.update((each["id"], each["label"]) for each in json.loads(answer.body)["predictions"])

    for _ in range(rounds):
        with kdsl_server(project) as server:
            saturate(server.target, islice(bodies.of(bodies.dialogues), CONNECTIONS), 1, each=note)  # warm
            after = draw.uniform(1.0, MOST)
            timer = Timer(after, server.kill)
            timer.start()
            saturate(server.target, bodies.of(bodies.dialogues), CONNECTIONS, after + 0.5, 0.0, note)
            timer.join()
    logged, damaged = logged_decisions(log)
    lost = sum(id not in logged for id in answered)
    other = sum(id in logged and logged[id] != label for id, label in answered.items())
    yield f"decisions answered in {rounds} rounds", f"{len(answered):,}", ""
    yield "answered and not in the log", str(lost), "0"
    yield "answered and logged otherwise", str(other), "0"
    yield "damaged lines of the log", str(damaged), "0"


def logged_decisions(folder: Path) -> tuple[dict[str, str | None], int]:
    """The label by id of all decisions in the log, and how many lines cannot be read.

    The last line is not counted: the service that was killed last may have been in the middle of it.
    """
    lines = [line for path in sorted(folder.glob("*.jsonl")) for line in path.read_bytes().split(b"\n")]
    logged, damaged = dict[str, str | None](), 0
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        try:
            decision = json.loads(line)
        except ValueError:
            damaged += number < len(lines)
        else:
            logged[decision["id"]] = decision["label"]
    return logged, damaged
