"""Which encoding bytes can be in, are in for certain, or look like."""

import pytest

from kdsl.data.charset import decodings, marked


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_leaves_no_doubt(encoding):
    data = "发票".encode(encoding)
    assert data.decode(marked(data)).lstrip("\ufeff") == "发票" and marked(data[4:]) is None


@pytest.mark.parametrize(
    "encoding", ["utf-8", "gb18030", "big5", "shift_jis", "euc_kr", "mac_roman", "utf-16-le", "cp037"]
)
def test_every_encoding_is_among_those_that_a_file_without_one_can_be_in(encoding):
    text = {"euc_kr": "한국", "mac_roman": "é", "cp037": "é"}.get(encoding, "日本")
    found = dict(decodings(text.encode(encoding)))
    assert text in found.values() and len(set(found.values())) == len(found)
