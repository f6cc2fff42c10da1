"""Samples are labelled in a real browser by keyboard alone, and words marked in one begin a rule."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from shop_on_disk import LABELS, TASK, write_lines, write_shop

pytest.importorskip("playwright", reason="needs the extra test")
pytest.importorskip("fastapi", reason="needs the extra review")
from playwright.sync_api import Browser, Page, expect
from served import Served

from kdsl.project.project import Project
from kdsl.review.live import open_live

SHIPPING = "请问什么时候可以发货呢"
TEXTS = (SHIPPING, SHIPPING + "？", SHIPPING + "！", "随便看看")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    write_shop(tmp_path)
    config = (tmp_path / "kdsl.yaml").read_text("utf-8")
    (tmp_path / "kdsl.yaml").write_text(config.replace("ocr:", "unlabelled: more.jsonl, ocr:"), "utf-8")
    write_lines(tmp_path / "more.jsonl", [{"id": f"u{i}", "text": text} for i, text in enumerate(TEXTS)])
    live = open_live(Project.open(tmp_path), "小王")
    live.ask_model()
    served = Served(live)
    yield served
    served.stop()


@pytest.fixture
def page(browser: Browser, served: Served) -> Iterator[Page]:
    context = browser.new_context(base_url=served.address, locale="en-US", viewport={"width": 1280, "height": 900})
    context.set_default_timeout(120_000)  # of what never comes
    page = context.new_page()
    page.goto(f"/t/{TASK}/label")
    yield page
    context.close()


def given(served: Served) -> dict[str, str]:
    return {id: label.label for (_, id), _, label in served.site.labels.log.given()}


def test_labels_are_given_by_number_to_what_is_ticked_and_undone(page, served):
    [likely] = page.locator("[data-key='1']").all()
    first = likely.get_attribute("value")
    page.locator("[data-member]").first.uncheck()
    page.locator("h1").click()
    page.keyboard.press("1")
    expect(page.locator(".saved")).to_contain_text("in all: 2")
    assert set(given(served).values()) == {first} and len(given(served)) == 2
    page.keyboard.press("u")
    expect(page.locator(".saved")).to_contain_text("undo")
    assert given(served) == {}
    page.keyboard.press("2")
    expect(page.locator(".saved")).to_contain_text("in all: 3")
    assert set(given(served).values()) == set(LABELS) - {first}


def test_words_marked_in_a_sample_begin_a_rule_for_the_likeliest_label(page):
    first = page.locator("[data-key='1']").get_attribute("value")
    page.locator(".deciding .turns li.user span").first.evaluate(
        """(span) => { const range = document.createRange(); range.setStart(span.firstChild, 2);
        range.setEnd(span.firstChild, 4); getSelection().removeAllRanges(); getSelection().addRange(range); }"""
    )
    page.locator("#from-selection").click()
    expect(page.locator("select[name=label]")).to_have_value(first or "")
    expect(page.locator("textarea").first).to_have_value("什么")


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_stands_out_of_the_page(page, width):
    page.set_viewport_size({"width": width, "height": 844})
    page.reload()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
