"""The small shop of `reviewed_shop`, open for review."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from reviewed_shop import ORIGIN, open_shop

from kdsl.review.live import LiveSite
from kdsl.review.site import Site

if TYPE_CHECKING:
    from fastapi.testclient import TestClient


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
