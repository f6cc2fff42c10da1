"""The page of samples whose labels are doubtful: one after the other, decided with one key, undone with another."""

import json
import re
import shutil
from pathlib import Path

import pytest
from doubtful_shop import CONTRADICTING, MARKUP, PLANTED, write_doubtful_project

pytest.importorskip("fastapi", reason="needs the extra review")
from fastapi.testclient import TestClient
from reviewed_shop import ORIGIN

from kdsl.data.label_log import LabelLog
from kdsl.project.project import Project
from kdsl.review.app import create_app
from kdsl.review.live import LiveSite, open_live

PAGE = "/t/shop/labels"


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    return write_doubtful_project(tmp_path_factory.mktemp("doubtful") / "project")


@pytest.fixture
def folder(trained, tmp_path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "project"))


@pytest.fixture
def live(folder) -> LiveSite:
    return open_live(Project.open(folder), "小王")


@pytest.fixture
def client(live) -> TestClient:
    return TestClient(create_app(live, ["testserver"], background=False), headers=ORIGIN)


def fields(page: str) -> dict[str, str]:
    """What the form about the sample that is shown sends, without the label."""
    return {name: re.search(rf'name="{name}" value="([^"]*)"', page)[1] for name in ("sample", "seen")}


def shown(page: str) -> str:
    """The id of the sample that is shown, empty without one."""
    found = re.search(r'data-sample="([^"]*)"', page)
    return found[1] if found else ""


def lines(folder: Path) -> list[dict]:
    path = folder / "labels.jsonl"
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []


def order(page: str) -> list[str]:
    return re.findall(r'/labels\?at=[0-9a-f]{32}">([^<]*)</a> <span', page)


def test_the_most_doubtful_sample_is_shown_with_its_label_the_suggestion_and_why(client):
    page = client.get(PAGE).text
    assert shown(page) == order(page)[0]
    assert {*order(page)[:4]} == {*PLANTED, CONTRADICTING}
    assert f'value="{fields(page)["seen"]}" data-key="x"' in page
    assert 'data-key="a"' in page
    for words in ("doubtful label", "without having learned from this sample", "Nearest samples"):
        assert words in page


def test_the_suggestion_is_taken_saved_beside_the_data_and_the_next_sample_is_shown(client, folder):
    before = (folder / "train.jsonl").read_bytes()
    page = client.get(f"{PAGE}").text
    first, second = order(page)[:2]
    answer = client.post(f"{PAGE}/give", data={**fields(page), "label": _suggested(page)})
    assert answer.status_code == 200
    assert shown(answer.text) == second
    assert f"relabel {first}" in re.sub(r"\s+", " ", answer.text)
    assert (folder / "train.jsonl").read_bytes() == before
    assert [(line["id"], line["action"], line["by"]) for line in lines(folder)] == [(first, "relabel", "小王")]
    assert first not in order(client.get(PAGE).text)


def _suggested(page: str) -> str:
    return re.search(r'name="label" value="([^"]*)" data-key="a"', page)[1]


def test_a_label_that_is_really_so_is_confirmed(client, folder):
    page = client.get(PAGE).text
    sent = fields(page)
    client.post(f"{PAGE}/give", data={**sent, "label": sent["seen"]})
    assert [(line["action"], line["label"], line["was"]) for line in lines(folder)] == [
        ("confirm", sent["seen"], sent["seen"])
    ]
    assert shown(page) not in order(client.get(PAGE).text)


def test_undo_brings_the_sample_back_and_ends_where_nothing_was_done(client, folder):
    page = client.get(PAGE).text
    client.post(f"{PAGE}/give", data={**fields(page), "label": _suggested(page)})
    back = client.post(f"{PAGE}/undo").text
    assert shown(back) == shown(page)
    assert fields(back) == fields(page)
    assert len(lines(folder)) == 2
    refused = client.post(f"{PAGE}/undo")
    assert refused.status_code == 422
    assert "小王 has given no label that could be undone" in refused.text


def test_a_skipped_sample_comes_last_and_nothing_is_written(client, folder):
    page = client.get(PAGE).text
    first, second = order(page)[:2]
    after = client.post(f"{PAGE}/skip", data={"sample": fields(page)["sample"]}).text
    assert shown(after) == second
    assert order(after)[-1] == first
    assert lines(folder) == []


def test_after_a_decision_in_the_middle_comes_what_stood_behind_it(client):
    page = client.get(PAGE).text
    third = client.get(re.findall(r'href="([^"]*/labels\?at=[0-9a-f]{32})">', page)[2]).text
    assert shown(third) == order(page)[2]
    after = client.post(f"{PAGE}/give", data={**fields(third), "label": _suggested(third)}).text
    assert shown(after) == order(page)[3]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"label": "木头"}, "&#39;木头&#39; is no label of shop; it has 调光, 材质, 物流"),
        ({"label": ""}, "&#39;&#39; is no label of shop"),
        ({"sample": "0" * 32}, "shop has no such sample any more; open the list again"),
        ({"seen": "物流 "}, "since you opened it, so nothing was saved; look at it again"),
    ],
)
def test_what_the_page_does_not_send_is_refused_in_one_sentence(client, folder, change, told):
    sent = {**fields(client.get(PAGE).text), "label": "调光", **change}
    answer = client.post(f"{PAGE}/give", data=sent)
    assert answer.status_code == 422
    assert told in answer.text
    assert lines(folder) == []


def test_who_saw_a_label_that_somebody_else_has_changed_since_is_told(client, folder):
    page = client.get(PAGE).text
    project = Project.open(folder)
    sample = next(each for each in project.samples() if each.id == shown(page))
    LabelLog(folder / "labels.jsonl").give(sample, _suggested(page), "小李")
    answer = client.post(f"{PAGE}/give", data={**fields(page), "label": fields(page)["seen"]})
    assert answer.status_code == 422
    assert "since you opened it, so nothing was saved" in answer.text
    assert len(lines(folder)) == 1


def test_without_training_one_sentence_says_what_to_run(folder):
    shutil.rmtree(folder / "checkpoints")
    live = open_live(Project.open(folder), "小王")
    client = TestClient(create_app(live, ["testserver"], background=False), headers=ORIGIN)
    page = client.get(PAGE)
    assert page.status_code == 200
    assert "which labels are doubtful is known once a model was trained; run `kdsl train` first" in page.text


def test_a_log_that_was_changed_by_hand_is_told_with_its_line(client, folder):
    (folder / "labels.jsonl").write_text("{}\n", "utf-8")
    assert "labels.jsonl, line 1: event: Field required; restore the file" in client.get(PAGE).text


def test_markup_in_a_sample_stays_text(client):
    page = client.get(PAGE).text
    at = re.search(rf'href="([^"]*)">{CONTRADICTING}</a>', page)[1]
    shown_there = client.get(at).text
    assert shown(shown_there) == CONTRADICTING
    assert MARKUP not in page + shown_there
    assert "&lt;b&gt;1&lt;/b&gt;" in shown_there


def test_the_page_is_chinese_for_who_reads_chinese(client):
    page = client.get(PAGE, headers={"accept-language": "zh-CN"}).text
    for words in ("标签可疑", "标签无误", "最相近的样本", "待检查的标签"):
        assert words in page


def test_labels_given_here_are_counted_once_nobody_gives_one_for_a_while(client, live, folder, monkeypatch):
    page = client.get(PAGE).text
    client.post(f"{PAGE}/give", data={**fields(page), "label": _suggested(page)})
    assert not live.changing
    assert not live._labels_settled()
    monkeypatch.setattr("kdsl.review.live._AT_REST", 0.0)
    assert live._labels_settled()
    live.refresh()
    assert not live._labels_settled()
    sample = next(each for each in live.site.indexes["shop"].samples if each.id == shown(page))
    assert sample.label == _suggested(page)
    assert shown(page) not in order(client.get(PAGE).text)
    assert fields(client.post(f"{PAGE}/undo").text) == fields(page)
