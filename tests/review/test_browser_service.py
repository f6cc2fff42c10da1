"""The page about the service in a real browser: on a large and on a small screen, by keyboard, while it is read."""

import threading
from collections.abc import Iterator
from itertools import islice

import pytest
from made_decisions import decision
from shop_on_disk import TASK
from shop_with_service import log, say, write_served_shop

pytest.importorskip("playwright", reason="needs the extra test")
pytest.importorskip("fastapi", reason="needs the extra review")
from playwright.sync_api import Browser, Page, expect
from served import Served

from kdsl.project.project import Project
from kdsl.review import service_decisions
from kdsl.review.live import open_live


@pytest.fixture(scope="module")
def served(tmp_path_factory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    write_served_shop(folder)
    long = "亮度能调吗" * 60
    log(folder, *(decision(f"case-{i}-" + "x" * 60, (0.5 + i / 100, 0.5 - i / 100), text=long) for i in range(25)),
        decision("r", rules=["r-lamp", "r-linen"]), texts=True)  # fmt: skip
    say(folder, "a" * 60, "材质", by="名" * 40, text=long)
    served = Served(open_live(Project.open(folder), "小王"))
    yield served
    served.stop()


@pytest.fixture(params=[1280, 390])
def page(browser: Browser, served: Served, request) -> Iterator[Page]:
    size = {"width": request.param, "height": 800}
    context = browser.new_context(base_url=served.address, locale="en-US", viewport=size, color_scheme="dark")
    context.set_default_timeout(120_000)  # of what never comes
    page = context.new_page()
    yield page
    context.close()


def wider_than_the_screen(page: Page) -> list[str]:
    """What stands beyond the right edge where one has to scroll for it."""
    return page.evaluate(
        """() => document.documentElement.scrollWidth <= innerWidth ? [] :
        [...document.querySelectorAll("main *")].filter((each) => each.getBoundingClientRect().right > innerWidth + 1)
        .map((each) => each.outerHTML.slice(0, 80))"""
    )


def test_it_fits_the_screen_and_periods_are_chosen_by_keyboard(page):
    page.goto(f"/t/{TASK}/service")
    expect(page.locator("#decisions .cards")).to_contain_text("26")
    assert wider_than_the_screen(page) == []
    current = page.locator("nav.place [aria-current]")
    expect(current).to_have_text("last day")
    current.focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("nav.place [aria-current]")).to_have_text("last week")
    expect(page.locator("h1")).to_have_text("Service")


def test_a_rule_that_is_spoken_against_shows_where(page):
    page.goto(f"/t/{TASK}/service")
    page.locator("#feedback tbody a").click()
    expect(page.locator("#feedback article")).to_have_count(1)
    expect(page.locator("#feedback mark").first).to_have_text("亮度能调")
    assert wider_than_the_screen(page) == []


def test_what_is_read_in_the_background_comes_by_itself(page, monkeypatch, served):
    go_on = threading.Event()

    def slowly(decisions, most):
        go_on.wait(60)
        return islice(decisions, most)

    monkeypatch.setattr(service_decisions, "_PATIENCE", 0.0)
    monkeypatch.setattr(service_decisions, "islice", slowly)
    served.site.service.decisions._forget()
    page.goto(f"/t/{TASK}/service")
    expect(page.locator("#decisions [role=status]")).to_contain_text("being read; so far: 0")
    page.locator("nav.place a").last.click()  # meanwhile links lead where they always do
    expect(page.locator("nav.place [aria-current]")).to_have_text("last week")
    expect(page.locator("h1")).to_have_text("Service")
    monkeypatch.undo()
    go_on.set()
    expect(page.locator("#decisions [role=status]")).to_have_count(0)
    expect(page.locator("#decisions .cards")).to_contain_text("26")
    assert page.locator("#decisions").count() == 1
