"""Text fields of samples and the way back to the turn, OCR line or caption."""

from kdsl.fields.field_text import Segment
from kdsl.fields.sidecar import OcrLine, OcrPage, Sidecars
from kdsl.fields.table import SampleFields
from kdsl.sample import Sample, Turn

PAGE = OcrPage(
    "a.png",
    (100, 1000),
    (
        OcrLine("顶部", 0.9, (0, 0, 50, 100)),
        OcrLine("中间", 0.9, (0, 450, 50, 550)),
        OcrLine("立即 购买", 0.9, (0, 900, 50, 990)),
    ),
)
SAMPLE = Sample(
    "1",
    "t",
    (
        Turn("user", "ＬＥＤ灯"),
        Turn("agent", ""),
        Turn("agent", "您好"),
        Turn("user", "能调光吗？"),
        Turn("user", "<image>"),
    ),
    ("a.png",),
)
ROW = SampleFields(SAMPLE, Sidecars({"a.png": PAGE}, {"a.png": "一个页面"}))


def test_each_field_joins_its_segments_by_newlines():
    assert ROW.text("last_user").text == "能调光吗?"
    assert ROW.text("user").text == "led灯\n能调光吗?\n<image>"
    assert ROW.text("agent").text == "您好"
    assert ROW.text("dialogue").text == "led灯\n您好\n能调光吗?\n<image>"
    assert ROW.text("ocr").text == "顶部\n中间\n立即购买"
    assert ROW.text("ocr.top").text == "顶部"
    assert ROW.text("ocr.bottom").text == "立即购买"
    assert ROW.text("caption").text == "一个页面"


def test_segments_know_where_they_come_from():
    assert ROW.text("dialogue").segments[1] == Segment("您好", turn=2)
    assert ROW.text("dialogue").place(5, 6) == (Segment("您好", turn=2), (0, 1))
    bottom = Segment("立即 购买", image="a.png", line=2, box=(0, 900, 50, 990))
    assert ROW.text("ocr.bottom").segments == (bottom,)
    assert ROW.text("ocr.bottom").place(0, 4) == (bottom, (0, 5))
    assert ROW.text("caption").place(2, 4) == (Segment("一个页面", image="a.png"), (2, 4))


def test_places_lead_back_to_the_original_characters():
    for field, term, original in (("dialogue", "led", "ＬＥＤ"), ("user", "调光", "调光"), ("ocr", "即购", "即 购")):
        text = ROW.text(field)
        start = text.text.index(term)
        segment, (first, last) = text.place(start, start + len(term))
        assert segment.text[first:last] == original
    assert segment.line == 2


def test_a_sample_without_anything_has_empty_texts():
    row = SampleFields(Sample("2", "t"), Sidecars())
    assert row.text("last_user").text == row.text("ocr").text == ""
    assert row.text("dialogue").segments == ()
