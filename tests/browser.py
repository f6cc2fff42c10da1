"""The Chromium for the tests in a browser, and what it does; as a program it says whether there is one."""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext


@cache
def chromium() -> str | None:
    """The browser that Playwright installed, else the system's; None without one or without Playwright."""
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        return None
    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    if own and Path(own).exists():
        return own
    names = ("chromium", "chromium-browser", "google-chrome")
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)


@contextmanager
def watched(browser: "Browser", address: str) -> "Iterator[tuple[BrowserContext, list[str]]]":
    """A context that reaches this address alone, and what it wanted elsewhere or wrote to the console."""
    context = browser.new_context(base_url=address, locale="en-US", viewport={"width": 1280, "height": 900})
    wrong: list[str] = []

    def only_here(route) -> None:
        if route.request.url.startswith(address):
            route.continue_()
        else:
            wrong.append(route.request.url)
            route.abort()

    context.route("**/*", only_here)
    context.on("console", lambda message: wrong.append(message.text))
    context.on("weberror", lambda error: wrong.append(str(error.error)))
    context.set_default_timeout(120_000)  # of what never comes
    yield context, wrong
    context.close()


if __name__ == "__main__":
    sys.exit(chromium() is None)
