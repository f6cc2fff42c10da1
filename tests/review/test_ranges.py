"""The `Range` header, whatever stands in it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("starlette", reason="needs the extra review")

from kdsl.review.ranges import asked_range


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-", (0, 100)),
        ("bytes=0-0", (0, 1)),
        ("bytes=99-", (99, 100)),
        ("bytes=10-19", (10, 20)),
        ("bytes=10-1000", (10, 100)),
        ("bytes=-1", (99, 100)),
        ("bytes=-1000", (0, 100)),
        ("Bytes = 3 - 4 ", (3, 5)),
        (f"bytes=0-{'9' * 5000}", (0, 100)),
        ("bytes=100-", (0, 0)),
        ("bytes=100-200", (0, 0)),
        ("bytes=-0", (0, 0)),
        (f"bytes={'9' * 5000}-", (0, 0)),
        ("", None),
        ("bytes=-", None),
        ("bytes=", None),
        ("bytes=5-4", None),
        ("bytes=0-1,3-4", None),
        ("bytes=a-b", None),
        ("bytes=٣-٤", None),
        ("bytes=+1-2", None),
        ("items=0-5", None),
        ("0-5", None),
    ],
)
def test_a_range_is_bytes_of_the_file_nothing_or_not_understood(header, expected):
    assert asked_range(header, 100) == expected


@given(st.integers(0, 50), st.integers(0, 60), st.integers(0, 60))
def test_a_range_has_the_bytes_that_python_would_cut_out(size, first, last):
    content = list(range(size))
    asked = asked_range(f"bytes={first}-{last}", size)
    assert asked is None if last < first else content[slice(*asked)] == content[first : last + 1]


@given(st.text() | st.text("bytes=0123456789-, "), st.integers(0, 50))
def test_whatever_is_asked_the_range_lies_inside_the_file(header, size):
    start, end = asked_range(header, size) or (0, size)
    assert 0 <= start <= end <= size
