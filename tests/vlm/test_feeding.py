"""Prompts are made ahead in order; where many pictures are new, processes make them."""

import os
import re
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import active_children
from pathlib import Path
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch", reason="needs the extra vlm")

import tiny_qwen2vl  # noqa: E402

from kdsl.errors import KdslError  # noqa: E402
from kdsl.vlm import feeding, patches  # noqa: E402
from kdsl.vlm.conversation import Conversation, Picture, ask  # noqa: E402
from kdsl.vlm.feeding import ahead  # noqa: E402
from kdsl.vlm.picture_cache import PictureCache  # noqa: E402
from kdsl.vlm.processor import Processor, Prompt  # noqa: E402

WINDOW = 3


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_qwen2vl.build(tmp_path_factory.mktemp("model"))


@pytest.fixture
def processor(directory: Path, tmp_path: Path) -> Processor:
    return Processor.load(directory, tiny_qwen2vl.BUDGET, cache=PictureCache(tmp_path / "kept"))


@pytest.fixture
def conversations(tmp_path: Path) -> list[Conversation]:
    """With a picture each, but for the second."""
    pages = [Picture(tiny_qwen2vl.draw_page(tmp_path / f"{i}.png", "红蓝"[i % 2], False, i)) for i in range(10)]
    return [ask(page, "标" * (i + 1)) if i != 1 else ask("没有图片。") for i, page in enumerate(pages)]


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that were decoded in this process."""
    seen: list[str] = []
    load = patches.load_picture
    monkeypatch.setattr(patches, "load_picture", lambda path, *how: seen.append(path.name) or load(path, *how))
    return seen


@pytest.fixture
def by_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeding, "_MANY", 4)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)


def same(found: list[Prompt], processor: Processor, conversations: list[Conversation]) -> None:
    for prompt, conversation in zip(found, conversations, strict=True):
        expected = processor.encode(conversation)
        assert prompt.input_ids.tolist() == expected.input_ids.tolist()
        assert (prompt.pixel_values is None) == (expected.pixel_values is None)
        if expected.pixel_values is not None:
            assert prompt.pixel_values.tolist() == expected.pixel_values.tolist()


def test_prompts_come_in_order_and_no_process_starts_for_few_pictures(
    processor, conversations, decoded, monkeypatch
) -> None:
    monkeypatch.setattr(feeding, "worker_pool", lambda *named: pytest.fail("a process was started"))
    windows = list(ahead(processor, conversations, WINDOW))
    assert [len(window) for window in windows] == [3, 3, 3, 1]
    assert len(decoded) == 9
    same([prompt for window in windows for prompt in window], processor, conversations)
    assert list(ahead(processor, [], WINDOW)) == []


def test_processes_make_new_pictures_of_all_windows_but_the_first(
    processor, conversations, decoded, by_processes, monkeypatch
) -> None:
    windows = list(ahead(processor, conversations, WINDOW))
    assert sorted(decoded) == ["0.png", "2.png"]
    same([prompt for window in windows for prompt in window], processor, conversations)
    monkeypatch.setattr(feeding, "worker_pool", lambda *named: pytest.fail("nothing is new"))
    list(ahead(processor, conversations, WINDOW))
    assert sorted(decoded) == ["0.png", "2.png"]
    processor.cache = None
    list(ahead(processor, conversations, WINDOW))  # nothing could be handed over
    assert not active_children()


def test_a_broken_picture_is_told_when_its_turn_comes(processor, conversations, by_processes, tmp_path) -> None:
    (tmp_path / "7.png").write_bytes(b"no picture")
    windows = ahead(processor, conversations, WINDOW)
    assert [len(next(windows)) for _ in range(2)] == [3, 3]
    with pytest.raises(KdslError, match=re.escape("7.png: not an image that a model can take")):
        next(windows)
    windows = ahead(processor, conversations, WINDOW)
    next(windows)
    windows.close()  # as Ctrl-C does
    assert not active_children()


def test_what_a_process_that_died_was_to_make_is_made_here(
    processor, conversations, decoded, by_processes, monkeypatch
) -> None:
    def submit(*task: object) -> None:
        raise BrokenProcessPool

    @contextmanager
    def dead(workers: int):
        yield SimpleNamespace(submit=submit)

    monkeypatch.setattr(feeding, "worker_pool", dead)
    windows = list(ahead(processor, conversations, WINDOW))
    same([prompt for window in windows for prompt in window], processor, conversations)
    assert len(set(decoded)) == 9
