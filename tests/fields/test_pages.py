"""Text on the images of samples to predict: read once where it can be, counted where it cannot."""

from threading import Event

import pytest

from kdsl.distribution import install_command
from kdsl.fields import ocr, pages
from kdsl.fields.ocr import OcrOutcome
from kdsl.fields.pages import PageFiller
from kdsl.fields.sidecar import OcrLine, OcrPage, Sidecars, read_ocr
from kdsl.sample import Sample

KNOWN = OcrPage("known.png", (10, 20), ())


def page(image):
    return OcrPage(image, (10, 20), (OcrLine("面料", 1.0, (0, 0, 5, 5)),))


@pytest.fixture
def asked(monkeypatch, tmp_path) -> list[list[str]]:
    """What RapidOCR was asked to read; it finds "面料" on every image but broken.png."""
    calls: list[list[str]] = []

    def fill(images, folder, sidecar, progress, known, stop):
        calls.append(list(images))
        known |= {image: page(image) for image in images if image != "broken.png"}
        return OcrOutcome(problems={image: "truncated" for image in images if image == "broken.png"})

    monkeypatch.setattr(pages, "fill_ocr", fill)
    monkeypatch.setattr(pages, "ocr_installed", lambda: True)
    for name in ("new.png", "broken.png"):
        (tmp_path / name).touch()
    return calls


def samples(*images):
    return [Sample(image, "t", images=(image,)) for image in images]


def test_new_images_are_read_once_and_the_others_counted(asked, tmp_path, caplog):
    sidecars = Sidecars(ocr={"known.png": KNOWN})
    filler = PageFiller(sidecars, tmp_path, tmp_path / "ocr.jsonl")
    for _ in range(2):
        filler.fill(samples("known.png", "new.png", "broken.png", "gone.png"))
    assert asked == [["new.png", "broken.png"]]
    assert sidecars.ocr["new.png"].lines[0].text == "面料"
    assert sidecars.ocr["known.png"] is KNOWN
    filler.tell()
    assert "2 images were taken as without text" in caplog.text


def test_a_link_out_of_the_folder_is_not_read(asked, tmp_path, caplog):
    (tmp_path / "images").mkdir()
    (tmp_path / "images/out.png").symlink_to("../new.png")
    filler = PageFiller(Sidecars(), tmp_path / "images", tmp_path / "ocr.jsonl")
    filler.fill(samples("out.png"))
    filler.tell()
    assert asked == []
    assert "1 images were taken as without text, the first being out.png" in caplog.text


def test_without_rapidocr_the_warning_says_how_to_get_it(asked, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(pages, "ocr_installed", lambda: False)
    filler = PageFiller(Sidecars(), tmp_path, tmp_path / "ocr.jsonl")
    filler.fill(samples("new.png"))
    filler.tell()
    assert asked == []
    assert f"the first being new.png (its text was not read: {install_command('ocr')})" in caplog.text


def test_a_project_without_a_sidecar_uses_no_text_on_images(asked, tmp_path, caplog):
    filler = PageFiller(Sidecars(), tmp_path, None)
    filler.fill(samples("new.png"))
    filler.tell()
    assert (asked, caplog.text) == ([], "")


def test_reading_beside_other_work_shows_nothing_and_can_be_ended(tmp_path, monkeypatch):
    """After the page at hand, which is kept as all that were read."""
    stop = Event()

    def recognised(images, folder, workers):
        for image in images:
            yield image, {"image": image, "size": [10, 20], "original_size": [10, 20], "lines": []}
            stop.set()

    monkeypatch.setattr(ocr, "_recognised", recognised)
    for module in (pages, ocr):
        monkeypatch.setattr(module, "ocr_installed", lambda: True)
    images = [f"{i}.png" for i in range(4)]
    for image in images:
        (tmp_path / image).touch()
    sidecars = Sidecars()
    filler = PageFiller(sidecars, tmp_path, tmp_path / "ocr.jsonl", lambda *shown: pytest.fail("a bar was shown"))
    filler.fill(samples(*images), stop)
    assert list(sidecars.ocr) == ["0.png"]
    assert list(read_ocr(tmp_path / "ocr.jsonl")) == ["0.png"]
