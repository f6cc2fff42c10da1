"""Rule files change and clients are killed while the service is asked, for `scripts/bench serve`.

Eight rules of one task are this benchmark's own. Every change writes several of their files, one after the other, and
each state of the base tells itself from all others by the terms of these rules: every sample that is asked about has
all the terms, so the evidence in an answer says which state it was decided with, or that it was decided with half of
one. In one of the changes a file is no YAML for two seconds.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.serving_client import Answer, Load, Say, arrive, saturate
from benchmarks.serving_requests import PLACE, Bodies
from benchmarks.serving_servers import Server, kdsl_server
from kdsl.files import write_atomically
from kdsl.project.project import Project

RULES = 8
BROKEN = 2.0
"""Seconds that a file is broken."""
PAUSE = 0.002
"""Seconds between two files of one change."""
LATE = 1.0
"""Seconds within which a change is to take effect."""
KILLED_AFTER = 0.4
"""Seconds after which a client is killed."""
_PREFIX = "r-bench"
"""Of the ids of the benchmark's rules."""
_DIGITS = "零一二三四五六七八九"

State = frozenset[tuple[str, str]]
"""(rule, term) of those of the benchmark's rules that can hit."""


@dataclass(frozen=True)
class Change:
    state: State
    begun: float
    """When the first of its files was written, and below when the last was; seconds of `time.perf_counter`."""
    done: float


@dataclass
class Seen:
    """What the answers say about the base that they were decided with."""

    changes: list[Change] = field(default_factory=list)
    answers: list[tuple[float, float, State]] = field(default_factory=list)
    """Asked, answered, and the state that the answer shows."""

    def note(self, answer: Answer) -> None:
        if answer.status == 200:
            [decided] = json.loads(answer.body)["predictions"]
            shown = {
                (rule["id"], evidence["term"])
                for rule in decided["rules"]
                if rule["id"].startswith(_PREFIX)
                for evidence in rule["evidence"]
            }
            self.answers.append((answer.asked, answer.answered, frozenset(shown)))

    def half(self) -> list[State]:
        """The states that the base was never in."""
        known = {change.state for change in self.changes}
        return [state for _, _, state in self.answers if state not in known]

    def early(self) -> int:
        """How many answers show a state that nobody had begun to write."""
        begun = {change.state: change.begun for change in self.changes}
        return sum(state in begun and answered < begun[state] for _, answered, state in self.answers)

    def back(self) -> int:
        """How many answers show an older state than one that was answered before they were asked."""
        number = {change.state: place for place, change in enumerate(self.changes)}
        known = [(asked, answered, number[state]) for asked, answered, state in self.answers if state in number]
        by_answer = sorted((answered, place) for _, answered, place in known)
        times = np.array([answered for answered, _ in by_answer])
        newest = np.maximum.accumulate([place for _, place in by_answer]) if by_answer else np.zeros(0, dtype=int)
        before = [(place, int(np.searchsorted(times, asked))) for asked, _, place in known]
        return sum(at > 0 and place < newest[at - 1] for place, at in before)

    def delays(self) -> list[float]:
        """For every change after the first: seconds from its last file to the last request that an older one
        answered.

        0 where there is none, and infinite where no answer shows the change or a later one. How long answers take does
        not count: a machine that is too busy to answer at once may follow at once.
        """
        number = {change.state: place for place, change in enumerate(self.changes)}
        known = [(asked, number[state]) for asked, _, state in self.answers if state in number]
        newest = max((shown for _, shown in known), default=0)
        return [
            max((0.0, *(asked - change.done for asked, shown in known if shown < place)))
            if place <= newest
            else float("inf")
            for place, change in enumerate(self.changes)
            if place
        ]


class Base:
    """The benchmark's own rules in the rule base of a project's task."""

    def __init__(self, project: Project, seen: Seen, terms: Sequence[str]) -> None:
        """`terms`: as many as there will be changes, and one more; the rules are those of the first task."""
        task = project.tasks[0]
        self._label = task.label_names[0]
        self._folder = project.config.rules / task.name / "bench"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._seen = seen
        self._new_term = iter(terms).__next__
        self._rules = {f"{_PREFIX}{number:02d}": ("accepted", "") for number in range(RULES)}
        self.edit()

    def edit(self) -> None:
        """All rules get another term."""
        term = self._new_term()
        self._write({id: ("accepted", term) for id in self._rules})

    def reject(self) -> None:
        """Half of the rules, the other half gets another term."""
        term = self._new_term()
        self._write({id: ("accepted" if place % 2 else "rejected", term) for place, id in enumerate(self._rules)})

    def accept(self) -> None:
        """All rules again, as they are but for one."""
        first, *others = self._rules
        terms = {id: self._rules[id][1] for id in others} | {first: self._new_term()}
        self._write({id: ("accepted", term) for id, term in terms.items()})

    def exchange(self) -> None:
        """The first rule's file is deleted, one with another id is made, and the last gets another term."""
        gone, *_, last = self._rules
        new = f"{_PREFIX}{int(gone[len(_PREFIX) :]) + 50:02d}"
        term = self._new_term()
        self._rules = {id: rule for id, rule in self._rules.items() if id != gone}
        self._write({new: ("accepted", term), last: ("accepted", term)}, gone)

    def spoil(self) -> None:
        """One file is no YAML: the base stays as it was. The next change has to mend it."""
        write_atomically(self._path(next(iter(self._rules))), "id: [\n")

    def _write(self, rules: dict[str, tuple[str, str]], gone: str | None = None) -> None:
        begun = time.perf_counter()
        if gone is not None:
            self._path(gone).unlink()
        for id, (status, term) in rules.items():
            write_atomically(self._path(id), self._text(id, status, term))
            time.sleep(PAUSE)
        self._rules |= rules
        active = frozenset((id, term) for id, (status, term) in self._rules.items() if status == "accepted")
        self._seen.changes.append(Change(active, begun, time.perf_counter()))

    def _path(self, id: str) -> Path:
        return self._folder / f"bench--{id}.yaml"

    def _text(self, id: str, status: str, term: str) -> str:
        return (
            f'schema: 1\nid: {id}\nlabel: "{self._label}"\nstatus: {status}\nwhen:\n  all:\n    - user: ["{term}"]\n'
            f'provenance: {{source: person, proposer: "", run: "", seed: null}}\n'
            f'review: {{by: "", at: "", of: ""}}\ntests: {{hit: [], miss: []}}\nnotes: ""\n'
        )


def reload_under_load(
    project: Path, bodies: Bodies, rate: float, seconds: float, changes: int, seed: int
) -> Iterator[tuple[str, str, str]]:
    """What was measured, the figure, and what is wanted, with `rate` requests a second for so many seconds."""
    terms = [f"改版{''.join(_DIGITS[int(digit)] for digit in f'{number:03d}')}" for number in range(changes + 1)]
    seen = Seen()
    opened = Project.open(project)
    base = Base(opened, seen, terms)
    asked = bodies.of(
        [
            _with_turn(dialogue, "".join(terms))
            for dialogue in bodies.dialogues
            if dialogue["task"] == opened.tasks[0].name
        ]
    )
    with kdsl_server(project) as server:
        saturate(server.target, islice(asked, 32), 1)  # warm
        load, killed, told = asyncio.run(_run(server, base, asked, rate, seconds, changes, seed, seen.note))
    half, delays = seen.half(), seen.delays()
    failed = f"{load.failed}" + (f" ({load.first_failure})" if load.failed else "")
    yield f"{killed} clients killed; failed of {load.answered + load.failed:,}", failed, "0"
    shown = f" ({', '.join(' '.join(each) for each in sorted(half[0])) or 'none of the rules'})" if half else ""
    yield f"decided on half a base, {len(delays)} changes", f"{len(half)}{shown}", "0"
    yield "decided on an older base than before", str(seen.back() + seen.early()), "0"
    yield "a change takes effect in", f"median {np.median(delays):.2f} s, longest {max(delays):.2f} s", f"{LATE:.0f} s"
    yield "a broken file, and after it", told, "degraded, ready"
    waits = f"p50 {load.percentile(50):.1f}, p99 {load.percentile(99):.1f}, max {load.percentile(100):.0f} ms"
    yield f"answers at {rate:.0f} requests/s", waits, ""


async def _run(
    server: Server, base: Base, asked: Iterator[bytes], rate: float, seconds: float, changes: int, seed: int, each: Say
) -> tuple[Load, int, str]:
    """What came of the requests, how many clients were killed, and what /readyz said."""
    request = server.target.request(next(asked))
    killing = asyncio.create_task(asyncio.to_thread(_kill_clients, server.target.port, request, seconds))
    changing = asyncio.create_task(asyncio.to_thread(_change, server, base, seconds, changes))
    load = await arrive(server.target, asked, rate, seconds, seed, each)
    return load, await killing, await changing


def _change(server: Server, base: Base, seconds: float, changes: int) -> str:
    """All changes, over `seconds`; what /readyz said while a file was broken, and after it was mended."""
    kinds = cycle([base.edit, base.reject, base.accept, base.exchange])
    pause = max(0.0, seconds - BROKEN - 2 * LATE) / (changes + 1)
    told = "no file was broken"
    for number in range(1, changes + 1):
        time.sleep(pause)
        if number == (changes + 1) // 2:
            base.spoil()
            time.sleep(BROKEN)
            told = _ready(server)
            base.edit()
            time.sleep(LATE)
            told += f", {_ready(server)}"
        else:
            next(kinds)()
    return told


def _ready(server: Server) -> str:
    status, body = server.get("/readyz")
    return str(json.loads(body)["status"]) if body else f"no answer ({status})"


def _kill_clients(port: int, request: bytes, seconds: float) -> int:
    """One a second, in the middle of what it asks; how many."""
    command = [sys.executable, "-I", "-S", str(Path(__file__).with_name("serving_victim.py")), str(port)]
    begun, killed = time.monotonic(), 0
    while time.monotonic() < begun + seconds - 1:
        victim = subprocess.Popen(command, stdin=subprocess.PIPE)
        assert victim.stdin is not None
        victim.stdin.write(request)
        victim.stdin.close()
        time.sleep(KILLED_AFTER)
        victim.kill()
        victim.wait()
        killed += 1
        time.sleep(max(0.0, begun + killed - time.monotonic()))
    return killed


def _with_turn(dialogue: dict[str, Any], text: str) -> dict[str, Any]:
    return dialogue | {"turns": [*dialogue["turns"], {"role": "user", "text": text + PLACE}]}
