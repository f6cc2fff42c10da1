"""Data files that are not UTF-8: read where it is certain or likely what they are, and otherwise told by line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdsl.data.encoding import text_lines
from kdsl.errors import KdslError

LABELS = ["退款进度", "發票", "返金", "환불문의"]


@pytest.fixture(scope="module")
def lines(tmp_path_factory):
    """The lines of a file that holds `content`."""

    def lines(content: bytes, labels=LABELS) -> list[tuple[int, str]]:
        path = tmp_path_factory.getbasetemp() / "encoded"
        path.write_bytes(content)
        with path.open("rb") as file:
            return [(number, line.rstrip("\r\n")) for number, line in text_lines(path, file, labels)]

    return lines


texts = st.lists(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\ufeff\x00"), min_size=1), min_size=1
)


@given(
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]), st.sampled_from(["\n", "\r\n", "\r"]), texts
)  # fmt: skip
def test_unicode_comes_back_line_by_line_whatever_ends_them(lines, codec, end, written):
    found = lines(('{"a": 1}' + end + end.join(written)).encode(codec))
    assert [(number, line.lstrip("\ufeff")) for number, line in found] == [
        (1, '{"a": 1}'), *enumerate(written, start=2)
    ]  # fmt: skip


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_without_a_mark_the_zeros_of_the_first_characters_tell(lines, codec):
    assert lines('{"label": "退款进度"}\n{}'.encode(codec)) == [(1, '{"label": "退款进度"}'), (2, "{}")]


@pytest.mark.parametrize(
    ("codec", "name", "text"),
    [
        ("gbk", "GB 18030 (GBK)", '{"text": "退钱是什么时候", "label": "退款进度"}'),
        ("gb18030", "GB 18030 (GBK)", '{"text": "𠮷祥的钱", "label": "退款进度"}'),
        ("big5", "Big5", '{"text": "請問什麼時候到帳", "label": "發票"}'),
        ("cp932", "Shift-JIS", '{"text": "お金を返してください", "label": "返金"}'),
        ("cp949", "EUC-KR", '{"text": "언제 되나요", "label": "환불문의"}'),
    ],
)
class TestOtherEncodings:
    def test_the_labels_in_the_file_prove_one_and_a_warning_tells_it(self, lines, codec, name, text, caplog):
        plain = '{"text": "only ASCII so far"}'
        assert lines(f"{plain}\n{text}\n{text}".encode(codec)) == [(1, plain), (2, text), (3, text)]
        assert f"encoded: read as {name}, in which it holds the labels" in caplog.text

    def test_without_them_the_likely_one_is_taken_and_a_warning_tells_it(self, lines, codec, name, text, caplog):
        assert lines(f'{{"text": "a"}}\n{text}'.encode(codec), labels=["refund"]) == [(1, '{"text": "a"}'), (2, text)]
        assert (
            f"encoded: read as {name}, which it looks like; if words come out wrong, save it as UTF-8" in caplog.text
        )

    def test_the_likely_one_is_not_taken_where_the_labels_are_in_another_script(self, lines, codec, name, text):
        with pytest.raises(KdslError, match=r"encoded, line 1: byte 10 is not UTF-8, and no other encoding is likely"):
            lines(text.encode(codec), labels=["สินค้า"])


@pytest.mark.parametrize("first", ["utf-8", "gbk"])
def test_a_file_of_two_encodings_is_not_read_as_one_of_them(lines, first):
    text = '{"text": "退钱是什么时候", "label": "退款进度"}\n'
    both = text.encode(first) * 20 + text.encode("gbk" if first == "utf-8" else "utf-8")
    with pytest.raises(KdslError, match=f"line {21 if first == 'utf-8' else 1}: byte 10 is not UTF-8") as error:
        lines(both)
    assert str(error.value).endswith("save the whole file as UTF-8")


def test_a_bad_byte_far_behind_good_lines_is_told_by_its_line(lines):
    text = '{"text": "退钱是什么时候"}\n'.encode()
    with pytest.raises(KdslError, match=r"encoded, line 50001: byte 10 is not UTF-8 like the lines before"):
        lines(text * 50_000 + '{"text": "退"}'.encode("gbk"))


@pytest.mark.parametrize(
    ("codec", "name", "text"),
    [
        ("cp1252", "Windows-1252", "Ich möchte das Gerät zurückgeben, die Größe paßt nicht"),
        ("cp1252", "Windows-1252", "Où est ma commande ? Très déçu, le reçu est abîmé"),
        ("cp1251", "Windows-1251", "Где мой заказ? Верните, пожалуйста, деньги"),
        ("koi8_r", "KOI8-R", "Где мой заказ? Верните, пожалуйста, деньги, размер не подходит, я не могу войти"),
        ("mac_roman", "Mac Roman", "Où est ma commande ? Très déçu, le reçu est abîmé, à bientôt, j’espère"),
    ],
)
def test_letters_of_one_byte_are_read_as_they_look(lines, codec, name, text, caplog):
    assert lines(text.encode(codec), labels=["refund"]) == [(1, text)]
    assert f"read as {name}, which it looks like" in caplog.text


def test_words_that_could_be_utf8_are_told_by_the_labels_too(lines):
    text = '{"label": "什么"}'
    assert text.encode("gbk").decode("utf-8").isprintable()
    assert lines(text.encode("gbk"), labels=["什么", "退款进度"]) == [(1, text)]


def test_a_torn_wide_file_is_told(lines):
    with pytest.raises(KdslError, match=r"line 2: is not UTF-16 as the file begins .*: save it as UTF-8"):
        lines('{"a": 1}\n{"a": 2}'.encode("utf-16")[:-1])


@given(st.binary(max_size=60) | st.binary(max_size=30).map(lambda rest: b"\x88\x62\x88\xa3" + rest))
def test_any_bytes_are_lines_or_one_sentence(lines, content):
    try:
        lines(content)
    except KdslError as error:
        assert "encoded" in str(error)
        assert "\n" not in str(error)


@pytest.mark.parametrize("content", [b"\x7fELF\x02\x01\x00\x00\x07\x00\x00\x00\x00\x80", b"text,label\na\0b,c\n"])
def test_zeros_that_are_not_those_of_wide_characters_are_no_text(lines, content):
    with pytest.raises(KdslError, match="encoded: is no text, for it holds zero bytes; give a file of samples"):
        lines(content)


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_chinese_headers_without_a_mark_are_known_by_their_tabs(lines, codec):
    assert lines("编号\t问题\n一\t退款\n".encode(codec)) == [(1, "编号\t问题"), (2, "一\t退款")]
