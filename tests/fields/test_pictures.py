"""What is seen on the images of samples: looked at once, counted where they cannot be read."""

import os
import pickle

import numpy as np
import pytest
from PIL import Image

from kdsl.data.images import picture_path
from kdsl.fields import pictures as pictures_module
from kdsl.fields.pictures import Pictures
from kdsl.fields.sidecar import Sidecars
from kdsl.fields.table import FieldTable
from kdsl.fields.visual import MADE_BY, SIZE
from kdsl.files import file_digest
from kdsl.sample import Sample
from kdsl.vector_cache import VectorCache


def draw(path, colour="white"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (60, 120), colour).save(path)


@pytest.fixture
def looked_at(monkeypatch):
    """The sizes of all images that were looked at."""
    sizes = []

    def features(image, real=pictures_module.picture_features):
        sizes.append(image.size)
        return real(image)

    monkeypatch.setattr(pictures_module, "picture_features", features)
    return sizes


def test_an_image_is_looked_at_once_and_again_when_it_has_changed(tmp_path, looked_at):
    draw(tmp_path / "a.png", "red")
    pictures = Pictures(tmp_path)
    assert looked_at == []
    assert pictures.get("a.png") is pictures.get("a.png")
    assert pictures.get("a.png").share("page", "red") == 1
    draw(tmp_path / "a.png", "blue")
    os.utime(tmp_path / "a.png", ns=(1, 1))
    assert pictures.get("a.png").share("page", "blue") == 1
    assert len(looked_at) == 2


def test_memory_holds_the_latest_images_only(tmp_path, looked_at, monkeypatch):
    monkeypatch.setattr(pictures_module, "_HELD", 2)
    names = ["a.png", "b.png", "c.png"]
    for name in names:
        draw(tmp_path / name, "red")
    pictures = Pictures(tmp_path)
    assert all(seen.share("page", "red") == 1 for seen in pictures.read(names).values())
    assert len(looked_at) == 3
    pictures.read(names[1:])
    assert len(looked_at) == 3
    pictures.get("a.png")
    assert len(looked_at) == 4


@pytest.mark.parametrize(("place", "value"), [(4, 7), (4, 0.5), (0, -1), (5, 2), (SIZE - 1, -0.5)])
def test_what_was_kept_and_cannot_be_is_looked_at_again(tmp_path, looked_at, place, value):
    draw(tmp_path / "a.png", "red")
    cache = VectorCache(tmp_path / "vectors.sqlite")
    seen = Pictures(tmp_path, cache).get("a.png")
    damaged = seen.vector()
    damaged[place] = value
    cache.put(MADE_BY, {file_digest(tmp_path / "a.png"): damaged})
    for _ in range(2):
        again = Pictures(tmp_path, cache).get("a.png")
        assert (again.size, again.kind, again.share("page", "red")) == (seen.size, seen.kind, 1)
    assert len(looked_at) == 2


def test_what_cannot_be_read_is_none_and_counted_in_one_warning(tmp_path, caplog):
    folder = tmp_path / "images"
    draw(folder / "a.png")
    draw(tmp_path / "secret.png")
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    (folder / "text.png").write_text("no image")
    (folder / "cut.png").write_bytes((folder / "a.png").read_bytes()[:60])
    Image.new("1", (6000, 5001)).save(folder / "bomb.png")
    pictures = Pictures(folder)
    names = ["gone.png", "../secret.png", "link.png", "text.png", "cut.png", "bomb.png", "a.png"]
    pictures.read(names)
    assert [name for name in names if pictures.get(name) is not None] == ["a.png"]
    pictures.tell()
    pictures.tell()
    [record] = caplog.records
    assert record.getMessage().startswith("6 images cannot be looked at and count as unseen, the first being ")


def test_the_warning_says_why(tmp_path, caplog):
    pictures = Pictures(tmp_path)
    pictures.get("gone.png")
    pictures.tell()
    assert caplog.messages == [
        "1 images cannot be looked at and count as unseen, the first being gone.png (no such file)"
    ]


def test_an_image_that_came_later_is_seen(tmp_path, caplog):
    pictures = Pictures(tmp_path)
    assert pictures.get("late.png") is None
    draw(tmp_path / "late.png")
    assert pictures.get("late.png") is not None
    pictures.tell()
    assert caplog.messages == []


def test_what_is_seen_is_kept_by_the_content_of_the_file(tmp_path, looked_at):
    draw(tmp_path / "a.png", "red")
    (tmp_path / "broken.png").write_text("no image")
    Pictures(tmp_path, VectorCache(tmp_path / "vectors.sqlite")).read(["a.png", "broken.png"])
    (tmp_path / "a.png").rename(tmp_path / "b.png")
    draw(tmp_path / "a.png", "blue")
    again = Pictures(tmp_path, VectorCache(tmp_path / "vectors.sqlite"))
    again.read(["a.png", "b.png", "broken.png"])
    assert len(looked_at) == 2
    assert again.get("b.png").share("page", "red") == 1
    assert again.get("a.png").share("page", "blue") == 1
    assert again.get("broken.png") is None


def test_a_copy_is_seen_as_its_original_is(tmp_path):
    draw(tmp_path / "a.png", "red")
    pictures = Pictures(tmp_path)
    copies = pictures.renamed({"a.png+1": "a.png"}).renamed({"/elsewhere/b.png": "a.png+1"})
    for name in ("a.png", "a.png+1", "/elsewhere/b.png"):
        assert copies.get(name) is pictures.get("a.png")
    assert pictures.get("a.png+1") is None


def test_pictures_go_to_another_process_with_what_they_know(tmp_path, looked_at):
    draw(tmp_path / "a.png", "red")
    pictures = Pictures(tmp_path, progress=lambda description, total: None)
    pictures.get("a.png")
    assert pickle.loads(pickle.dumps(pictures)).get("a.png").share("page", "red") == 1
    assert len(looked_at) == 1


def test_a_sample_is_seen_by_its_first_image_that_can_be_read(tmp_path):
    draw(tmp_path / "b.png", "red")
    draw(tmp_path / "c.png", "blue")
    sample = Sample("s", "t", images=("gone.png", "b.png", "c.png"))
    [row] = FieldTable([sample], Sidecars(pictures=Pictures(tmp_path))).rows
    assert row.picture.share("page", "red") == 1
    assert row.seen[0] == "b.png"


def test_a_view_of_a_table_has_a_row_of_nan_without_a_picture(tmp_path, caplog):
    draw(tmp_path / "a.png", "red")
    samples = [Sample("s", "t", images=("a.png",)), Sample("n", "t"), Sample("g", "t", images=("gone.png",))]
    table = FieldTable(samples, Sidecars(pictures=Pictures(tmp_path)))
    thumbnails = table.pictures("thumbnail")
    assert thumbnails.shape == (3, 216)
    assert thumbnails.dtype == np.float32
    assert thumbnails[0].reshape(12, 6, 3)[5, 5].tolist() == [1, 0, 0]
    assert np.isnan(thumbnails).all(axis=1).tolist() == [False, True, True]
    assert caplog.messages == []
    table.tell_unseen()
    assert len(caplog.messages) == 1
    assert np.isnan(FieldTable(samples, Sidecars()).pictures("edges")).all()
    assert FieldTable([], Sidecars()).pictures("grey").shape == (0, 240)


def test_views_of_a_table_look_for_a_file_no_more_often_than_one_view(tmp_path, monkeypatch):
    draw(tmp_path / "a.png")
    sought = []
    monkeypatch.setattr(
        pictures_module, "picture_path", lambda folder, name: sought.append(name) or picture_path(folder, name)
    )
    table = FieldTable([Sample("a", "t", (), ("a.png",))], Sidecars(pictures=Pictures(tmp_path)))
    first = table.pictures("thumbnail")
    once = list(sought)
    assert once and (table.pictures("thumbnail") == first).all() and table.pictures("bands").any()
    table.select([0]).look()
    assert sought == once


def test_nobody_looks_at_an_image_before_it_is_asked_for(tmp_path, looked_at):
    draw(tmp_path / "a.png")
    table = FieldTable([Sample("s", "t", images=("a.png",))], Sidecars(pictures=Pictures(tmp_path)))
    table.texts("ocr"), table.numbers("image.aspect"), table.cleaned()
    assert looked_at == []
    table.pictures("grey")
    assert len(looked_at) == 1
