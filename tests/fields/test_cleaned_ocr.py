"""Cleaned OCR: what leaves a page, what is masked, in which order the rest is read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdsl.fields.cleaned_ocr import cleaned, cleaned_sidecars, in_reading_order, mask
from kdsl.fields.sidecar import OcrLine, OcrPage, Sidecars
from kdsl.fields.table import FieldTable
from kdsl.sample import Sample

SIZE = (600, 1200)


def line(text: str, x: float = 20, y: float = 400, width: float = 100, score: float = 1.0) -> OcrLine:
    """A line 30 pixels high whose middle is at `y`."""
    return OcrLine(text, score, (x, y - 15, x + width, y + 15))


def texts(*lines: OcrLine) -> list[str]:
    return [line.text for line in cleaned(OcrPage("a.png", SIZE, lines)).lines]


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("¥128.00", "¥<价格>"),
        ("到手价￥1,299起", "到手价￥<价格>起"),
        ("满300元减50元", "满<价格>元减<价格>元"),
        ("合计 59.90", "合计 <价格>"),
        ("订单编号 220011334455667788", "订单编号 <单号>"),
        ("快递 YT1234567890123", "快递 <单号>"),
        ("收件人 138****5678", "收件人 <电话>"),
        ("热线400-820-1234", "热线<电话>"),
        ("2031-02-0914:06:39", "<日期><时间>"),
        ("2031年2月9日 9：30", "<日期> <时间>"),
        ("06/0212:07:42", "<日期><时间>"),
        ("预计5月6日送达", "预计<日期>送达"),
        ("256GB", "256GB"),
        ("2.5米", "2.5米"),
        ("1.50kg", "1.50kg"),
        ("7天无理由退换", "7天无理由退换"),
        ("3期免息", "3期免息"),
    ],
)
def test_prices_ids_phone_numbers_dates_and_times_are_masked(text: str, masked: str):
    assert mask(text) == masked


@given(st.text(alphabet="0123456789:：/-.¥￥元月日年 ab*,", max_size=40))
def test_masking_twice_is_masking_once(text: str):
    assert mask(mask(text)) == mask(text)


def test_what_ocr_was_not_sure_of_and_what_holds_no_word_leaves():
    assert texts(line("立即购买"), line("乍匕", y=500, score=0.5), line(">", y=600), line("…", y=700)) == ["立即购买"]


@pytest.mark.parametrize("signal", ["5G", "87", "中国移动", "WiFi", "0.3 KB/s", "1 65多"])
def test_the_status_bar_of_a_phone_leaves(signal: str):
    bar = [line("9:41", 30, 30), line(signal, 480, 32)]
    assert texts(*bar, line("订单详情", 200, 70)) == ["订单详情"]


def test_a_title_beside_the_clock_and_a_clock_further_down_stay():
    title = "您的包裹正在派送途中请注意查收"
    assert texts(line("9:41", 30, 30), line(title, 150, 30, 300), line("9:41", 30, 600)) == [title, "<时间>"]


def test_repeated_lines_are_read_once():
    assert texts(line("立即购买", y=300), line("立即购买", y=500), line("立即 购买", y=700)) == ["立即购买"]


def test_nearly_the_same_lines_are_read_once_but_short_ones_are_other_words():
    long = "收到宝贝后请在七天之内确认收货并写下您的评价"
    assert texts(line(long, y=300), line(long.replace("宝贝", "宝只"), y=500)) == [long]
    assert texts(line("退款", y=300), line("退货", y=500)) == ["退款", "退货"]


def test_lines_side_by_side_are_read_from_left_to_right():
    assert texts(line("128", 400, 303), line("应付款", 20, 300), line("编号", 20, 360), line("复制", 400, 358)) == [
        "应付款", "128", "编号", "复制",
    ]  # fmt: skip


def test_columns_that_are_not_level_are_read_one_after_the_other():
    left = [line(f"左{n}", 20, 300 + 40 * n) for n in range(4)]
    right = [line(f"右{n}", 320, 320 + 40 * n) for n in range(4)]
    title = line("猜你喜欢", 20, 200, 500)
    assert texts(*right, title, *left) == ["猜你喜欢", "左0", "左1", "左2", "左3", "右0", "右1", "右2", "右3"]


boxes = st.tuples(st.integers(0, 500), st.integers(0, 1100), st.integers(1, 90), st.integers(1, 60))
lines = st.lists(
    st.builds(
        lambda text, score, box: OcrLine(text, score, (box[0], box[1], box[0] + box[2], box[1] + box[3])),
        st.text(alphabet="退货款支付页面123:.¥ ", min_size=1, max_size=10),
        st.floats(0, 1),
        boxes,
    ),
    max_size=15,
)


@given(lines)
def test_reading_order_loses_and_adds_nothing_whatever_order_the_lines_came_in(found: list[OcrLine]):
    ordered = in_reading_order(found)
    assert sorted(ordered, key=repr) == sorted(found, key=repr)
    assert in_reading_order(found[::-1]) == ordered


@given(lines)
def test_cleaning_twice_is_cleaning_once(found: list[OcrLine]):
    once = cleaned(OcrPage("a.png", SIZE, tuple(found)))
    assert cleaned(once) == once


@given(lines)
def test_every_line_of_a_cleaned_page_is_a_line_of_the_page(found: list[OcrLine]):
    places = {(line.box, mask(line.text)) for line in found}
    assert {(line.box, line.text) for line in cleaned(OcrPage("a.png", SIZE, tuple(found))).lines} <= places


def test_sidecars_and_tables_can_be_cleaned_as_a_whole():
    page = OcrPage("a.png", SIZE, (line("9:41", 30, 30), line("¥12.00")))
    sidecars = Sidecars(ocr={"a.png": page}, captions={"a.png": "一页"})
    assert cleaned_sidecars(sidecars) == Sidecars(ocr={"a.png": cleaned(page)}, captions={"a.png": "一页"})
    table = FieldTable([Sample("1", "t", (), ("a.png", "b.png"))], sidecars)
    assert (table.texts("ocr"), table.cleaned().texts("ocr")) == (["9:41\n¥12.00"], ["¥<价格>"])
    assert table.cleaned().rows[0] is table.cleaned().rows[0]
    assert table.cleaned().texts("caption") == ["一页"]
