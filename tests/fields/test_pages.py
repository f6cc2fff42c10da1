"""Text on the images of samples to predict: read once where it can be, counted where it cannot."""

import pytest

from kdsl.distribution import install_command
from kdsl.fields import pages
from kdsl.fields.ocr import OcrOutcome
from kdsl.fields.pages import PageFiller
from kdsl.fields.sidecar import OcrLine, OcrPage, Sidecars
from kdsl.sample import Sample

KNOWN = OcrPage("known.png", (10, 20), ())


def page(image):
    return OcrPage(image, (10, 20), (OcrLine("面料", 1.0, (0, 0, 5, 5)),))


@pytest.fixture
def asked(monkeypatch, tmp_path) -> list[list[str]]:
    """What RapidOCR was asked to read; it finds "面料" on every image but broken.png."""
    calls: list[list[str]] = []

    def fill(images, folder, sidecar, progress, known):
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
