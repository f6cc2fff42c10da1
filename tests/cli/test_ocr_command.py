"""kdsl ocr, with a recogniser that stands in for RapidOCR and once with the real one."""

import importlib.util
import json
import multiprocessing
import os
import sys
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from kdsl.distribution import install_command
from kdsl.errors import KdslError
from kdsl.fields.ocr import PageReader, fill_ocr, reading_order
from kdsl.fields.pages import PageFiller
from kdsl.fields.sidecar import OcrLine, Sidecars, read_ocr
from kdsl.sample import Sample

STAND_IN = """
import os
from types import SimpleNamespace

class RapidOCR:
    def __init__(self, params):
        assert params["EngineConfig.onnxruntime.intra_op_num_threads"] == 1

    def __call__(self, pixels):  # blue, green, red
        height, width, _ = pixels.shape
        blue, green, red = map(int, pixels[height // 2, width // 2])
        if (red, green, blue) == (255, 0, 0):
            raise RuntimeError("red is too much")
        if (red, green, blue) == (255, 255, 0):
            os._exit(9)
        if green == 255 and red == 0:
            return SimpleNamespace(boxes=None, txts=None, scores=None)
        boxes = [[[10, 50], [40, 50], [40, 60], [10, 60]], [[60, 11], [90, 11], [90, 20], [60, 20]],
                 [[10, 10], [40, 10], [40, 20], [10, 20]]]
        return SimpleNamespace(boxes=boxes, txts=("下", "右", f"{width}x{height}"), scores=(0.5, 0.98765, 1.0))
"""


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """A project with images, and a RapidOCR that worker processes import instead of the real one."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules/rapidocr.py").write_text(STAND_IN, "utf-8")
    (tmp_path / "modules/onnxruntime.py").touch()
    monkeypatch.syspath_prepend(tmp_path / "modules")
    monkeypatch.delitem(sys.modules, "rapidocr", raising=False)
    images = tmp_path / "images"
    images.mkdir()
    Image.new("RGB", (100, 200), "blue").save(images / "blue.png")
    Image.new("RGB", (100, 200), "lime").save(images / "no-text.png")
    Image.new("RGB", (3000, 2500), "blue").save(images / "large.png")
    Image.new("RGB", (100, 200), "red").save(images / "red.png")
    (images / "text.jpg").write_text("not an image")
    (tmp_path / "task.yaml").write_text("name: t\nlabels: [{name: a}, {name: b}]\n")
    (tmp_path / "kdsl.yaml").write_text(
        "tasks: [task.yaml]\ndata: {train: d.jsonl, images: images, ocr: o/ocr.jsonl}\n"
    )
    choose(tmp_path, "blue.png", "no-text.png")
    return tmp_path


def choose(project: Path, *names: str) -> None:
    lines = [json.dumps({"id": name, "images": [name], "label": "a"}) for name in names]
    (project / "d.jsonl").write_text("\n".join(lines))


def test_lines_are_written_in_reading_order_with_sizes(kdsl, project):
    result = kdsl("ocr", project, "--workers", 1)
    assert result.code == 0
    assert result.out == f"{project / 'o/ocr.jsonl'}: 2 images read, 0 were there\n"
    pages = read_ocr(project / "o/ocr.jsonl")
    assert list(pages) == ["blue.png", "no-text.png"]
    blue = pages["blue.png"]
    assert (blue.size, blue.original_size) == ((100, 200), (100, 200))
    assert blue.lines == (
        OcrLine("100x200", 1.0, (10, 10, 40, 20)),
        OcrLine("右", 0.988, (60, 11, 90, 20)),
        OcrLine("下", 0.5, (10, 50, 40, 60)),
    )
    assert pages["no-text.png"].lines == ()


def test_a_large_image_is_shrunk_and_its_size_kept(kdsl, project):
    choose(project, "large.png")
    assert kdsl("ocr", project, "--workers", 1).code == 0
    page = read_ocr(project / "o/ocr.jsonl")["large.png"]
    assert (page.size, page.original_size) == ((1280, 1067), (3000, 2500))


@pytest.mark.parametrize(
    ("size", "seen"),
    [
        ((5, 1500), ["320x1500"]),
        ((1500, 5), ["1500x320"]),
        ((10, 2600), ["320x800"] * 4 + ["320x360"]),
        ((1, 1), ["1x1"]),
        ((400, 2001), ["400x1000", "400x1000", "400x601"]),
        ((400, 2000), ["400x2000"]),
    ],
)
def test_no_shape_takes_the_recogniser_beyond_its_memory(kdsl, project, size, seen):
    """RapidOCR enlarges the short side of what it is given to 736 pixels, and the long one with it."""
    picture = Image.new("RGB", size, "blue")
    picture.putpixel((0, 0), (0, 0, 254))
    for step in range(0, max(size), 100):  # a tile of one colour is not read
        picture.putpixel((0, step) if size[1] > size[0] else (step, 0), (0, 0, 250))
    picture.save(project / "images/strip.png")
    choose(project, "strip.png")
    assert kdsl("ocr", project, "--workers", 1).code == 0
    page = read_ocr(project / "o/ocr.jsonl")["strip.png"]
    assert page.size == page.original_size == size
    assert sorted(line.text for line in page.lines if "x" in line.text) == sorted(seen)
    if len(seen) > 1:
        assert all(line.box[2] <= size[0] and line.box[3] <= size[1] for line in page.lines)


def test_an_image_that_is_too_large_is_told_and_not_decoded(kdsl, project):
    Image.new("1", (6000, 5000)).save(project / "images/huge.png")
    choose(project, "huge.png", "blue.png")
    result = kdsl("ocr", project, "--workers", 1)
    assert result.code == 1
    assert "not read: huge.png (6000 x 5000 pixels are too many; scale it down or cut it)" in result.out
    assert list(read_ocr(project / "o/ocr.jsonl")) == ["blue.png"]


def test_a_photo_is_turned_upright(kdsl, project):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (300, 200), "blue").save(project / "images/turned.jpg", exif=exif)
    choose(project, "turned.jpg")
    assert kdsl("ocr", project, "--workers", 1).code == 0
    page = read_ocr(project / "o/ocr.jsonl")["turned.jpg"]
    assert page.size == page.original_size == (200, 300)


def test_images_that_cannot_be_read_are_findings_and_the_others_are_kept(kdsl, project):
    choose(project, "text.jpg", "red.png", "gone.png", "blue.png")
    result = kdsl("ocr", project, "--format", "json", "--workers", 2)
    assert result.code == 1
    outcome = json.loads(result.out)
    assert (outcome["read"], outcome["read_before"]) == (1, 0)
    assert outcome["problems"]["red.png"] == "red is too much"
    assert outcome["problems"]["gone.png"] == "no such file"
    assert "cannot identify image file" in outcome["problems"]["text.jpg"]
    assert list(read_ocr(project / "o/ocr.jsonl")) == ["blue.png"]


def test_links_out_of_the_folder_and_pipes_are_not_opened(kdsl, project):
    Image.new("RGB", (100, 200), "blue").save(project / "secret.png")
    (project / "images/out.png").symlink_to("../secret.png")
    os.mkfifo(project / "images/pipe.png")
    choose(project, "out.png", "pipe.png", "blue.png")
    result = kdsl("ocr", project, "--format", "json", "--workers", 1)
    assert result.code == 1
    problems = json.loads(result.out)["problems"]
    assert set(problems) == {"out.png", "pipe.png"}
    assert problems["out.png"].startswith("'out.png' leads outside ")
    assert list(read_ocr(project / "o/ocr.jsonl")) == ["blue.png"]


def test_a_second_run_reads_only_what_is_missing_and_mends_a_torn_line(kdsl, project):
    kdsl("ocr", project, "--workers", 1)
    sidecar = project / "o/ocr.jsonl"
    whole = sidecar.read_bytes()
    assert kdsl("ocr", project).out.endswith("0 images read, 2 were there\n")
    assert sidecar.read_bytes() == whole
    sidecar.write_bytes(whole[:-20])
    assert kdsl("ocr", project, "--workers", 1).out.endswith("1 images read, 1 were there\n")
    assert sidecar.read_bytes() == whole


def test_an_interruption_keeps_what_is_done_and_says_so(kdsl, project, monkeypatch):
    def interrupted(pages, description, total, progress):
        yield next(pages)
        raise KeyboardInterrupt

    monkeypatch.setattr("kdsl.fields.ocr.track", interrupted)
    result = kdsl("ocr", project, "--workers", 1)
    sidecar = project / "o/ocr.jsonl"
    assert result.code == 130
    assert result.err == f"interrupted: the text of 1 images is in {sidecar}; run again to go on\n"
    assert list(read_ocr(sidecar)) == ["blue.png"]


def test_a_process_that_dies_is_one_sentence_and_loses_nothing(kdsl, project):
    Image.new("RGB", (100, 200), "yellow").save(project / "images/deadly.png")
    choose(project, "blue.png", "deadly.png")
    result = kdsl("ocr", project, "--workers", 1)
    assert (result.code, result.out) == (2, "")
    assert "error: an OCR process died, perhaps for lack of memory; 1 new images are in" in result.err
    assert list(read_ocr(project / "o/ocr.jsonl")) == ["blue.png"]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.ocr=", "data.ocr is not set; name the sidecar file to fill"),
        ("data.images=", "data.images is not set; name the folder"),
        ("data.images=nowhere", "data.images nowhere is no folder"),
    ],
)
def test_what_is_missing_in_the_configuration_is_named(kdsl, project, override, message):
    result = kdsl("ocr", project, override)
    assert (result.code, result.out) == (2, "")
    assert message in result.err


def test_another_file_is_not_overwritten_as_a_sidecar(kdsl, project):
    other = project / "o.json"
    other.write_text('[{"image": "blue.png"},\n{"image"')
    result = kdsl("ocr", project, f"data.ocr={other}")
    assert result.code == 2
    assert "o.json, line 1, column 24: not valid JSON" in result.err
    assert other.read_text().startswith('[{"image": "blue.png"},\n')


def test_without_rapidocr_the_extra_is_named(kdsl, project, monkeypatch):
    monkeypatch.setitem(sys.modules, "rapidocr", None)
    result = kdsl("ocr", project)
    assert result.code == 2
    assert f"reading text on images needs RapidOCR; install it with: {install_command('ocr')}" in result.err


def test_lines_side_by_side_are_read_from_left_to_right():
    def line(text: str, x: float, y: float) -> OcrLine:
        return OcrLine(text, 1.0, (x, y, x + 30, y + 10))

    lines = [line("4", 50, 43), line("2", 60, 4), line("3", 5, 40), line("1", 5, 8), line("5", 5, 52)]
    assert "".join(found.text for found in reading_order(lines)) == "12345"


@pytest.mark.skipif(importlib.util.find_spec("rapidocr") is None, reason="the extra ocr is not installed")
def test_rapidocr_reads_a_drawn_page(tmp_path):
    image = Image.new("RGBA", (320, 120), (0, 0, 0, 0))
    ImageDraw.Draw(image).text((20, 30), "REFUND 2048", fill="black", font_size=40)
    image.save(tmp_path / "page.png")
    known = {}
    outcome = fill_ocr(["page.png"], tmp_path, tmp_path / "ocr.jsonl", workers=1, known=known)
    assert (outcome.read, outcome.problems) == (1, {})
    assert known == read_ocr(tmp_path / "ocr.jsonl")
    [line] = known["page.png"].lines
    assert line.text.replace(" ", "") == "REFUND2048"
    x0, y0, x1, y1 = line.box
    assert 0 <= x0 < 40 and 20 < y0 < 50 and 230 < x1 <= 320 and 60 < y1 < 100


@pytest.mark.skipif(importlib.util.find_spec("rapidocr") is None, reason="the extra ocr is not installed")
def test_rapidocr_reads_every_line_of_a_long_page_once(tmp_path):
    image = Image.new("RGB", (400, 2600), "white")
    written = [f"REFUND {number}" for number in range(101, 126)]
    for number, text in enumerate(written):
        ImageDraw.Draw(image).text((20, 20 + 100 * number), text, fill="black", font_size=36)
    image.save(tmp_path / "page.png")
    assert fill_ocr(["page.png"], tmp_path, tmp_path / "ocr.jsonl", workers=1).problems == {}
    page = read_ocr(tmp_path / "ocr.jsonl")["page.png"]
    assert [line.text.replace(" ", "") for line in page.lines] == [text.replace(" ", "") for text in written]
    assert page.size == (400, 2600)
    for number, line in enumerate(page.lines):
        assert abs(line.box[1] - (20 + 100 * number)) < 30


def read_with(reader: PageReader, folder: Path, *images: str) -> list[str]:
    """Of each image its first line, or what is wrong with it."""
    found = dict(reader.pages(images, folder / "images"))
    return [page if isinstance(page, str) else page.lines[0].text for page in map(found.get, images)]


def test_a_reader_that_stays_reads_pictures_as_they_come_in_one_process(project):
    reader = PageReader()
    try:
        assert read_with(reader, project, "blue.png", "red.png") == ["100x200", "red is too much"]
        processes = set(multiprocessing.active_children())
        assert read_with(reader, project, "blue.png") == ["100x200"]
        assert set(multiprocessing.active_children()) == processes
    finally:
        reader.close()
    assert not set(multiprocessing.active_children()) & processes


def test_where_its_process_dies_that_is_told_and_the_next_picture_has_another_one(project):
    Image.new("RGB", (100, 200), "yellow").save(project / "images" / "yellow.png")
    reader = PageReader()
    try:
        with pytest.raises(KdslError, match="the OCR process died"):
            read_with(reader, project, "yellow.png")
        assert read_with(reader, project, "blue.png") == ["100x200"]
    finally:
        reader.close()


def test_what_it_reads_is_known_and_not_written(project):
    sidecars = Sidecars()
    filler = PageFiller(sidecars, project / "images", project / "o" / "ocr.jsonl", reader=PageReader())
    elsewhere = project / "elsewhere.png"
    Image.new("RGB", (100, 200), "blue").save(elsewhere)
    try:
        filler.fill([Sample("1", "t", images=("blue.png", str(elsewhere), "text.jpg"))])
    finally:
        filler.close()
    assert set(sidecars.ocr) == {"blue.png", str(elsewhere)}
    assert not (project / "o").exists()
