"""Labels named in reasons, in whatever characters: masked, so that a reason has to say something, and compared."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdsl.reasons.labels import MASK, LabelNames, folded
from kdsl.sample import Label, Task

LABELS = (
    "退款页面",
    "退货页面",
    "物流页面-列表页面",
    "物流页面-跟踪页面",
    "实物拍摄(含售后)",
    "card_arrival",
    "card",
    "气泡",
)
NAMES = LabelNames(Task("shop", tuple(map(Label, LABELS))))


@pytest.mark.parametrize(
    ("label", "reason", "masked"),
    [
        ("退款页面", "這是退款頁面，顯示退款成功。", f"这是{MASK},显示退款成功。"),
        ("实物拍摄(含售后)", "属于实物拍摄（含售后），桌上有裂开的杯子", f"属于{MASK},桌上有裂开的杯子"),
        ("实物拍摄(含售后)", "是实物拍摄，杯子裂了", f"是{MASK},杯子裂了"),
        ("物流页面-列表页面", "物流页面里有列表页面", f"{MASK}里有{MASK}"),
        ("card_arrival", "Card arrival: asks when the card comes", f"{MASK}: asks when the card comes"),
        ("card", "A discard, not a card", f"a discard, not a {MASK}"),
    ],
)
def test_the_label_is_masked_however_it_is_written(label, reason, masked):
    assert NAMES.masked(reason, label) == masked


def test_other_labels_stay():
    assert NAMES.masked("不是退货页面，是退款页面", "退款页面") == f"不是退货页面,是{MASK}"


@given(st.sampled_from(LABELS), st.text(max_size=30), st.text(max_size=30))
def test_no_name_of_the_label_is_left(label, before, after):
    names = LabelNames(Task("one", (Label(label), Label("另一个标签"))))
    assert folded(label) not in names.masked(f"{before} {label} {after}", label)


@pytest.mark.parametrize(
    ("label", "reason", "mistake"),
    [
        ("退款页面", "歸入退款頁面。", None),
        ("退款页面", "页面写着退款成功。", None),
        ("退款页面", "不是退货页面，而是退款页面。", None),
        ("退款页面", "这是退货页面。", "names 退货页面 and not its own label 退款页面"),
        ("退款页面", "它不屬於「退款頁面」。", "rules out its own label 退款页面"),
        ("退款页面", "是订单页，而不是退款页面。", "rules out its own label 退款页面"),
        ("card", "This is card arrival.", "names card_arrival and not its own label card"),
        ("card_arrival", "Not a card, about its arrival.", None),
        ("物流页面-列表页面", "属于物流页面，有多个包裹。", None),
    ],
)
def test_a_reason_that_speaks_against_its_label_is_told(label, reason, mistake):
    assert NAMES.mistaken(reason, label) == mistake
