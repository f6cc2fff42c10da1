"""Finds the Chromium for the tests in a browser; as a program it says whether there is one."""

import os
import shutil
import sys
from pathlib import Path


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


if __name__ == "__main__":
    sys.exit(chromium() is None)
