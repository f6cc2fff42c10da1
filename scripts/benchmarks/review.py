"""The review page: 5,000 rules and 20,000 samples; 95th percentile of the first page, the next rule, the live preview.

Rules and dialogues are those of `scripts/bench engine`. Requests go through the whole application, without a network.
The model's predictions and the arbiter are made up, so that the page has all that it shows. Limits: 300, 100, 200 ms.
"""

import argparse
import dataclasses
import gc
import itertools
import random
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.engine import make_dialogues, make_rules
from kdsl.arbiter.arbiter import Arbiter, Quality, Standing
from kdsl.config import ProjectConfig
from kdsl.fields.sidecar import Sidecars
from kdsl.rules.rule import Rule, When
from kdsl.rules.rulebase import RuleBase
from kdsl.sample import Label, Sample, Task

TASK = "bench"
LABELS = 25
PERSON = "bench"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench review", description=__doc__)
    parser.add_argument("--rules", type=int, default=5000)
    parser.add_argument("--samples", type=int, default=20_000)
    parser.add_argument("--characters", type=int, default=300)
    parser.add_argument("--requests", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    from fastapi.testclient import TestClient

    from kdsl.review.app import create_app
    from kdsl.review.dataset import Dataset, Source
    from kdsl.review.live import LiveSite
    from kdsl.review.model_word import ModelWord

    with tempfile.TemporaryDirectory() as folder:
        task = Task(TASK, tuple(Label(f"标签{number}") for number in range(LABELS)))
        samples, rules = _make(options.rules, options.samples, options.characters, options.seed)
        config = ProjectConfig(tasks=[TASK], rules=Path(folder) / "rules", checkpoint=Path(folder) / "checkpoint")
        base = RuleBase(config.rules, TASK)
        for rule in rules:
            base.save(rule)
        _save_arbiter(config, task, rules, options.seed)
        begun = time.perf_counter()
        live = LiveSite(config, Source(lambda: Dataset([task], {TASK: samples}, Sidecars())), PERSON)
        site = live.site
        opened = time.perf_counter() - begun
        generator = np.random.default_rng(options.seed)
        site.indexes[TASK].word = ModelWord(
            generator.dirichlet(np.full(LABELS, 0.3), len(samples)), np.ones(len(samples), dtype=bool)
        )
        overview = site.overview(TASK)
        print(
            f"{len(rules)} rules, {len(samples)} dialogues of {options.characters} characters; "
            f"{overview.hits.mean():.0f} hits a rule; opened in {opened:.1f} s"
        )
        client = TestClient(create_app(live, ["testserver"], background=False))
        requests = _requests(client, site, options.seed)
        slow = sum(_report(name, limit, request, options.requests) for name, limit, request in requests)
        print("while data files that changed are read and counted again:")
        done = threading.Event()
        thread = threading.Thread(target=_read_again, args=(config, site, done))
        thread.start()
        slow += sum(_report(name, limit, request, options.requests) for name, limit, request in requests[:8])
        done.set()
        thread.join()
        return int(slow > 0)


def _report(name: str, limit: int, request: Callable[[], None], count: int) -> bool:
    """Whether it was too slow."""
    times = np.array([_time(request) for _ in range(count)])
    high = float(np.percentile(times, 95))
    print(f"  {name:<38} median {np.median(times):6.1f} ms   p95 {high:6.1f} ms   limit {limit} ms")
    return high > limit


def _read_again(config: ProjectConfig, site, done: threading.Event) -> None:
    """What `kdsl.review.live` does in the background after a change, again and again."""
    from kdsl.review.dataset import Dataset
    from kdsl.review.live import out_of_the_way
    from kdsl.review.site import Site

    gc.freeze()
    [task] = site.dataset.tasks
    first, *rest = site.dataset.samples[TASK]
    with out_of_the_way():
        for number in itertools.takewhile(lambda _: not done.is_set(), itertools.count()):
            changed = [dataclasses.replace(first, id=f"{first.id} {number}"), *rest]
            Site(config, Dataset([task], {TASK: changed}, Sidecars()), site.store, PERSON, site)


def _requests(client, site, seed: int) -> list[tuple[str, int, Callable[[], None]]]:
    draw = random.Random(seed)
    root = f"/t/{TASK}"
    headers = {"hx-request": "true", "origin": "http://testserver"}

    def get(address: str) -> None:
        assert client.get(root + address, headers=headers).status_code == 200, address

    def post(address: str, **fields: str) -> None:
        answer = client.post(root + address, data=fields, headers=headers)
        assert answer.status_code == 200, answer.text[:2000]

    def some_rule():
        return draw.choice(site.store.rules(TASK))

    def decide() -> None:
        stored = some_rule()
        status = draw.choice(["accepted", "rejected"])
        post(f"/rules/{stored.rule.id}/decide", version=stored.version, status=status)

    def live() -> None:
        stored = some_rule()
        other = some_rule().rule.conditions[0]
        fields = {}
        for number, condition in enumerate([*stored.rule.conditions, other][:2]):
            # A term that no rule has, as somebody types it: nothing of it is known yet.
            typed = "".join(draw.sample(draw.choice(site.indexes[TASK].samples).turns[0].text, 2))
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
        ("live preview", 200, live),
        ("gaps", 300, lambda: get("/gaps")),
        ("progress", 300, lambda: get("/progress")),
    ]


def _time(request: Callable[[], None]) -> float:
    """Milliseconds."""
    begun = time.perf_counter()
    request()
    return (time.perf_counter() - begun) * 1000


def _make(n_rules: int, n_samples: int, characters: int, seed: int) -> tuple[list[Sample], list[Rule]]:
    draw = random.Random(seed)
    dialogues, words = make_dialogues(n_samples, characters, seed)
    samples = [
        Sample(sample.id, TASK, sample.turns, (), f"标签{draw.randrange(LABELS)}") for sample in dialogues
    ]  # fmt: skip
    rules = []
    for number, rule in enumerate(make_rules(words, n_rules, seed)):
        # Of half of the rules one condition only: these hit hundreds of samples instead of a few.
        when = rule.when if number % 2 else When(all=rule.conditions[:1])
        rules.append(rule.model_copy(update={"label": f"标签{draw.randrange(LABELS)}", "when": when}))
    return samples, rules


def _save_arbiter(config: ProjectConfig, task: Task, rules: list[Rule], seed: int) -> None:
    draw = random.Random(seed)
    quality = Quality(log_loss=1.0, weighted_f1=0.5)
    standings = tuple(
        Standing(
            id=rule.id, when=rule.when_hash, label=rule.label, reliability=draw.uniform(0.2, 0.9), hits=20, correct=15
        )
        for rule in rules
    )  # fmt: skip
    overlaps = sorted(
        {(i, j) for i, j in ((draw.randrange(len(rules)), draw.randrange(len(rules))) for _ in range(20_000)) if i < j}
    )
    Arbiter(
        task=TASK, labels=task.label_names, merged=True, a=1.0, b=1.0, model_a=1.0, samples=100, model=quality,
        both=quality, base_rates=(1 / LABELS,) * LABELS, rules=standings,
        overlaps=tuple((i, j, draw.uniform(0.1, 1.0)) for i, j in overlaps),
    ).save(config.checkpoint / TASK)  # fmt: skip
