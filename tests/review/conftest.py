"""The small shop of `reviewed_shop`, open for review, and a browser."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from browser import chromium
from reviewed_shop import ORIGIN, open_shop

from kdsl.review.live import LiveSite
from kdsl.review.site import Site

if TYPE_CHECKING:
    from fastapi.testclient import TestClient
    from playwright.sync_api import Browser


@pytest.fixture
def live(tmp_path: Path) -> LiveSite:
    return open_shop(tmp_path)


@pytest.fixture
def site(live: LiveSite) -> Site:
    return live.site


@pytest.fixture
def client(live: LiveSite) -> "TestClient":
    from fastapi.testclient import TestClient

    from kdsl.review.app import create_app

    return TestClient(create_app(live, ["testserver"], background=False), headers=ORIGIN)


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    from playwright.sync_api import sync_playwright

    program = chromium()
    if program is None:
        pytest.skip("needs Chromium: python -m playwright install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()
