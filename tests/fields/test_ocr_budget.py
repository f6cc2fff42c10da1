"""OCR text within a number of tokens: the limit holds, the order stays, what tells least leaves first."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdsl.fields.ocr_budget import LineInformation, budgeted, estimated_tokens
from kdsl.fields.sidecar import OcrLine, OcrPage


def page(*texts: str) -> OcrPage:
    return OcrPage("a.png", (9, 9), tuple(OcrLine(text, 1.0, (0, 0, 1, 1)) for text in texts))


SECOND = ("退款成功", "退款成功", "物流信息", "怪名")
PAGES = [page("立即购买", second) for second in SECOND]
INFORMATION = LineInformation.fit(PAGES, ["退款", "退款", "物流", "物流"])


def test_what_every_page_holds_tells_nothing_and_what_one_page_holds_little():
    assert INFORMATION.of("立即购买") == INFORMATION.of("没见过") == 0
    assert INFORMATION.of("退款成功") > INFORMATION.of("怪名") > 0


def test_a_line_is_worth_the_mean_of_its_pairs():
    smoothed = np.array([(2 + 5 / 2) / 7, (5 / 2) / 7])
    assert INFORMATION.of("退款") == pytest.approx((smoothed * np.log(2 * smoothed)).sum(), abs=1e-6)
    assert INFORMATION.of("退款xy") == pytest.approx(INFORMATION.of("退款") / 3)


def test_what_tells_least_leaves_first_and_the_rest_keeps_its_order():
    text = [["立即购买", "退款成功"], ["怪名", "退款成功"]]
    assert budgeted(text, 100, INFORMATION) == text
    assert budgeted(text, 13, INFORMATION) == [["退款成功"], ["怪名", "退款成功"]]
    assert budgeted(text, 12, INFORMATION) == [["退款成功"], ["退款成功"]]
    assert budgeted(text, 5, INFORMATION) == [["退款成功"], []]
    assert budgeted(text, 0, INFORMATION) == [[], []]


def test_the_caller_says_what_a_token_is():
    assert budgeted([["退款成功", "立即购买"]], 1, INFORMATION, count=lambda text: 1) == [["退款成功"]]


@given(
    st.lists(st.lists(st.text(alphabet="立即购买退款成功 a1", max_size=8), max_size=6), max_size=3), st.integers(0, 60)
)
def test_the_limit_holds_and_lines_stay_in_order(pages: list[list[str]], limit: int):
    kept = budgeted(pages, limit, INFORMATION)
    assert sum(estimated_tokens(text + "\n") for lines in kept for text in lines) <= limit
    for before, after in zip(pages, kept, strict=True):
        remaining = iter(before)
        assert all(text in remaining for text in after)


def test_an_estimate_counts_characters_and_parts_of_words():
    assert estimated_tokens("退款 2031 refunded\n") == 2 + 1 + 4 + 1 + 2 + 1


def test_without_pages_nothing_tells_anything():
    assert LineInformation.fit([], []).of("退款") == 0
