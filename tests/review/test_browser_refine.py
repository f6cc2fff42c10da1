"""Refine in a real browser: one key shows the variants, one key takes one."""

from collections.abc import Iterator

import pytest
from shop_of_drafts import write_draft_shop

pytest.importorskip("playwright", reason="needs the extra test")
pytest.importorskip("fastapi", reason="needs the extra review")
from playwright.sync_api import Browser, expect
from served import Served

from kdsl.project.project import Project
from kdsl.review.live import open_live


@pytest.fixture
def served(tmp_path) -> Iterator[Served]:
    served = Served(open_live(Project.open(write_draft_shop(tmp_path)), "小王"))
    yield served
    served.stop()


@pytest.mark.parametrize("width", [1280, 390])
def test_one_key_shows_the_variants_and_one_takes_the_first(browser: Browser, served: Served, width: int):
    page = browser.new_page(base_url=served.address, locale="en-US", viewport={"width": width, "height": 900})
    page.goto("/t/shop/rules/r-aaaa?status=all")
    page.keyboard.press("1")  # nothing to take yet
    page.keyboard.press("r")
    first = page.locator("#refine tbody tr").nth(1)
    expect(first).to_contain_text("16/16 (0.81–1.00)")
    box = first.locator("button").bounding_box()
    assert box is not None and box["x"] + box["width"] <= width
    page.keyboard.press("1")
    expect(page.locator(".saved")).to_contain_text("edit r-aaaa")
    assert served.site.store.get("shop", "r-aaaa").rule.conditions[0].terms == ("亮度", "变暗")
    expect(page.locator("#refine tbody")).to_have_count(0)
    page.keyboard.press("u")
    expect(page.locator(".saved")).to_contain_text("undo")
    assert served.site.store.get("shop", "r-aaaa").rule.conditions[0].terms == ("亮度",)
    page.close()
