"""Names for files and folders, made of anything."""

import re

from hypothesis import given
from hypothesis import strategies as st

from kdsl.file_names import safe_name


def test_names_are_taken_by_all_file_systems():
    assert safe_name("实物拍摄(含售后)") == "实物拍摄(含售后)"
    assert safe_name("下单过程中出现异常（显示购买失败浮窗）") == "下单过程中出现异常（显示购买失败浮窗）"
    assert safe_name("..") == "%2E%2E"
    assert safe_name("a/b\\c:d%") == "a%2Fb%5Cc%3Ad%25"
    assert safe_name("-") == "%2D"
    assert safe_name("CON") == "%43ON"
    assert safe_name("com1.txt") == "%63om1.txt"
    assert safe_name("console") == "console"
    assert safe_name("x.") == "x%2E"


ODD_CHARACTERS = st.sampled_from(
    [*"-._~#%/\\ :*?\"<>|$=+@'aé", "e\u0301", "CON", "nul", "很长", "\t", "\n", "\ud800", "\u202e"]
)
texts = st.one_of(st.lists(ODD_CHARACTERS, min_size=1, max_size=90).map("".join), st.text(min_size=1))


@given(texts, texts)
def test_two_texts_never_share_a_name(one, other):
    name = safe_name(one)
    assert 0 < len(name.encode()) <= 200
    assert not re.search(r'[/\\:*?"<>|\x00-\x1f]|^[. ]|[. ]$', name)
    assert (name == safe_name(other)) == (one == other)


def test_long_texts_that_differ_at_their_end_alone_have_names_of_their_own():
    long = "很长" * 100
    assert safe_name(long) != safe_name(long + "一") != safe_name(long + "二")
