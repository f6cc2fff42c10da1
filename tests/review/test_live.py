"""Data, sidecars, tasks and what training left are read again when they change outside; what is broken is told."""

import gc
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from multiprocessing import active_children
from pathlib import Path

import numpy as np
import pytest
from reviewed_shop import ORIGIN
from shop_on_disk import DIALOGUES, LABELS, TASK, task_file, write_lines, write_page, write_samples, write_shop

pytest.importorskip("fastapi", reason="needs the extra review")
from fastapi.testclient import TestClient

from kdsl.arbiter.arbiter import Arbiter, Quality
from kdsl.arbiter.weighing import Standing
from kdsl.models.out_of_fold_file import save_out_of_fold
from kdsl.project.project import Project
from kdsl.review import live as live_module
from kdsl.review.app import create_app
from kdsl.review.live import LiveSite, open_live

ROOT = f"/t/{TASK}"
OLD = "until then you see what they held before"
UNUSABLE = "not usable, so that you see what was there before"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_shop(tmp_path)
    return tmp_path


@pytest.fixture
def live(folder: Path) -> LiveSite:
    return open_live(Project.open(folder), "小王")


@pytest.fixture
def client(live: LiveSite) -> TestClient:
    return TestClient(create_app(live, ["testserver"], background=False), headers=ORIGIN)


def hits(live: LiveSite, id: str) -> int:
    overview = live.site.overview(TASK)
    return int(overview.hits[overview.position[id]])


def test_samples_that_come_outside_are_counted_after_a_moment_that_the_page_tells_of(folder, live, client):
    assert OLD not in client.get(f"{ROOT}/rules").text
    write_samples(folder, [*DIALOGUES, ("亮度呢", "材质")])
    page = client.get(f"{ROOT}/rules/r-aaaa").text
    assert OLD in page and "2/2 (0.34–1.00)" in page
    live.refresh()
    page = client.get(f"{ROOT}/rules/r-aaaa").text
    assert OLD not in page and "2/3 (0.21–0.94)" in page and "亮度</mark>呢" in page


def test_a_label_that_is_corrected_outside_counts(folder, live):
    write_samples(folder, [("亮度能调吗", "材质"), *DIALOGUES[1:]])
    live.refresh()
    overview = live.site.overview(TASK)
    assert overview.correct[overview.position["r-aaaa"]] == 1


def test_sidecars_are_read_again_and_one_that_appears_is_found(folder, live):
    assert hits(live, "r-cccc") == 0
    write_page(folder, "3.png", "成分表")
    live.refresh()
    assert hits(live, "r-cccc") == 1
    write_page(folder, "3.png", "尺码表")
    live.refresh()
    assert hits(live, "r-cccc") == 0


def test_transcripts_are_read_again_and_what_is_said_in_them_is_found(folder, live):
    write_lines(folder / "train.jsonl", [{"id": "s0", "audio": ["0.wav"], "label": "调光"}])
    live.refresh()
    assert hits(live, "r-aaaa") == 0
    write_lines(folder / "transcripts.jsonl", [{"file": "0.wav", "transcript": "亮度能调吗"}])
    live.refresh()
    assert hits(live, "r-aaaa") == 1


def test_a_new_label_in_the_task_file_can_be_chosen(folder, live, client):
    (folder / "task.yaml").write_text(task_file((*LABELS, "发货")), encoding="utf-8")
    live.refresh()
    assert "发货" in client.get(f"{ROOT}/new").text
    assert client.get(f"{ROOT}/rules/r-aaaa").status_code == 200


def test_a_task_with_another_name_needs_a_new_start(folder, live, client):
    (folder / "task.yaml").write_text(task_file(LABELS).replace(TASK, "store"), encoding="utf-8")
    live.refresh()
    assert "the tasks are store now; start kdsl review again" in client.get(f"{ROOT}/rules").text


@pytest.mark.parametrize(
    ("file", "content", "sentence"),
    [
        ("train.jsonl", '{"id": "s0", "turns": [{"ro', "line 1: not valid JSON"),
        ("train.jsonl", "", "holds no samples"),
        ("ocr.jsonl", '{"image": 3}\n', "line 1: not an OCR record"),
        ("captions.jsonl", "[]\n", "line 1"),
        ("task.yaml", "name: shop\nlabels: [", "task.yaml"),
    ],
)
def test_a_broken_file_leaves_the_page_as_it_was_and_is_named_until_it_is_whole(
    folder, live, client, file, content, sentence
):
    path = folder / file
    before = path.read_bytes() if path.exists() else None
    path.write_text(content, encoding="utf-8")
    live.refresh()
    page = client.get(f"{ROOT}/rules/r-aaaa")
    assert page.status_code == 200 and "2/2 (0.34–1.00)" in page.text
    assert UNUSABLE in page.text and file in page.text and sentence in page.text
    if before is None:
        path.unlink()
    else:
        path.write_bytes(before)
    live.refresh()
    assert UNUSABLE not in client.get(f"{ROOT}/rules").text


def test_a_data_file_that_vanishes_leaves_the_page_as_it_was(folder, live, client):
    (folder / "train.jsonl").unlink()
    live.refresh()
    page = client.get(f"{ROOT}/rules").text
    assert "train.jsonl: no such file" in page and "2/2 (0.34–1.00)" in page


def test_broken_statistics_of_mining_leave_those_before(folder, live, client):
    path = folder / "rules" / TASK / "statistics.jsonl"
    when = live.site.store.get(TASK, "r-aaaa").when
    training = {"hits": 2, "correct": 2, "positives": 3, "samples": 5}
    held_out = {"hits": 8, "correct": 7}
    entry = {"id": "r-aaaa", "when": when, "training": training, "held_out": held_out, "base_rate": 0.6}
    write_lines(path, [{**entry, "candidates": 3}])
    assert "7/8" in client.get(f"{ROOT}/rules/r-aaaa").text
    path.write_text('{"id": 1}\n', encoding="utf-8")
    client.get(f"{ROOT}/rules")
    page = client.get(f"{ROOT}/rules/r-aaaa").text
    assert "7/8" in page and "statistics.jsonl, line 1" in page


def save_arbiter(folder: Path, live: LiveSite) -> None:
    stored = live.site.store.get(TASK, "r-aaaa")
    standing = Standing(
        id="r-aaaa",
        when=stored.when,
        label="调光",
        reliability=0.9,
        hits=2,
        correct=2,
        weight=1.8,
        accepted_weight=1.8,
    )
    quality = Quality(log_loss=1.0, weighted_f1=0.5)
    Arbiter(
        task=TASK, labels=LABELS, a=1.0, b_people=1.0, b_mined=1.0, mean_people=1.0,
        model_a=1.0, samples=5, model=quality,
        both=quality, base_rates=(0.6, 0.4), rules=(standing,), overlaps=(),
    ).save(folder / "checkpoint" / TASK)  # fmt: skip


def test_the_arbiter_of_a_new_training_is_asked_and_a_broken_one_is_not(folder, live, client):
    live.ask_model()
    assert "no trained arbiter (not trained)" in client.get(f"{ROOT}/rules/r-aaaa/effect").text
    save_arbiter(folder, live)
    live.refresh()
    assert "weight 1.80" in client.get(f"{ROOT}/rules/r-aaaa/effect").text
    (folder / "checkpoint" / TASK / "arbiter.json").write_text('{"version": 1', encoding="utf-8")
    live.refresh()
    assert "arbiter.json" in client.get(f"{ROOT}/rules").text
    assert "weight 1.80" in client.get(f"{ROOT}/rules/r-aaaa/effect").text


def test_recorded_predictions_are_read_again_and_broken_ones_leave_those_before(tmp_path):
    write_shop(tmp_path, "recorded:said.jsonl")
    said = [{"id": f"s{i}", "label": label} for i, (_, label) in enumerate(DIALOGUES)]
    write_lines(tmp_path / "said.jsonl", said)
    live = open_live(Project.open(tmp_path), "小王")
    live.ask_model()
    index = live.site.indexes[TASK]
    assert index.predictions.known.all()
    write_lines(tmp_path / "said.jsonl", said[:4])
    live.ask_model()
    assert index.predictions.known.tolist() == [True] * 4 + [False]
    (tmp_path / "said.jsonl").write_text("{", encoding="utf-8")
    live.ask_model()
    assert index.predictions.known.sum() == 4 and "said.jsonl, line 1" in live.problems[0]


def test_a_large_model_speaks_by_the_samples_that_training_held_out(tmp_path):
    write_shop(tmp_path, "http://localhost:9/v1")
    live = open_live(Project.open(tmp_path), "小王")
    client = TestClient(create_app(live, ["testserver"], background=False), headers=ORIGIN)
    live.ask_model()
    index = live.site.indexes[TASK]
    page = client.get(f"{ROOT}/rules/r-aaaa").text
    assert index.predictions is None and "known after kdsl train" in page
    unseen = np.array([True, False, True, True, False])
    probabilities = np.where(np.array([1, 0, 0, 1, 1])[:, None] == 0, [0.9, 0.1], [0.2, 0.8])
    checkpoint = tmp_path / "checkpoint" / TASK
    save_out_of_fold(checkpoint, index.task, "http://localhost:9/v1", index.table, probabilities, unseen)
    live.ask_model()
    assert index.predictions.said.tolist() == [1, -1, 0, 1, -1]
    assert "agrees on 1, disagrees on 1" in client.get(f"{ROOT}/rules/r-aaaa").text
    save_out_of_fold(checkpoint, index.task, "Qwen/other", index.table, probabilities, unseen)
    live.ask_model()
    assert "kdsl train was run with large: Qwen/other" in live.problems[0]


def test_links_to_a_sample_lead_to_it_wherever_it_stands_now(folder, live, client):
    write_samples(folder, [("新的一句", "材质"), *DIALOGUES])
    records = (folder / "train.jsonl").read_text(encoding="utf-8").replace('"s0"', '"new"').replace('"s1"', '"s0"')
    (folder / "train.jsonl").write_text(records, encoding="utf-8")
    live.refresh()
    assert "亮度</mark>能调吗" in client.get(f"{ROOT}/sample?id=s0").text
    answer = client.get(f"{ROOT}/sample?id=s1")
    assert answer.status_code == 422 and "has no sample &#39;s1&#39;" in answer.text


@pytest.fixture
def background(live, monkeypatch) -> Iterator[threading.Thread]:
    """The thread that looks for changes, without the pauses between its looks, before other tests have their turn."""
    monkeypatch.setattr(live_module, "FRESH", 0.05)
    monkeypatch.setattr("kdsl.subprocess_call._NICE", 0)
    thread = threading.Thread(target=live._work, daemon=True)
    thread.start()
    yield thread
    live.stop()
    thread.join(60)
    assert not thread.is_alive() and active_children() == []


def wait_until(true: Callable[[], object]) -> None:
    begun = time.monotonic()
    while not true():
        assert time.monotonic() < begun + 60
        time.sleep(0.02)


def test_in_the_background_a_file_is_read_once_nobody_writes_to_it(folder, live, background):
    before = live.site
    write_samples(folder, [*DIALOGUES, ("亮度呢", "材质")])
    write_page(folder, "3.png", "成分表")
    wait_until(lambda: live.site is not before and not live.changing)
    assert hits(live, "r-aaaa") == 3 and hits(live, "r-cccc") == 1
    assert len(before.indexes[TASK].samples) == 5


def test_in_the_background_the_model_is_asked_about_the_samples_as_they_are_now(folder, live, background):
    write_samples(folder, [*DIALOGUES, ("亮度呢", "材质")])
    wait_until(lambda: not live.changing and live.site.indexes[TASK].predictions is not None)
    assert len(live.site.indexes[TASK].predictions.said) == 6
    assert live.problems == []


def test_in_the_background_a_broken_file_is_told_and_then_read_once_it_is_whole(folder, live, background):
    (folder / "train.jsonl").write_text('{"id": "s0"', encoding="utf-8")
    wait_until(lambda: live.problems)
    assert "train.jsonl, line 1: not valid JSON" in live.problems[0] and hits(live, "r-aaaa") == 2
    write_samples(folder, [*DIALOGUES, ("亮度呢", "材质")])
    wait_until(lambda: not live.problems)
    assert hits(live, "r-aaaa") == 3


def test_stopping_does_not_wait_for_what_is_being_read(folder, live, background):
    wait_until(lambda: live.site.indexes[TASK].predictions is not None and not active_children())
    (folder / "train.jsonl").unlink()
    os.mkfifo(folder / "train.jsonl")  # whoever reads it waits for ever
    wait_until(active_children)
    live.stop()
    background.join(10)
    assert not background.is_alive()


def test_a_request_under_way_ends_with_the_samples_that_it_began_with(folder, live, client):
    before = live.site
    write_samples(folder, DIALOGUES[:2])
    live.refresh()
    assert live.site is not before and len(before.indexes[TASK].samples) == 5
    assert before.overview(TASK).bits.shape == live.site.overview(TASK).bits.shape == (3, 1)
    assert client.get(f"{ROOT}/samples?kind=uncovered").status_code == 200


def test_samples_that_were_read_before_leave_no_trace_in_memory(folder, live, client):
    client.get(f"{ROOT}/rules/r-aaaa")
    client.get(f"{ROOT}/gaps")
    for thread in threading.enumerate():
        if "AnyIO" in thread.name:  # has answered, and holds what it answered with until it ends
            thread.join()
    before = weakref.ref(live.site.indexes[TASK]), weakref.ref(live.site)
    gc.collect()  # what the answered requests left
    gc.freeze()  # as the page does: the collector does not look through them
    write_samples(folder, DIALOGUES[:2])
    live.refresh()
    gc.collect()
    assert [each() for each in before] == [None, None]


def test_what_has_not_changed_is_not_counted_again(folder):
    (folder / "images").mkdir()
    live = open_live(Project.open(folder, {"data.images": str(folder / "images"), "encoder": "use"}), "小王")
    index = live.site.indexes[TASK]
    (folder / "train.jsonl").touch()
    live.refresh()
    assert live.site.indexes[TASK] is index
