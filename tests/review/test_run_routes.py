"""The page of kept evaluations: all of them, and two of them side by side."""

import re

import pytest
from kept_runs import keep, state, task_result
from reviewed_shop import MARKUP, ORIGIN, open_shop
from rule_files import TASK

pytest.importorskip("fastapi", reason="needs the extra review")
from fastapi.testclient import TestClient

from kdsl.evaluate.runs import SampleSet
from kdsl.review import run_routes
from kdsl.review.app import create_app
from kdsl.review.page import chinese

PAGE = f"/t/{TASK}/runs"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Of the runs of the shop."""
    monkeypatch.setattr(run_routes, "runs_folder", lambda config: tmp_path / "runs")
    return tmp_path / "runs"


@pytest.fixture
def page(tmp_path, folder):
    """Opens the page, with what stands behind its address."""
    app = create_app(open_shop(tmp_path), ["testserver"], background=False)
    client = TestClient(app, headers=ORIGIN)

    def page(query="", language="en", status=200):
        client.cookies.set("kdsl_language", language)
        answer = client.get(PAGE + query)
        assert answer.status_code == status, answer.text
        return re.sub(r"\s+", " ", answer.text)

    return page


def two(folder, **changes):
    keep(folder, [task_result([0, 0, 1, 1, 2, 0], task=TASK)], state=state(a="proposed"))
    keep(folder, [task_result([0, 1, 1, 1, 2, 2], task=TASK)], 1, state=state(a="accepted"), **changes)


def test_without_runs_it_says_how_they_come(page):
    assert "No evaluation is kept yet; kdsl run and kdsl evaluate keep each one." in page()


def test_it_lists_all_runs_of_the_task_the_newest_first_and_chooses_two(page, folder):
    two(folder)
    keep(folder, [task_result([0, 0, 1, 1, 2, 2], task="other")], 2)
    text = page()
    assert re.findall(r"<code>(\w+)</code>", text) == ["000001", "000000"]
    assert "rules: 1 accepted" in text.lower() and "first run" in text
    chosen = re.findall(r'name="(\w+)" value="(\w+)" checked', text)
    assert sorted(chosen) == [("new", "000001"), ("old", "000000")]
    assert "against" not in text and 'class="line accepted"' in text


def test_two_of_them_stand_side_by_side_with_both_reasons(page, folder):
    two(folder)
    text = page("?new=000001&old=000000")
    assert "<h1>000001 against 000000</h1>" in text
    assert 'wrong before, right now: <b class="right">1</b>; right before, wrong now: <b class="wrong">1</b>' in text
    lost = text[text.index("right to wrong (1)") : text.index("wrong to right (1)")]
    assert "<p>was <b>调光</b> 0.80" in lost and "<p>now <b>材质</b> 0.80" in lost and lost.count("why 1") == 2
    assert f'href="/t/{TASK}/sample?id=s1"' in lost  # a training sample, which the page can show
    back = page("?new=000000&old=000001")
    assert "<h1>000000 against 000001</h1>" in back


def test_it_speaks_chinese(page, folder):
    two(folder, samples=SampleSet(kind="test", name="test.jsonl", hash="other"))
    text = page("?new=000001&old=000000", "zh")
    assert "<h1>评测记录</h1>" in text and "由错变对" in text and "规则: 1 已接受" in text
    assert "样本文件的内容与较早那次评测时不同" in text and "样本: 内容已变" in text
    dynamic = [
        *("right to wrong", "wrong to right", "wrong to wrong", "was", "now", "accuracy", "weighted F1", "macro F1"),
        *("other content", "added", "gone", "trained again", "samples", "tasks", "accepted", "rejected", "disabled"),
        *("set back to proposed", "reviewed again", "edited", "removed"),
    ]
    assert [words for words in dynamic if words not in chinese()] == []


def test_other_samples_and_none_in_common_are_told(page, folder):
    two(folder, samples=SampleSet(kind="test", name="feedback.jsonl", hash="h"))
    assert "The two are of different samples" in page("?new=000001&old=000000")
    keep(folder, [task_result([0, 0, 1, 1, 2, 2], task=TASK, prefix="x")], 2)
    assert "has no sample in common with" in page("?new=000002&old=000000", status=422)
    keep(folder, [task_result([0], truth=[0], task=TASK, prefix="x"), task_result([0], truth=[0], task="b")], 3)
    keep(folder, [task_result([0], truth=[0], task=TASK), task_result([0], truth=[0], task="b")], 4)
    assert "The two share no sample of this task." in page("?new=000004&old=000003")


@pytest.mark.parametrize("name", ["zzz", "../runs", "%2Fetc", ""])
def test_only_kept_runs_can_be_named(page, folder, name):
    two(folder)
    assert "no run is called" in page(f"?new=000001&old={name}", status=422)


def test_damaged_runs_are_told_and_markup_is_text(page, folder):
    two(folder)
    keep(folder, [task_result([1, 0, 1, 1, 2, 2], task=TASK, prefix=MARKUP)], 2, versions={"kdsl": MARKUP})
    keep(folder, [task_result([0, 0, 1, 1, 2, 2], task=TASK, prefix=MARKUP)], 3)
    text = page("?new=000003&old=000002")
    assert MARKUP not in text and "&lt;script&gt;" in text
    damaged = next(path for path in folder.iterdir() if path.name.endswith("000001")) / "run.json"
    damaged.write_text("{", "utf-8")
    assert f"{damaged}, line 1" in page()
