"""`scripts/bench serve`: it must see what it is there to see."""

import asyncio
import json
import math
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread

import pytest
import yaml
from service_shop import opened

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from benchmarks.serve import main
from benchmarks.serving_client import Answer, Load, Target, arrive, saturate
from benchmarks.serving_kill import logged_decisions
from benchmarks.serving_reload import Base, Change, Seen
from benchmarks.serving_requests import Bodies
from benchmarks.serving_servers import Server
from benchmarks.serving_speed import Measured
from kdsl.rules.rulebase import RuleBase

OLD, NEW, MIXED = (frozenset({("r-bench00", first), ("r-bench01", second)}) for first, second in ("aa", "bb", "ab"))


@pytest.fixture
def answering() -> Iterator[tuple[Target, list[bytes]]]:
    """A server that says what the body of a request tells it to; where requests go, and the bodies it was sent."""
    bodies: list[bytes] = []

    class Handler(StreamRequestHandler):
        def handle(self) -> None:
            while line := self.rfile.readline():
                length = 0
                while line.strip():
                    if line.lower().startswith(b"content-length:"):
                        length = int(line.split(b":")[1])
                    line = self.rfile.readline()
                body = self.rfile.read(length)
                bodies.append(body)
                if body == b"break":
                    return
                status = b"503 Busy" if body == b"refuse" else b"200 OK"
                head = b"HTTP/1.1 %s\r\ncontent-length: %d\r\n\r\n" % (status, len(body))
                for part in (head[:9], head[9:], body[:1], body[1:]):
                    self.wfile.write(part)
                    self.wfile.flush()

    with ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield Target(server.server_address[1], "/v1/predict", "secret"), bodies
        server.shutdown()
        thread.join()


def test_a_client_counts_answers_refusals_and_broken_connections(answering):
    target, sent = answering
    asked = [b"a", b"refuse", b"b", b"break", b"c"]
    heard: list[Answer] = []
    load = saturate(target, iter(asked), 1, settle=0.0, each=heard.append)
    assert sent == asked
    assert [(each.status, each.body) for each in heard] == [
        (200, b"a"), (503, b"refuse"), (200, b"b"), (0, b""), (200, b"c"),
    ]  # fmt: skip
    assert (load.answered, load.failed, load.first_failure) == (3, 2, "503: refuse")
    assert all(each.asked <= each.answered for each in heard)


def test_requests_that_arrive_by_chance_are_all_asked_and_answered(answering):
    target, sent = answering
    load = asyncio.run(arrive(target, iter([b"a", b"refuse", b"b"]), 1e6, 60.0, seed=0))
    assert sorted(sent) == [b"a", b"b", b"refuse"]
    assert (load.answered, load.failed, len(load.waits)) == (2, 1, 2)


def test_nothing_listens(answering):
    load = saturate(Target(1, "/"), iter([b"a"]), 1, settle=0.0)
    assert (load.answered, load.failed, load.first_failure) == (0, 1, "no answer: the connection broke")


def test_a_machine_too_busy_to_answer_gives_no_figure(tmp_path):
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        server = Server("none", process, Target(1, "/"), tmp_path / "said")
    assert str(Measured(server)) == "nan/s, p99 nan ms, nan + nan ms"
    measured = Measured(server, 2, Load(2.0, 3, waits=[4.0] * 3), 4, 0.008, 0.004)
    assert str(measured) == "3/s, p99 4 ms, 2.00 + 1.00 ms"


def test_no_request_repeats_an_id_or_a_text(shop):
    bodies = Bodies(opened(shop))
    asked = [json.loads(body) for body in islice(bodies.of(bodies.dialogues, together=3), 20)]
    asked += [json.loads(body) for body in islice(bodies.of(bodies.dialogues), 20)]
    samples = [sample for each in asked for sample in each["samples"]]
    assert [len(each["samples"]) for each in asked] == [3] * 20 + [1] * 20
    assert len({sample["id"] for sample in samples}) == len(samples) == 80
    assert len({(sample["task"], sample["turns"][0]["text"]) for sample in samples}) == 80
    assert "label" not in samples[0]


def test_known_texts_are_those_of_the_project_and_only_ids_are_new(shop):
    project = opened(shop)
    bodies = Bodies(project)
    asked = [json.loads(body)["samples"][0] for body in islice(bodies.of(bodies.known), 60)]
    assert {sample["turns"][0]["text"] for sample in asked} <= {each.turns[0].text for each in project.samples()}
    assert len({sample["id"] for sample in asked}) == 60


def test_some_requests_upload_a_picture_of_their_own(shop):
    bodies = Bodies(opened(shop))
    asked = [json.loads(body)["samples"][0] for body in islice(bodies.with_uploads(every=3), 7)]
    pictures = [sample["images"] for sample in asked]
    assert [len(images) for images in pictures] == [0, 0, 1, 0, 0, 1, 0]
    assert pictures[2][0].startswith("data:image/png;base64,") and pictures[2] != pictures[5]
    assert len({sample["id"] for sample in asked}) == 7


def seen(*answers: tuple[float, float, frozenset]) -> Seen:
    """OLD was there from the start; NEW was written from second 10 to second 11."""
    return Seen([Change(OLD, 0.0, 1.0), Change(NEW, 10.0, 11.0)], list(answers))


def test_a_rule_base_that_is_followed_at_once_is_seen():
    followed = seen((2.0, 2.1, OLD), (10.9, 11.4, OLD), (11.1, 11.5, NEW), (11.6, 11.7, NEW))
    assert (followed.half(), followed.early(), followed.back()) == ([], 0, 0)
    assert followed.delays() == [0.0]


def test_a_change_takes_effect_once_no_request_is_answered_by_the_old_base():
    answers = (10.9, 11.4, OLD), (11.3, 19.0, OLD), (11.6, 19.7, NEW)
    assert seen(*answers).delays() == [pytest.approx(0.3)]


def test_half_a_rule_base_is_seen():
    assert seen((2.0, 2.1, OLD), (10.9, 11.0, MIXED), (11.2, 11.3, NEW)).half() == [MIXED]


def test_an_old_base_after_a_new_one_is_seen():
    assert seen((11.1, 11.5, NEW), (11.6, 11.7, OLD)).back() == 1
    assert seen((11.1, 11.5, NEW), (11.4, 11.7, OLD)).back() == 0  # asked before the new one was answered


def test_a_base_that_nobody_wrote_yet_is_seen():
    assert seen((9.0, 9.1, NEW)).early() == 1


def test_a_change_that_never_takes_effect_is_seen():
    assert seen((11.1, 19.0, OLD)).delays() == [math.inf]


def test_an_answer_tells_the_state_by_the_evidence_of_the_benchmarks_rules():
    rules = [
        {"id": "r-bench01", "evidence": [{"term": "改版"}]},
        {"id": "r-other001", "evidence": [{"field": "image.count", "value": 1}]},
    ]
    told = Seen()
    told.note(Answer(200, json.dumps({"predictions": [{"rules": rules}]}).encode(), 1.0, 2.0))
    told.note(Answer(503, b"busy", 1.0, 2.0))
    assert told.answers == [(1.0, 2.0, frozenset({("r-bench01", "改版")}))]


def test_the_state_of_the_base_is_what_its_files_say(shop):
    told = Seen()
    base = Base(opened(shop), told, [f"t{number}" for number in range(9)])
    for change in (base.edit, base.reject, base.accept, base.exchange, base.reject):
        change()
        rules = [rule for rule in RuleBase.load(shop / "rules", "returns", "raise") if "bench" in rule.id]
        active = {(rule.id, rule.conditions[0].terms[0]) for rule in rules if rule.status == "accepted"}
        assert told.changes[-1].state == active
    assert len({change.state for change in told.changes}) == len(told.changes) == 6
    base.spoil()
    assert len(RuleBase.load(shop / "rules", "returns", "list").problems) == 1
    base.edit()
    assert not RuleBase.load(shop / "rules", "returns", "list").problems


def test_what_the_log_holds_is_read_from_all_its_files(tmp_path):
    (tmp_path / "a.jsonl").write_text(
        '{"id": "1", "label": "x"}\n{"id": "2", "la\n{"id": "3", "label": null}\n', "utf-8"
    )
    (tmp_path / "b.jsonl").write_text('{"id": "4", "label": "y"}\n{"id": "5"', "utf-8")
    assert logged_decisions(tmp_path) == ({"1": "x", "3": None, "4": "y"}, 1)


def test_a_short_run_prints_one_table(shop, capsys):
    path = shop / "kdsl.yaml"
    settings = yaml.safe_load(path.read_text("utf-8")) | {"encoder": "none", "small": "lexical"}
    settings["data"].pop("ocr", None)
    path.write_text(yaml.safe_dump(settings, allow_unicode=True), "utf-8")
    arguments = ["--project", str(shop), "--parts", "saturated", "latency", "peers", "--seconds", "0.1"]
    assert main(arguments) == 0
    table, told = capsys.readouterr()
    assert max(map(len, table.splitlines())) <= 80
    for part in (
        "saturated: 16 connections: ",
        "latency: 100 requests/s: p50",
        "peers: LitServe: left out: no --litserve",
    ):
        assert part in told
    assert "FAILED" not in told
