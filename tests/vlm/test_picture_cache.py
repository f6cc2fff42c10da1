"""Pictures as models take them are kept on disk by content: read again without decoding, made again where damaged."""

import logging
import os
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kdsl.errors import KdslError
from kdsl.vlm import patches, picture_cache
from kdsl.vlm.patches import PatchForm
from kdsl.vlm.picture_cache import PictureCache
from kdsl.vlm.pixels import PixelBudget

FORM = PatchForm(PixelBudget(28 * 28, 12 * 28 * 28))
ENTRY = 36 * 3 * 14 * 14 + 28
"""Bytes of an entry of `draw`'s pictures: 9 tokens of 4 patches, and its head."""


def draw(path: Path, seed: int = 0) -> Path:
    pixels = np.random.default_rng(seed).integers(0, 256, (84, 84, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def page(tmp_path: Path) -> Path:
    return draw(tmp_path / "page.png")


@pytest.fixture
def cache(tmp_path: Path) -> PictureCache:
    return PictureCache(tmp_path / "kept")


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that were decoded."""
    seen: list[Path] = []
    load = patches.load_picture
    monkeypatch.setattr(patches, "load_picture", lambda path, *how: seen.append(path) or load(path, *how))
    return seen


def entries(cache: PictureCache) -> list[Path]:
    return sorted(cache._folder.glob("*.patches"))


def test_a_picture_is_decoded_once_whatever_its_name(page, cache, decoded, tmp_path) -> None:
    first = cache.patches(page, FORM)
    copy = tmp_path / "copy.png"
    copy.write_bytes(page.read_bytes())
    for again in (cache.patches(page, FORM), PictureCache(tmp_path / "kept").patches(copy, FORM)):
        np.testing.assert_array_equal(again.values, first.values)
        assert (again.rows, again.columns) == (first.rows, first.columns) == (6, 6)
    assert decoded == [page]
    assert [entry.stat().st_size for entry in entries(cache)] == [ENTRY]
    assert cache.holds(copy, FORM) and not cache.holds(draw(tmp_path / "new.png", 1), FORM)


def test_patches_stand_token_by_token_with_colours_apart(tmp_path: Path) -> None:
    """Four patches make a token; the second one of the first token is right of the first, the third is below."""
    pixels = np.zeros((56, 56, 3), np.uint8)
    pixels[:14, 14:28, 0], pixels[14:28, :14, 1], pixels[:14, 28:42, 2] = 200, 100, 50
    Image.fromarray(pixels).save(tmp_path / "a.png")
    values = FORM.patches(tmp_path / "a.png").values.reshape(16, 3, 14, 14)
    means = {
        (row, colour): values[row, colour].mean() for row, colour in zip(*values.any((2, 3)).nonzero(), strict=True)
    }
    assert means == {(1, 0): 200, (2, 1): 100, (4, 2): 50}


def test_another_content_budget_or_cut_is_another_entry(page, cache, decoded) -> None:
    small = PatchForm(PixelBudget(28 * 28, 4 * 28 * 28))
    large = PatchForm(FORM.budget, 16)
    shapes = {cache.patches(page, form).values.shape for form in (FORM, small, large)}
    assert shapes == {(36, 588), (16, 588), (36, 768)}
    os.utime(draw(page, 1), ns=(1, 1))
    assert cache.patches(page, FORM).values.shape == (36, 588)
    assert len(entries(cache)) == len(decoded) == 4


@pytest.mark.parametrize("place", [0, 16, 24, 500, ENTRY - 1], ids=["mark", "rows", "checksum", "middle", "end"])
def test_a_damaged_entry_is_made_again(page, cache, decoded, place: int) -> None:
    whole = cache.patches(page, FORM)
    [entry] = entries(cache)
    content = bytearray(entry.read_bytes())
    content[place] ^= 1
    for damaged in (content, content[:place], content + b"x", b""):
        entry.write_bytes(damaged)
        np.testing.assert_array_equal(cache.patches(page, FORM).values, whole.values)
        assert entry.stat().st_size == ENTRY
    cache.patches(page, FORM)
    assert len(decoded) == 5


def test_those_used_longest_ago_go_first(tmp_path, cache, monkeypatch) -> None:
    monkeypatch.setattr(picture_cache, "_EVERY", 1)
    cache = PictureCache(tmp_path / "kept", most=3 * ENTRY)
    pages = [draw(tmp_path / f"{i}.png", i) for i in range(5)]
    for i, page in enumerate(pages[:3]):
        cache.patches(page, FORM)
        [new] = set(entries(cache)) - {entry for entry in entries(cache) if entry.stat().st_mtime < 1e9}
        os.utime(new, (1e6 + i, 1e6 + i))
    cache.patches(pages[0], FORM)  # used again
    (tmp_path / "kept" / "notes.txt").write_text("mine")
    left = tmp_path / "kept" / f".{'a' * 31}.{'b' * 12}"
    left.write_bytes(b"of a process that was killed")
    os.utime(left, (1e6, 1e6))
    for page in pages[3:]:
        cache.patches(page, FORM)
    assert [cache.holds(page, FORM) for page in pages] == [True, False, False, True, True]
    assert {path.suffix for path in (tmp_path / "kept").iterdir()} == {".patches", ".txt"}


def test_a_folder_that_cannot_be_written_is_told_of_once(page, tmp_path, caplog) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for name, reason in (("file", "cannot be written"), ("link", "the folder is a link")):
        cache = PictureCache(tmp_path / name)
        with caplog.at_level(logging.WARNING):
            for _ in range(2):
                assert cache.patches(page, FORM).rows == 6
        [record] = caplog.records
        assert f"{name}: no prepared pictures are kept" in record.message and reason in record.message
        caplog.clear()
    assert not list((tmp_path / "elsewhere").iterdir())


def test_what_is_wrong_with_a_picture_is_said_as_without_the_cache(cache, tmp_path) -> None:
    with pytest.raises(KdslError, match=r"no\.png: no such image file"):
        cache.patches(tmp_path / "no.png", FORM)
    (tmp_path / "broken.png").write_bytes(b"no picture")
    for _ in range(2):
        with pytest.raises(KdslError, match=r"broken\.png: not an image that a model can take"):
            cache.patches(tmp_path / "broken.png", FORM)
    with pytest.raises(KdslError, match="no such image file"):
        cache.patches(tmp_path, FORM)
    assert not entries(cache)


def test_several_threads_and_copies_of_it_write_one_folder(cache, tmp_path) -> None:
    """As loader processes have copies."""
    pages = [draw(tmp_path / f"{i}.png", i) for i in range(4)]
    copies = [cache, pickle.loads(pickle.dumps(cache))]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda i: copies[i % 2].patches(pages[i // 2 % 4], FORM), range(32)))
    for i, each in enumerate(found):
        np.testing.assert_array_equal(each.values, FORM.patches(pages[i // 2 % 4]).values)
    assert len(entries(cache)) == 4
