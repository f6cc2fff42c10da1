"""A task with more samples than the page looks at: it looks at some of them, by labels, and counts on all."""

import os
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from small_shop import dialogues, write, write_project

from kdsl.bitmaps import unpack
from kdsl.fields.table import FieldTable
from kdsl.project.mining import mine_project
from kdsl.project.project import Project
from kdsl.review import live as live_module
from kdsl.review.app import create_app
from kdsl.review.live import LiveSite, open_live
from kdsl.rules.engine import Engine

NOTE = "Samples looked at, of all that are labelled: 45 / 90."
TASK = "/t/shop"
HTMX = {"hx-request": "true", "origin": "http://testserver"}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_project(tmp_path_factory.mktemp("many") / "project")
    write(folder / "train.jsonl", dialogues(90, 0))
    mine_project(Project.open(folder), workers=1)
    return folder


@dataclass(frozen=True)
class Opened:
    live: LiveSite
    client: TestClient

    def page(self, address: str) -> str:
        answer = self.client.get(TASK + address)
        assert answer.status_code == 200, answer.text[:1000]
        return answer.text

    @property
    def index(self):
        return self.live.site.indexes["shop"]


@pytest.fixture
def opened(shop, monkeypatch) -> Iterator[Opened]:
    """With 45 of 90 samples looked at, before all were counted on."""
    monkeypatch.setattr(live_module, "MOST_SHOWN", 45)
    live = open_live(Project.open(shop), "ann")
    yield Opened(live, TestClient(create_app(live, ["testserver"])))


@pytest.fixture
def counted(opened) -> Opened:
    opened.live.count_all()
    return opened


def all_hits(shop: Path, opened: Opened) -> dict[str, list[bool]]:
    """By rule, decided by the engine on all labelled samples in their order."""
    table = FieldTable(Project.open(shop).samples(), opened.live.site.sidecars)
    rules = [stored.rule for stored in opened.live.site.store.rules("shop")]
    return {rule.id: column for rule, column in zip(rules, Engine(rules).matrix(table).T.tolist(), strict=True)}


def test_the_page_looks_at_some_of_them_and_says_so(opened):
    samples = opened.index.samples
    assert len(samples) == 45
    assert {sample.label for sample in samples} == {"调光", "材质", "物流"}
    assert f"{NOTE} Hits on all are being counted." in opened.page("/rules")


def test_with_fewer_it_looks_at_all_and_says_nothing(shop):
    assert live_module.MOST_SHOWN == 50_000
    live = open_live(Project.open(shop), "ann")
    live.count_all()
    assert len(live.site.indexes["shop"].samples) == 90
    assert live.site.indexes["shop"].everything is None
    assert "Samples looked at" not in Opened(live, TestClient(create_app(live, ["testserver"]))).page("/rules")


def test_large_files_are_read_in_a_process_of_its_own(shop, monkeypatch):
    called = []
    monkeypatch.setattr(live_module, "_LARGE", 1)
    monkeypatch.setattr(
        live_module, "call_in_subprocess", lambda stop, function, *given: called.append(function) or function(*given)
    )
    assert len(open_live(Project.open(shop), "ann").site.indexes["shop"].samples) == 90
    assert [function.__name__ for function in called] == ["read_and_count"]


def test_all_samples_are_kept_as_they_are(shop, counted):
    samples = Project.open(shop).samples()
    everything = counted.index.everything
    assert list(everything.samples) == samples
    assert [everything.place(sample.id) for sample in samples] == list(range(90))
    assert everything.place("nobody") is None
    assert [everything.having(label).tolist() for label in (-1, 0, 1, 2)] == [
        [False] * 90,
        *([sample.label == name for sample in samples] for name in counted.index.task.label_names),
    ]


def test_rules_are_counted_on_all(shop, counted):
    hits = all_hits(shop, counted)
    stored = counted.live.site.store.rules("shop")
    assert len(stored) >= 3
    for each in stored:
        assert unpack(counted.index.everything.bits(each), 90).tolist() == hits[each.rule.id]
    assert f"{NOTE} Hits are counted on all." in counted.page("/rules")
    first = stored[0]
    labels = [sample.label for sample in Project.open(shop).samples()]
    right = sum(hit and label == first.rule.label for hit, label in zip(hits[first.rule.id], labels, strict=True))
    wrong = sum(hits[first.rule.id]) - right
    page = counted.page(f"/rules/{first.rule.id}")
    assert f"Wrong hits {wrong}<" in page and f"Right hits {right}<" in page
    assert f"all samples {right + wrong}/90" in page
    assert "samples looked at</dt><dd>45" in page


def test_every_right_hit_can_be_looked_at(shop, counted):
    stored = counted.live.site.store.rules("shop")[0]
    hits, samples = all_hits(shop, counted)[stored.rule.id], Project.open(shop).samples()
    right = {s.id for s, hit in zip(samples, hits, strict=True) if hit and s.label == stored.rule.label}
    shown = counted.page(f"/rules/{stored.rule.id}")
    for first in range(6, len(right), 12):
        shown += counted.page(f"/rules/{stored.rule.id}/hits?kind=right&from={first}")
    assert {id for id in right if re.search(rf"\b{re.escape(id)}\b", shown)} == right


def test_an_edit_is_tried_on_all(shop, counted):
    stored = counted.live.site.store.rules("shop")[0]
    term = stored.rule.conditions[0].terms[0]
    fields = {"id": "", "label": stored.rule.label, "field-0": "dialogue", "test-0": f"{term}\n亮"}
    answer = counted.client.post(f"{TASK}/preview", data=fields, headers=HTMX)
    assert answer.status_code == 200
    samples = Project.open(shop).samples()
    found = sum(any(each in sample.turns[0].text for each in (term, "亮")) for sample in samples)
    assert f"all samples {found}/90" in answer.text
    counted.client.post(f"{TASK}/new", data=fields, headers=HTMX)
    [new] = [each for each in counted.live.site.store.rules("shop") if "亮" in each.rule.conditions[0].terms]
    assert f"all samples {found}/90" in counted.page(f"/rules/{new.rule.id}")
    lost = counted.client.post(
        f"{TASK}/preview", data={**fields, "id": new.rule.id, "test-0": "查无此词"}, headers=HTMX
    )
    assert re.search(rf"would be lost</dt><dd>{found} ", lost.text)
    counted.client.post(f"{TASK}/undo", headers=HTMX)


def test_a_sample_that_is_not_looked_at_has_its_page(counted):
    other = next(s for s in counted.index.everything.samples if s.id not in counted.index.sample_position)
    page = counted.page(f"/sample?id={other.id}")
    assert other.turns[0].text[:2] in re.sub("<[^>]+>", "", page)
    assert "Rules that hit" in page and "/alike" not in page
    answer = counted.client.get(f"{TASK}/sample?id=nobody")
    assert "shop has no sample &#39;nobody&#39;" in answer.text


def test_a_rules_own_tests_may_name_any_sample(counted):
    index, stored = counted.index, counted.live.site.store.rules("shop")[0]
    for id in (sample.id for sample in index.everything.samples):
        at = index.everything.place(id)
        assert index.hit(stored, id) is bool(unpack(index.everything.bits(stored), 90)[at])
    assert index.hit(stored, "nobody") is None


def test_a_hit_that_is_not_looked_at_can_be_made_a_test_of_the_rule(counted):
    index, store = counted.index, counted.live.site.store
    stored = store.rules("shop")[0]
    rows = [int(row) for row in np.flatnonzero(unpack(index.everything.bits(stored), 90))]
    id = next(
        index.everything.samples[row].id
        for row in rows
        if index.everything.samples[row].id not in index.sample_position
    )
    where = f"/rules/{stored.rule.id}"
    fields = {"version": stored.version, "queue": "", "sample": id, "must": "miss"}
    assert counted.client.post(f"{TASK}{where}/pin", data=fields, headers=HTMX).status_code == 200
    assert f"{id}: must miss, fails" in counted.page(where)
    lint = counted.page(f"{where}/lint")
    assert id in lint and "no such sample" not in lint
    assert "failing tests" in counted.page("/rules")
    counted.client.post(f"{TASK}/undo", headers=HTMX)
    nobody = counted.client.post(
        f"{TASK}{where}/pin", headers=HTMX,
        data={**fields, "sample": "nobody", "version": store.get("shop", stored.rule.id).version},
    )  # fmt: skip
    assert "has no sample" in nobody.text


def test_while_the_page_is_open_all_are_counted_in_the_background(opened):
    opened.live.start()
    try:
        until = time.monotonic() + 120
        while opened.index.everything is None and time.monotonic() < until:
            time.sleep(0.05)
    finally:
        opened.live.stop()
    assert len(opened.index.everything.samples) == 90


def test_nothing_is_left_on_disk(shop, counted):
    assert not [path for path in shop.rglob("*") if path.name.startswith(".review-")]
    assert len(counted.index.everything.samples[89].id) > 0


def test_what_a_killed_page_left_is_taken_away_after_a_day(opened):
    old, new = (opened.live._config.checkpoint / f".review-{name}" for name in ("old", "new"))
    for folder in (old, new):
        folder.mkdir(parents=True)
        (folder / "samples.arrow").write_bytes(b"ARROW1")
    day = 24 * 60 * 60
    os.utime(old, (time.time() - day - 60,) * 2)
    os.utime(new, (time.time() - day + 600,) * 2)
    opened.live.count_all()
    assert not old.exists() and new.exists()
    shutil.rmtree(new)


def test_where_no_folder_can_be_made_the_page_counts_on_some_and_says_why(opened, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("", "utf-8")
    config = opened.live._config.model_copy(update={"checkpoint": tmp_path / "file" / "checkpoint"})
    monkeypatch.setattr(opened.live, "_config", config)
    opened.live.count_all()
    assert "the columns of all samples cannot be kept there (Not a directory)" in opened.page("/rules")


def test_changed_samples_are_counted_again(shop, counted, tmp_path):
    before = counted.index.everything
    text = (shop / "train.jsonl").read_text("utf-8")
    try:
        write(shop / "train.jsonl", dialogues(96, 0))
        counted.live.refresh()
        counted.live.count_all()
        assert len(counted.index.everything.samples) == 96
        assert counted.index.everything is not before
        now = counted.index.everything
        counted.live.count_all()
        assert counted.index.everything is now
    finally:
        (shop / "train.jsonl").write_text(text, "utf-8")


def test_without_room_the_page_counts_on_some_and_says_why(opened, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("kdsl.review.stored_samples.SamplesWriter.write", full)
    opened.live.count_all()
    page = opened.page("/rules")
    assert "the columns of all samples cannot be written (No space left on device)" in page
    assert opened.index.everything is None


def test_without_pyarrow_the_page_says_what_to_install(opened, monkeypatch):
    monkeypatch.setattr(live_module, "find_spec", lambda name: None)
    opened.live.count_all()
    assert "to count on all samples pyarrow is needed, which is not installed: pip install" in opened.page("/rules")
