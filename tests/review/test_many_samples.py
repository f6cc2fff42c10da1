"""A task with more samples than the page looks at: some of them, by labels, and the page says so."""

from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from small_shop import dialogues, write, write_project

from kdsl.project.mining import mine_project
from kdsl.project.project import Project
from kdsl.review import live as live_module
from kdsl.review.app import create_app
from kdsl.review.live import open_live

NOTE = "Samples looked at, of all that are labelled: 45 / 90"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_project(tmp_path_factory.mktemp("many") / "project")
    write(folder / "train.jsonl", dialogues(90, 0))
    mine_project(Project.open(folder), workers=1)
    return folder


def queue(shop: Path) -> str:
    with TestClient(create_app(open_live(Project.open(shop), "ann"), ["testserver"])) as client:
        return client.get("/t/shop/rules").text


def test_the_page_looks_at_some_of_them_and_says_so(shop, monkeypatch):
    monkeypatch.setattr(live_module, "MOST_SHOWN", 45)
    live = open_live(Project.open(shop), "ann")
    samples = live.site.indexes["shop"].samples
    assert len(samples) == 45
    assert {sample.label for sample in samples} == {"调光", "材质", "物流"}
    assert NOTE in queue(shop)


def test_with_fewer_it_looks_at_all_and_says_nothing(shop):
    assert live_module.MOST_SHOWN == 50_000
    assert len(open_live(Project.open(shop), "ann").site.indexes["shop"].samples) == 90
    assert "Samples looked at" not in queue(shop)


def test_large_files_are_read_in_a_process_of_its_own(shop, monkeypatch):
    called = []
    monkeypatch.setattr(live_module, "_LARGE", 1)
    monkeypatch.setattr(
        live_module, "call_in_subprocess", lambda stop, function, *given: called.append(function) or function(*given)
    )
    assert len(open_live(Project.open(shop), "ann").site.indexes["shop"].samples) == 90
    assert [function.__name__ for function in called] == ["read_and_count"]
