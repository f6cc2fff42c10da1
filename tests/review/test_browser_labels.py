"""Doubtful labels in a real browser, by keyboard alone, on a large and on a small screen."""

from collections.abc import Iterator

import pytest
from doubtful_shop import write_doubtful_project

pytest.importorskip("playwright", reason="needs the extra test")
pytest.importorskip("fastapi", reason="needs the extra review")
from playwright.sync_api import Browser, Page, expect
from served import Served

from kdsl.project.project import Project
from kdsl.review.live import open_live


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    return Project.open(write_doubtful_project(tmp_path_factory.mktemp("doubtful") / "project"))


@pytest.fixture
def served(project) -> Iterator[Served]:
    served = Served(open_live(project, "小王"))
    yield served
    served.stop()
    (project.config.folder / "labels.jsonl").unlink(missing_ok=True)


@pytest.fixture
def page(browser: Browser, served: Served) -> Iterator[Page]:
    context = browser.new_context(base_url=served.address, locale="en-US", viewport={"width": 1280, "height": 900})
    context.set_default_timeout(120_000)  # of what never comes
    page = context.new_page()
    page.goto("/t/shop/labels")
    yield page
    context.close()


def shown(page: Page) -> str:
    return page.locator("[data-sample]").get_attribute("data-sample") or ""


def labels(project: Project) -> dict[str, str | None]:
    return {sample.id: sample.label for sample in Project.open(project.config.folder).samples()}


def test_labels_are_decided_by_keyboard_alone_and_undone(page, project):
    before = labels(project)
    first = shown(page)
    page.keyboard.press("a")
    expect(page.locator(".saved")).to_contain_text(f"relabel {first}")
    second = shown(page)
    page.keyboard.press("x")
    expect(page.locator(".saved")).to_contain_text(f"confirm {second}")
    third = shown(page)
    page.keyboard.press("e")
    page.keyboard.type("材质" if before[third] != "材质" else "物流")
    page.keyboard.press("Enter")
    expect(page.locator(".saved")).to_contain_text(f"relabel {third}")
    assert len({first, second, third}) == 3
    after = labels(project)
    assert {id for id in before if before[id] != after[id]} == {first, third}
    for id in (third, second, first):
        page.keyboard.press("u")
        expect(page.locator(".saved")).to_contain_text(f"{id}:")
        expect(page.locator(".saved")).to_contain_text("undo")
        assert shown(page) == id
    assert labels(project) == before


def test_one_goes_through_the_list_and_skips(page):
    first = shown(page)
    page.keyboard.press("j")
    expect(page.locator("[data-sample]")).not_to_have_attribute("data-sample", first)
    page.keyboard.press("k")
    expect(page.locator("[data-sample]")).to_have_attribute("data-sample", first)
    page.keyboard.press("Space")
    expect(page.locator("[data-sample]")).not_to_have_attribute("data-sample", first)
    expect(page.locator("nav.issues li").last).to_contain_text(first)


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_wider_than_the_screen(page, width):
    page.set_viewport_size({"width": width, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    expect(page.locator("[data-key=a]")).to_be_in_viewport()
