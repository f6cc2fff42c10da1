"""The shop of `service_shop`: trained once, and served to a client in memory."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from service_shop import opened, write_shop

if TYPE_CHECKING:
    from fastapi.testclient import TestClient


@pytest.fixture(scope="session")
def trained_shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Not to be changed: see `shop`."""
    return write_shop(tmp_path_factory.mktemp("service") / "shop")


@pytest.fixture
def shop(trained_shop: Path, tmp_path: Path) -> Path:
    return shutil.copytree(trained_shop, tmp_path / "shop")


@pytest.fixture
def serve(shop: Path, tmp_path: Path) -> "Iterator[Callable[..., TestClient]]":
    """Serves the shop to a client, with changes to its kdsl.yaml, and with a token where one is given."""
    from fastapi.testclient import TestClient

    from kdsl.serve.app import create_app
    from kdsl.serve.live import LiveProject
    from kdsl.serve.media import Uploads
    from kdsl.serve.service import Service

    uploads = tmp_path / "uploads"
    uploads.mkdir()
    with ExitStack() as stack:

        def served(token: str | None = None, **changes: object) -> TestClient:
            service = Service(LiveProject(opened(shop, **changes)), Uploads(uploads))
            client = TestClient(create_app(service, token), base_url="http://127.0.0.1", raise_server_exceptions=False)
            client.app.state.service = service  # type: ignore[attr-defined]
            return stack.enter_context(client)

        yield served
