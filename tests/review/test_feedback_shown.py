"""The review page counts samples from feedback like any others, and tells who said what about them."""

from dataclasses import replace
from pathlib import Path

import pytest
from reviewed_shop import ORIGIN
from shop_on_disk import TASK, write_shop

pytest.importorskip("fastapi", reason="needs the extra review")
from fastapi.testclient import TestClient

from kdsl.project.project import Project
from kdsl.review.app import create_app
from kdsl.review.live import LiveSite, open_live
from kdsl.sample import Sample, Turn

ROOT = f"/t/{TASK}"
ASKED = Sample("q1", TASK, (Turn("user", "亮度<b>呢"),))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_shop(tmp_path)
    project = Project.open(tmp_path)
    project.feedback_log.give(ASKED, "材质", "小李", project.task(), "材质", ["r-aaaa"])
    project.feedback_log.give(ASKED, "调光", "<i>小王", project.task(), "材质", ["r-aaaa"])
    return tmp_path


@pytest.fixture
def live(folder: Path) -> LiveSite:
    return open_live(Project.open(folder), "小王")


@pytest.fixture
def client(live: LiveSite) -> TestClient:
    return TestClient(create_app(live, ["testserver"], background=False), headers=ORIGIN)


def test_the_page_of_a_sample_tells_who_said_what_and_what_the_service_had_decided(client):
    page = client.get(f"{ROOT}/sample?id=q1").text
    assert "Feedback to the service" in page
    first, second = (page.index(words) for words in ("小李: <b>材质</b>", "&lt;i&gt;小王: <b>调光</b>"))
    assert first < second
    assert page.count("the service had decided") == page.count('<span class="wrong">材质</span>') == 2
    assert "对服务的反馈" in client.get(f"{ROOT}/sample?id=q1", headers={"accept-language": "zh"}).text


def test_the_page_of_another_sample_says_nothing_of_it(client):
    assert "Feedback to the service" not in client.get(f"{ROOT}/sample?id=0").text


def test_rules_are_counted_on_it(live):
    overview = live.site.overview(TASK)
    assert overview.hits[overview.position["r-aaaa"]] == 3


def test_it_can_be_relabelled_like_any_other(client, live, folder):
    [sample] = [each for each in live.site.indexes[TASK].samples if each.id == "q1"]
    live.site.labels.log.give(sample, "材质", "小赵")
    live.refresh()
    [sample] = [each for each in live.site.indexes[TASK].samples if each.id == "q1"]
    assert sample == replace(ASKED, label="材质")
    assert client.get(f"{ROOT}/sample?id=q1").text.count('<span class="right">材质</span>') == 2
    # What is said to the service after that is the last word again.
    project = Project.open(folder)
    project.feedback_log.give(ASKED, "调光", "小李", project.task())
    live.refresh()
    [sample] = [each for each in live.site.indexes[TASK].samples if each.id == "q1"]
    assert sample.label == "调光"
    assert live.site.labels.log.given().of(sample) is None


def test_it_is_read_again_when_feedback_comes_in_or_test_samples_change(folder, live):
    project = Project.open(folder)
    project.feedback_log.give(
        replace(ASKED, id="q2", turns=(Turn("user", "亮度高吗"),)), "调光", "小李", project.task()
    )
    assert live.changing
    live.refresh()
    assert "q2" in live.site.indexes[TASK].sample_position
    project.feedback_log.undo("小李")
    live.refresh()
    assert "q2" not in live.site.indexes[TASK].sample_position


def test_samples_of_a_project_that_had_none_are_shown(tmp_path):
    write_shop(tmp_path)
    (tmp_path / "kdsl.yaml").write_text("tasks: [task.yaml]\ncheckpoint: checkpoint\n", "utf-8")
    project = Project.open(tmp_path)
    project.feedback_log.give(ASKED, "调光", "小李", project.task())
    assert list(open_live(project, "小王").site.indexes[TASK].sample_position) == ["q1"]
