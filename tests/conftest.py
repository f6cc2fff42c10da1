"""What several tests need: two small tasks, two trained models, and a way to run the command line."""

import gc
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

# Read when numpy and torch are loaded, here and in the processes that tests start: on sums as small as those of tests
# several threads wait for each other longer than they compute, and pytest -n gives every core a process.
os.environ["OMP_NUM_THREADS"] = "1"

from kdsl.cli import main
from kdsl.data.dialogue import START_MARKER
from kdsl.sample import Label, Task

if TYPE_CHECKING:
    from model_server import RunningServer
    from playwright.sync_api import Browser

# Nothing here may depend on how busy the machine is, and what fails in CI fails again.
settings.register_profile(
    "kdsl",
    deadline=None,
    derandomize="CI" in os.environ,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("kdsl")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that start Ray come first: pytest -n gives neighbours to one process, and these wait for each other."""
    items.sort(key=lambda item: not item.path.name.startswith("test_ray_"))


_frozen = 0
"""Modules that were imported when what is there was frozen last."""


@pytest.fixture(scope="module", autouse=True)
def imported_stays() -> None:
    """What was imported and collected stays to the end: the garbage collector need not look through it every time.

    It is a million objects, and took a tenth of the time of all tests.
    """
    global _frozen
    if len(sys.modules) > _frozen + 200:
        _frozen = len(sys.modules)
        gc.collect()
        gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def one_core() -> Iterator[None]:
    """Where nobody says how many processes shall work, none is started: pytest -n gives every core one already.

    Starting two takes longer than mining what tests mine. Tests of how they work together say `workers`.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.cpu_count", lambda: 1)
        yield


@pytest.fixture(autouse=True)
def own_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """$XDG_CONFIG_HOME, empty for every test, with no server named in the environment: the user's own is not read."""
    folder = tmp_path_factory.mktemp("configuration")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder))
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture
def dialogue_task() -> Task:
    """A task over dialogues, shaped like mire_intent."""
    prompt = f"判断意图。\n{START_MARKER}\n{{dialogue}}\n<用户与客服的对话 END>\n标签：{{labels}}\n"
    return Task("intent", (Label("能否调光", "咨询亮度是否可调"), Label("商品材质", "咨询材质")), prompt)


@pytest.fixture
def image_task() -> Task:
    """A task over single screenshots, shaped like mire_scene."""
    prompt = "Picture 1: <image>\n请分类：{labels}。"
    return Task("scene", (Label("支付页面", "支付方式"), Label("退款页面", "退款信息")), prompt)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a tiny Qwen2-VL that knows the world of tests/tiny_qwen2vl.py; not to be written to.

    Trained once for a run, by whichever of its processes comes first.
    """
    pytest.importorskip("torch", reason="needs the extra vlm")
    import tiny_qwen2vl
    from filelock import FileLock

    # Each xdist worker has a folder of its own below that of the run.
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if os.environ.get("PYTEST_XDIST_WORKER") else own) / "tiny-qwen2vl"
    with FileLock(f"{folder}.lock"):
        if not (folder / "trained").exists():
            examples = tiny_qwen2vl.world(folder / "pages", 60)
            tiny_qwen2vl.train(tiny_qwen2vl.build(folder / "model"), examples)
            (folder / "trained").touch()
    return folder / "model"


@pytest.fixture(scope="module")
def shared_server() -> "Iterator[RunningServer]":
    """A model's server for all tests of a file, each of which tells it first what to `become`."""
    from model_server import model_server

    with model_server() as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    """A Chromium for all tests of a file."""
    from browser import chromium
    from playwright.sync_api import sync_playwright

    program = chromium()
    if program is None:
        pytest.skip("needs Chromium: python -m playwright install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], Path]:
    """Write a text file below tmp_path."""

    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


@pytest.fixture
def kdsl(monkeypatch, capsys) -> Callable[..., Result]:
    """kdsl("check", path): exit code, stdout and stderr; tables are as wide as in a pipe."""
    monkeypatch.delenv("COLUMNS", raising=False)

    def run(*arguments: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["kdsl", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit:
            main()
        captured = capsys.readouterr()
        return Result(int(exit.value.code or 0), captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def small_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a tiny Qwen2-VL that was trained on `small_world.lessons`; not to be written to."""
    pytest.importorskip("torch", reason="needs the extra vlm")
    import small_world
    import tiny_qwen2vl
    from filelock import FileLock

    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if os.environ.get("PYTEST_XDIST_WORKER") else own) / "small-qwen2vl"
    with FileLock(f"{folder}.lock"):
        if not (folder / "trained").exists():
            small_world.teach(tiny_qwen2vl.build(folder / "model", small_world.TEXTS), folder / "pages")
            (folder / "trained").touch()
    return folder / "model"
