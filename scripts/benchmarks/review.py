"""The review page: 5,000 rules and 20,000 samples; 95th percentile of the first page, the next rule, the live preview.

Rules and dialogues are those of `scripts/bench engine`. Requests go through the whole application, without a network,
while it looks for changed files as always; then once more while the data file never stays as it is. The model's
predictions and the arbiter are made up, so that the page has all that it shows. Limits: 300, 100, 200 ms,
and 500 ms for a preview on more samples than the page looks at.
"worked" is the 95th percentile of the page's processor time, of all its threads, while it answers: where no other
program runs, an answer takes about that and what the disk takes.
"""

import argparse
import random
import resource
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.engine import make_dialogues, make_rules
from kdsl.arbiter.arbiter import Arbiter, Quality
from kdsl.arbiter.weighing import Standing
from kdsl.errors import KdslError
from kdsl.json_file import write_jsonl
from kdsl.rules.rule import Rule, When
from kdsl.rules.rulebase import RuleBase
from kdsl.sample import Sample
from kdsl.subprocess_call import call_in_subprocess

TASK = "bench"
LABELS = tuple(f"标签{number}" for number in range(25))
PERSON = "bench"
DATA, TEXTS = "train.jsonl", ("one.jsonl", "another.jsonl")
MOST_CHANGED = 50_000
"""Samples of more of which the data file is not changed all the time: reading it takes minutes."""
READINGS = 3
"""So many at least have to fall into the time in which requests are measured."""

Request = tuple[str, int, Callable[[], None]]
"""Its name, its limit in milliseconds, and how to make it."""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench review", description=__doc__)
    parser.add_argument("--rules", type=int, default=5000)
    parser.add_argument("--samples", type=int, default=20_000)
    parser.add_argument("--characters", type=int, default=300)
    parser.add_argument("--requests", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="where the project is made for a while")
    parser.add_argument("--made", type=Path, help="a folder for the project that is kept, and used again with it")
    options = parser.parse_args(arguments)
    from fastapi.testclient import TestClient

    from kdsl.project.project import Project
    from kdsl.review.app import create_app
    from kdsl.review.live import open_live

    with ExitStack() as stack:
        temporary = TemporaryDirectory(dir=options.folder)
        folder = Path(stack.enter_context(temporary)) if options.made is None else options.made
        if not (folder / "kdsl.yaml").exists():
            folder.mkdir(parents=True, exist_ok=True)
            # By a process of its own, whose memory does not count as the page's.
            sizes = (options.rules, options.samples, options.characters, options.seed)
            call_in_subprocess(threading.Event(), _make_project, folder, *sizes)
        begun = time.perf_counter()
        live = open_live(Project.open(folder), PERSON)
        opened = time.perf_counter() - begun
        print(
            f"{options.rules} rules, {options.samples} dialogues of {options.characters} characters; "
            f"{live.site.overview(TASK).hits.mean():.0f} hits a rule; opened in {opened:.1f} s; "
            f"{len(live.site.indexes[TASK].samples)} of them looked at"
        )
        with TestClient(create_app(live, ["testserver"])) as client:
            _wait(live, lambda index: index.predictions is not None)
            print(f"what the model says was known after {time.perf_counter() - begun:.0f} s")
            if options.samples > len(live.site.indexes[TASK].samples):
                _wait(live, lambda index: index.everything is not None or index.no_everything)
                print(f"all samples were counted on after {time.perf_counter() - begun:.0f} s")
            requests = _requests(client, live, options.seed)
            slow = _report(requests, options.requests)
            own, shared = _resident()
            print(
                f"  memory {own / 1e9:.2f} GB of its own and {shared / 1e9:.2f} GB of mapped files, at most "
                f"{_most_resident() / 1e9:.2f} GB together"
            )
            if options.samples > MOST_CHANGED:
                return int(slow > 0)
            print("while the data file changes, and is read and counted again, all the time:")
            with _changes(live, folder) as readings:
                slow += _report(requests[:8], options.requests, lambda: len(readings) >= READINGS)
            print(f"  read and counted {len(readings)} times")
        return int(slow > 0)


def _report(requests: list[Request], count: int, enough: Callable[[], bool] = lambda: True) -> int:
    """How many of the requests, each made in turn `count` times and until it is `enough`, were too slow."""
    times: list[list[tuple[float, float]]] = []
    while len(times) < count or not enough():
        times.append([_time(request) for _, _, request in requests])
    slow = 0
    for (name, limit, _), each in zip(requests, np.array(times).swapaxes(0, 1), strict=True):
        median, high, worked = np.median(each[:, 0]), *np.percentile(each, 95, axis=0)
        print(
            f"  {name:<37} median {median:6.1f} ms   p95 {high:6.1f} ms   limit {limit} ms   worked {worked:6.1f} ms"
        )
        slow += bool(high > limit)
    return slow


def _requests(client, live, seed: int) -> list[Request]:
    draw = random.Random(seed)
    root = f"/t/{TASK}"
    headers = {"hx-request": "true", "origin": "http://testserver"}

    def get(address: str) -> None:
        assert client.get(root + address, headers=headers).status_code == 200, address

    def post(address: str, **fields: str) -> None:
        answer = client.post(root + address, data=fields, headers=headers)
        assert answer.status_code == 200, answer.text[:2000]

    def some_rule():
        return draw.choice(live.site.store.rules(TASK))

    def decide() -> None:
        stored = some_rule()
        status = draw.choice(["accepted", "rejected"])
        post(f"/rules/{stored.rule.id}/decide", version=stored.version, status=status)

    def preview() -> None:
        stored = some_rule()
        other = some_rule().rule.conditions[0]
        fields = {}
        for number, condition in enumerate([*stored.rule.conditions, other][:2]):
            # A term that no rule has, as somebody types it: nothing of it is known yet.
            typed = "".join(draw.sample(draw.choice(live.site.indexes[TASK].samples).turns[0].text, 2))
            fields |= {f"field-{number}": "dialogue", f"test-{number}": "\n".join((*condition.terms, typed))}
        post("/preview", id=stored.rule.id, label=stored.rule.label, **fields)

    return [
        ("first page", 300, lambda: get("/rules")),
        (
            "first page, filtered and sorted anew",
            300,
            lambda: get(f"/rules?sort=precision&text={draw.choice('的一是')}"),
        ),
        ("a rule", 100, lambda: get(f"/rules/{some_rule().rule.id}")),
        ("decide, saved, and the next rule", 100, decide),
        ("which decisions the rule changes", 300, lambda: get(f"/rules/{some_rule().rule.id}/effect")),
        ("what lint finds about the rule", 300, lambda: get(f"/rules/{some_rule().rule.id}/lint")),
        ("undo, saved", 100, lambda: post("/undo")),
        ("live preview", 200 if live.site.indexes[TASK].everything is None else 500, preview),
        ("gaps", 300, lambda: get("/gaps")),
        ("progress", 300, lambda: get("/progress")),
    ]


def _resident() -> tuple[int, int]:
    """Bytes of memory that this process has now: its own, and pages of files, which the system may take away."""
    resident, shared = map(int, Path("/proc/self/statm").read_text().split()[1:3])
    return (resident - shared) * resource.getpagesize(), shared * resource.getpagesize()


def _most_resident() -> int:
    """The same at its highest."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _wait(live, known) -> None:
    """Until the page knows something of the task."""
    while not known(live.site.indexes[TASK]):
        if live.problems:
            raise KdslError(live.problems[0])
        time.sleep(0.1)


@contextmanager
def _changes(live, folder: Path) -> Iterator[list[str]]:
    """Put another data file there as soon as all is known of the one that is there; gives the ids that were read."""
    readings: list[str] = []
    done = threading.Event()

    def change() -> None:
        site = live.site
        while not done.wait(0.02):
            if live.site is not site:
                site = live.site
                readings.append(site.indexes[TASK].samples[-1].id)
            if not live.changing and site.indexes[TASK].predictions is not None:
                new = folder / "new.jsonl"
                new.hardlink_to(folder / TEXTS[len(readings) % 2])
                new.replace(folder / DATA)

    thread = threading.Thread(target=change)
    thread.start()
    try:
        yield readings
    finally:
        done.set()
        thread.join()


def _time(request: Callable[[], None]) -> tuple[float, float]:
    """Milliseconds that it took, and those that this process worked meanwhile."""
    begun, worked = time.perf_counter(), time.process_time()
    request()
    return (time.perf_counter() - begun) * 1000, (time.process_time() - worked) * 1000


def _make_project(folder: Path, n_rules: int, n_samples: int, characters: int, seed: int) -> None:
    _write_project(folder, *_make(n_rules, n_samples, characters, seed))


def _make(n_rules: int, n_samples: int, characters: int, seed: int) -> tuple[list[Sample], list[Rule]]:
    draw = random.Random(seed)
    dialogues, words = make_dialogues(n_samples, characters, seed)
    samples = [Sample(sample.id, TASK, sample.turns, (), draw.choice(LABELS)) for sample in dialogues]
    rules = []
    for number, rule in enumerate(make_rules(words, n_rules, seed)):
        # Of half of the rules one condition only: these hit hundreds of samples instead of a few.
        when = rule.when if number % 2 else When(all=rule.conditions[:1])
        rules.append(rule.model_copy(update={"label": draw.choice(LABELS), "when": when}))
    return samples, rules


def _write_project(folder: Path, samples: list[Sample], rules: list[Rule]) -> None:
    """A project of these, with what a model said, an arbiter, and data files that differ in one id."""
    (folder / "task.yaml").write_text(
        f"name: {TASK}\nlabels: [{', '.join(f'{{name: {label}}}' for label in LABELS)}]\n", encoding="utf-8"
    )
    (folder / "kdsl.yaml").write_text(
        f"tasks: [task.yaml]\ndata: {{train: {DATA}}}\ncheckpoint: checkpoint\nlarge: recorded:said.jsonl\n",
        encoding="utf-8",
    )
    records = [
        {"id": each.id, "turns": [{"role": turn.role, "text": turn.text} for turn in each.turns], "label": each.label}
        for each in samples
    ]
    write_jsonl(folder / DATA, records)
    for name in TEXTS:
        write_jsonl(folder / name, [*records[:-1], {**records[-1], "id": name}])
    draw = random.Random(len(samples))
    said = [{"id": each.id, "label": each.label if draw.random() < 0.7 else draw.choice(LABELS)} for each in samples]
    write_jsonl(folder / "said.jsonl", said)
    base = RuleBase(folder / "rules", TASK)
    for rule in rules:
        base.save(rule)
    _save_arbiter(folder / "checkpoint" / TASK, rules)


def _save_arbiter(folder: Path, rules: list[Rule]) -> None:
    draw = random.Random(len(rules))
    quality = Quality(log_loss=1.0, weighted_f1=0.5)
    standings = tuple(
        Standing(
            id=rule.id, when=rule.when_hash, label=rule.label, reliability=draw.uniform(0.2, 0.9), hits=20, correct=15,
            weight=draw.uniform(0.0, 3.0), accepted_weight=draw.uniform(0.0, 3.0),
        )
        for rule in rules
    )  # fmt: skip
    overlaps = sorted(
        {(i, j) for i, j in ((draw.randrange(len(rules)), draw.randrange(len(rules))) for _ in range(20_000)) if i < j}
    )
    Arbiter(
        task=TASK, labels=LABELS, a=1.0, b_people=1.0, b_mined=1.0, mean_people=1.0,
        model_a=1.0, samples=100, model=quality,
        both=quality, base_rates=(1 / len(LABELS),) * len(LABELS), rules=standings,
        overlaps=tuple((i, j, draw.uniform(0.1, 1.0)) for i, j in overlaps),
    ).save(folder)  # fmt: skip
